"""Reads a data set as the four tables."""

from importlib import import_module
from pathlib import Path

from mmpkd.cohorts.rejections import refuse_too_many
from mmpkd.config.cohorts import Cohort
from mmpkd.job import job

with job(snakemake):
    cohort = Cohort.model_validate(snakemake.params.cohort)
    if cohort.phantom:
        cohort = cohort.model_copy(update={"root": Path(snakemake.input.tree)})
    adapter = import_module(f"mmpkd.cohorts.datasets.{cohort.adapter}")
    tables = adapter.read(cohort, snakemake.params.labels)
    refuse_too_many(tables.rejected["reason"], tables.kept, cohort.rejected_limit)
    tables.write(Path(snakemake.params.folder))
