"""Multimodal privileged knowledge distillation for vision transformers."""

import sys

from mmpkd.interrupts import end_quietly

# A script of the workflow, which Snakemake gives this name: Ctrl-C may reach it while it imports other modules.
if hasattr(sys.modules["__main__"], "snakemake"):
    end_quietly()
