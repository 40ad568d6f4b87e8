"""Writes the table of cohorts."""

import pandas as pd

from mmpkd.cohorts.tables import read_tables
from mmpkd.imaging.store import noted
from mmpkd.job import job
from mmpkd.tables.cohorts import table
from mmpkd.tables.write import write

with job(snakemake):
    cohorts = {name: read_tables(folder) for name, folder in snakemake.params.folders.items()}
    set_aside = {
        name: pd.concat([pd.read_csv(f"{folder}/rejected.csv", dtype=str) for folder in folders])
        for name, folders in snakemake.params.shards.items()
        if folders
    }
    notes = {name: noted(folders) for name, folders in snakemake.params.shards.items() if folders}
    write(*table(cohorts, set_aside, snakemake.params.labels, notes), *snakemake.output)
