"""Turns raw reports or case descriptions into one row a privileged record."""

from mmpkd.cohorts.tables import read_tables
from mmpkd.files import write_parquet
from mmpkd.job import job
from mmpkd.privileged.records import build

with job(snakemake):
    tables = read_tables(snakemake.params.cohort)
    write_parquet(build(tables, snakemake.params.kind, snakemake.params.labels), snakemake.output.records)
