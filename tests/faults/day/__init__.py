"""Twenty-four hours at one exchange with idle time cut out: `python -m tests.faults.day VENUE [--hours 24] [--seed S]`."""
