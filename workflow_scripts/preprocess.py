"""Fills one shard of a cohort's image store."""

from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.store import write_shard
from mmpkd.logs import log_to

log_to(snakemake.log[0])
write_shard(
    tables=read_tables(Path(snakemake.input.cohort[0]).parent),
    imaging=Imaging.model_validate(snakemake.params.imaging),
    shard=int(snakemake.wildcards.shard),
    shards=snakemake.params.shards,
    folder=Path(snakemake.output.pixels).parent,
)
