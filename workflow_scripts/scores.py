"""Puts the scores of all students and controls into one long table."""

import pandas as pd

from mmpkd.evaluation.scores import concatenate
from mmpkd.files import write_parquet
from mmpkd.job import job

with job(snakemake):
    files = [*snakemake.input.students, snakemake.input.controls, *snakemake.input.probes]
    write_parquet(concatenate([pd.read_parquet(file) for file in files]), snakemake.output[0])
