"""Scores, statistics and claims."""
