"""Puts the scores of all students and controls into one long table."""

import pandas as pd

from mmpkd.evaluation.scores import concatenate
from mmpkd.files import write_parquet
from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt

log_to(snakemake.log[0])
files = [*snakemake.input.students, snakemake.input.controls, *snakemake.input.probes]
write_parquet(concatenate([pd.read_parquet(file) for file in files]), snakemake.output[0])
write_receipt(snakemake.output, snakemake.log[0])
