"""Puts the scores of all students and controls into one long table."""

import pandas as pd

from mmpkd.files import write_parquet
from mmpkd.logs import log_to

log_to(snakemake.log[0])
write_parquet(pd.concat(map(pd.read_parquet, snakemake.input.scores), ignore_index=True), snakemake.output[0])
