"""Writes the table of localisation by ROI size, prediction and label."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt
from mmpkd.tables.strata import table
from mmpkd.tables.write import write

log_to(snakemake.log[0])
scores = pd.read_parquet(snakemake.input.scores)
evaluation = Evaluation.model_validate(snakemake.params.evaluation)
write(*table(scores, evaluation, snakemake.params.domain_of), *snakemake.output)
write_receipt(snakemake.output, snakemake.log[0])
