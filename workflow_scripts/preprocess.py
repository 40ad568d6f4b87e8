"""Fills one shard of a cohort's image store."""

from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.job import job

with job(snakemake):
    breast = snakemake.params.breast
    write_shard(
        tables=read_tables(snakemake.params.cohort),
        imaging=Imaging.model_validate(snakemake.params.imaging),
        shard=int(snakemake.wildcards.shard),
        shards=snakemake.params.shards,
        folder=Path(snakemake.params.folder),
        breast=None if breast is None else Breast.model_validate(breast),
        rejected_limit=snakemake.params.rejected_limit,
    )
