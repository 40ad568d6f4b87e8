"""Draws the method."""

from mmpkd.logs import log_to
from mmpkd.plotting.method import draw
from mmpkd.plotting.style import save

log_to(snakemake.log[0])
save(*draw(snakemake.params.study), *snakemake.output)
