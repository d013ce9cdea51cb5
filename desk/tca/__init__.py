"""Transaction cost analysis: what orders cost, what trades were worth afterwards, how far venues and LPs can be trusted."""
