"""Phantom cohorts: fabricated trees in the exact layouts of the real downloads."""
