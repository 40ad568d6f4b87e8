"""The study's configuration: strict pydantic models, one module a stage, `study.py` on top.

A stage's code imports its own section alone, so that an edit of one section re-runs the stages that read it.
"""
