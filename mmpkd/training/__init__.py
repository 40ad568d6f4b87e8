"""Losses, the training loop, teachers' fitting and pretraining."""
