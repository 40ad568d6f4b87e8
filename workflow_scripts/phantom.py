"""Writes a phantom tree in the layout of a cohort's adapter."""

from pathlib import Path

from mmpkd.config.cohorts import Phantom
from mmpkd.files import write_parquet
from mmpkd.job import job
from mmpkd.phantom.write import write_tree

with job(snakemake):
    phantom = Phantom.model_validate(snakemake.params.phantom)
    truth = write_tree(snakemake.params.adapter, phantom, Path(snakemake.output.tree), Path(snakemake.output.twins))
    write_parquet(truth, snakemake.output.truth)
