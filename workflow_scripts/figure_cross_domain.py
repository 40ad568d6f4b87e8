"""Draws the gains across cohorts and domains."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.job import job
from mmpkd.plotting.cross_domain import draw
from mmpkd.plotting.style import save

with job(snakemake):
    scores = pd.read_parquet(snakemake.input.scores)
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    save(*draw(scores, evaluation, snakemake.params.domains), *snakemake.output, phantoms=snakemake.params.phantoms)
