"""Multimodal privileged knowledge distillation for vision transformers."""

import sys

from mmpkd.interrupts import end_quietly

# A script of the workflow, to which Snakemake gives an object of this name: Ctrl-C may reach it during its imports.
if hasattr(getattr(sys.modules.get("__main__"), "snakemake", None), "output"):
    end_quietly()
