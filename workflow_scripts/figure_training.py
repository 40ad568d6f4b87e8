"""Draws the course of training."""

import pandas as pd

from mmpkd.logs import log_to
from mmpkd.plotting.style import save
from mmpkd.plotting.training import draw
from mmpkd.recovery.receipts import write_receipt

log_to(snakemake.log[0])
students = [tuple(student) for student in snakemake.params.students]
histories = dict(zip(students, map(pd.read_csv, snakemake.input.histories), strict=True))
save(*draw(histories), *snakemake.output, phantoms=snakemake.params.phantoms)
write_receipt(snakemake.output, snakemake.log[0])
