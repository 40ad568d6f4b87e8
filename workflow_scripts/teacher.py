"""Fits the privileged teacher and caches its targets."""

from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from mmpkd.config.teachers import Teacher
from mmpkd.device import torch_job
from mmpkd.files import write_npz, write_parquet
from mmpkd.teachers.fitting import fit_teacher

with torch_job(snakemake) as device:
    result = fit_teacher(
        records=pd.read_parquet(snakemake.input.records),
        config=TypeAdapter(Teacher).validate_python(snakemake.params.teacher),
        labels=snakemake.params.labels,
        threads=snakemake.threads,
        device=device,
        cache=Path(snakemake.params.cache),
    )
    write_npz(result.targets, snakemake.output.targets)
    write_parquet(result.predictions, snakemake.output.predictions)
    result.save(snakemake.output.model)
