"""Draws the method."""

from mmpkd.job import job
from mmpkd.plotting.method import draw
from mmpkd.plotting.style import save

with job(snakemake):
    save(*draw(snakemake.params.study), *snakemake.output)
