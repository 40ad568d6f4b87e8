"""Draws localisation in the domain of training."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.job import job
from mmpkd.plotting.localization import draw
from mmpkd.plotting.style import save

with job(snakemake):
    scores = pd.read_parquet(snakemake.input.scores)
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    design = Design.of(snakemake.params.design)
    save(*draw(scores, evaluation, design), *snakemake.output, phantoms=snakemake.params.phantoms)
