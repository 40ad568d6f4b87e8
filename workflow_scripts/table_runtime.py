"""Writes what each rule cost."""

from mmpkd.job import job
from mmpkd.tables.runtime import table
from mmpkd.tables.write import write

with job(snakemake):
    write(*table(snakemake.params.benchmarks, snakemake.params.logs), *snakemake.output)
