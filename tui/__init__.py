"""The operator's screen: a terminal application in its own process, a client of the desk's API and of nothing else."""
