"""Multimodal privileged knowledge distillation for vision transformers."""

import gc

# While torch, timm and pandas are imported, Python's default of a collection every 700 objects goes again and again
# through a million objects that all stay: a fourth of a job's set-up. Cycles are still collected, only later.
gc.set_threshold(100_000)
