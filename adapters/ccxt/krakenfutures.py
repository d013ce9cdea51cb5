"""Kraken Futures, perpetuals: linear (PF_, multi-collateral) and inverse (PI_), one-way, cross margin."""
