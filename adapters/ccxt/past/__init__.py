"""Candles and trades of the past."""
