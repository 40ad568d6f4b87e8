"""Draws the claims."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.job import job
from mmpkd.plotting.claims import draw
from mmpkd.plotting.style import save

with job(snakemake):
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    design = Design.of(snakemake.params.design)
    claims = pd.read_csv(snakemake.input.table)
    save(*draw(claims, evaluation, design), *snakemake.output, phantoms=snakemake.params.phantoms)
