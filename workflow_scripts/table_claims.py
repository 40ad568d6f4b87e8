"""Tests the claims and writes their table."""

import pandas as pd

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.design import Design
from mmpkd.job import job
from mmpkd.tables.claims import SHOWN, table
from mmpkd.tables.write import write

with job(snakemake):
    scores = pd.read_parquet(snakemake.input.scores)
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    design = Design.of(snakemake.params.design)
    claims = {name: Claim.model_validate(claim) for name, claim in snakemake.params.claims.items()}
    write(*table(scores, claims, evaluation, design), *snakemake.output, shown=SHOWN)
