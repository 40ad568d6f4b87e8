"""Privileged data: what exists at training time only."""
