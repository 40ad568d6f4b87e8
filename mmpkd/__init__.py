"""Multimodal privileged knowledge distillation for vision transformers."""
