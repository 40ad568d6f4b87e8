"""Cohorts: every data set becomes the same four tables."""
