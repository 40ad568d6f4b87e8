"""Writes the table of localisation across cohorts and domains."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.job import job
from mmpkd.tables.cross_domain import table
from mmpkd.tables.write import write

with job(snakemake):
    scores = pd.read_parquet(snakemake.input.scores)
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    design = Design.of(snakemake.params.design)
    write(*table(scores, evaluation, design), *snakemake.output)
