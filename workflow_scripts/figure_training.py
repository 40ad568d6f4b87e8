"""Draws the course of training."""

from pathlib import Path

import pandas as pd

from mmpkd.design import Design
from mmpkd.imaging.store import stored
from mmpkd.job import job
from mmpkd.plotting.style import save
from mmpkd.plotting.training import draw

with job(snakemake):
    students = [tuple(student) for student in snakemake.params.students]
    histories = dict(zip(students, map(pd.read_csv, snakemake.input.histories), strict=True))
    images = {
        domain: stored(pd.read_parquet(Path(folder) / "images.parquet"), shards)
        for domain, (folder, shards) in snakemake.params.cohorts.items()
    }
    design = Design.of(snakemake.params.design)
    save(*draw(histories, images, design), *snakemake.output, phantoms=snakemake.params.phantoms)
