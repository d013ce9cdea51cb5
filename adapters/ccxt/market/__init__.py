"""Market data of an exchange: its frames, its books, and the link and engine client that tell them."""
