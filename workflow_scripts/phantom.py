"""Writes a phantom tree in the layout of a cohort's adapter."""

from pathlib import Path

from mmpkd.cohorts.phantom.write import write_tree
from mmpkd.config.cohorts import Phantom
from mmpkd.files import write_parquet
from mmpkd.job import job

with job(snakemake):
    phantom = Phantom.model_validate(snakemake.params.phantom)
    truth = write_tree(snakemake.params.adapter, phantom, Path(snakemake.output.tree))
    write_parquet(truth, snakemake.output.truth)
