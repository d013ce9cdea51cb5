"""`kerb demo`: a whole desk on simulated venues, over real sockets, in four processes and one command."""
