"""Fills the image store of a phantom's twins: scored images with the marker where they have none, and vice versa."""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.tables import read_tables
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.twins import twin_tables
from mmpkd.job import job

with job(snakemake):
    breast, truth = snakemake.params.breast, pd.read_parquet(snakemake.input.truth)
    write_shard(
        tables=twin_tables(read_tables(snakemake.params.cohort), truth, Path(snakemake.input.twins)),
        imaging=Imaging.model_validate(snakemake.params.imaging),
        shard=0,
        shards=1,
        folder=Path(snakemake.params.folder),
        breast=None if breast is None else Breast.model_validate(breast),
        rejected_limit=0.0,
    )
