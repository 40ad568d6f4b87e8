"""Writes the table of localisation across cohorts and domains."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt
from mmpkd.tables.cross_domain import table
from mmpkd.tables.write import write

log_to(snakemake.log[0])
scores = pd.read_parquet(snakemake.input.scores)
evaluation = Evaluation.model_validate(snakemake.params.evaluation)
design = Design.of(snakemake.params.design)
write(*table(scores, evaluation, design), *snakemake.output)
write_receipt(snakemake.output, snakemake.log[0])
