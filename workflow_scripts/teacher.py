"""Fits the privileged teacher and caches its targets."""

from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from mmpkd.config.teachers import Teacher
from mmpkd.files import write_npz, write_parquet
from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt
from mmpkd.training.device import resolve_device, use_threads
from mmpkd.training.teachers import fit_teacher

log_to(snakemake.log[0])
use_threads(snakemake.threads)
result = fit_teacher(
    records=pd.read_parquet(snakemake.input.records),
    config=TypeAdapter(Teacher).validate_python(snakemake.params.teacher),
    labels=snakemake.params.labels,
    threads=snakemake.threads,
    device=resolve_device(snakemake.params.device),
    cache=Path(snakemake.params.cache),
)
write_npz(result.targets, snakemake.output.targets)
write_parquet(result.predictions, snakemake.output.predictions)
result.save(snakemake.output.model)
write_receipt(snakemake.output, snakemake.log[0])
