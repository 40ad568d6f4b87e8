"""Writes the table of teachers."""

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.job import job
from mmpkd.tables.teachers import SHOWN, table
from mmpkd.tables.write import write

with job(snakemake):
    evaluation = Evaluation.model_validate(snakemake.params.evaluation)
    predictions = {
        (domain, teacher): pd.read_parquet(file)
        for (domain, teacher), file in zip(snakemake.params.teachers, snakemake.input.predictions, strict=True)
    }
    write(
        *table(predictions, evaluation.confidence, evaluation.resamples, evaluation.seed),
        *snakemake.output,
        shown=SHOWN,
    )
