"""Every recorded message of the venues, and what the adapter makes of it: a table a venue (`*.txt`), read by `test_recorded_census.py`."""
