"""Draws the claims."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.job import job
from mmpkd.plotting.claims import draw
from mmpkd.plotting.style import save

with job(snakemake):
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    claims = pd.read_csv(snakemake.input.table)
    save(*draw(claims, evaluation), *snakemake.output, phantoms=snakemake.params.phantoms)
