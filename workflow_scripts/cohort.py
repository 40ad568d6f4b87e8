"""Reads a data set as the four tables."""

from pathlib import Path

from mmpkd.cohorts.base import find_data_set
from mmpkd.cohorts.rejections import refuse_too_many
from mmpkd.config.cohorts import Cohort
from mmpkd.job import job

with job(snakemake):
    cohort = Cohort.model_validate(snakemake.params.cohort)
    if cohort.phantom:
        cohort = cohort.model_copy(update={"root": Path(snakemake.input.tree)})
    tables = find_data_set(cohort.adapter)(cohort, snakemake.params.labels).read()
    refuse_too_many(tables.rejected["reason"], tables.kept, cohort.rejected_limit)
    tables.write(Path(snakemake.params.folder))
