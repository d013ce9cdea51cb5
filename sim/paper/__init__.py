"""Paper trading: the venues' real market data and quotes; execution is imagined in the desk's own process, and no order is ever sent."""
