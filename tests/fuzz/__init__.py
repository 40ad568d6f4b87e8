"""Fuzzing of what reads files of others: `python -m tests.fuzz`."""
