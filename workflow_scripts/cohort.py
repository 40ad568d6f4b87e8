"""Reads a data set as the four tables."""

from importlib import import_module
from pathlib import Path

from mmpkd.config.cohorts import Cohort
from mmpkd.logs import log_to

log_to(snakemake.log[0])
cohort = Cohort.model_validate(snakemake.params.cohort)
if cohort.phantom:
    cohort = cohort.model_copy(update={"root": Path(snakemake.input.tree)})
adapter = import_module(f"mmpkd.cohorts.adapters.{cohort.adapter}")
adapter.read(cohort, snakemake.params.labels).write(Path(snakemake.output.images).parent)
