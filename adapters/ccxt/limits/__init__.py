"""What may be asked of an exchange, and how often."""
