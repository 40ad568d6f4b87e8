"""Draws the cohorts."""

import pandas as pd

from mmpkd.cohorts.tables import read_tables
from mmpkd.job import job
from mmpkd.plotting.cohorts import draw
from mmpkd.plotting.style import save

with job(snakemake):
    cohorts = {name: read_tables(folder) for name, folder in snakemake.params.folders.items()}
    rois = {
        name: pd.concat([pd.read_parquet(f"{folder}/rois.parquet") for folder in folders])
        for name, folders in snakemake.params.shards.items()
        if folders
    }
    save(*draw(cohorts, rois), *snakemake.output, phantoms=snakemake.params.phantoms)
