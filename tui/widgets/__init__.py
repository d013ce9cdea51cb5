"""Pieces of the blotter: the live table, what is drawn with it, and the dialogs."""
