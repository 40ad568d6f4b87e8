"""Writes a phantom tree in the layout of a cohort's adapter."""

from pathlib import Path

from mmpkd.cohorts.phantom.write import write_tree
from mmpkd.config.cohorts import Phantom
from mmpkd.files import write_parquet
from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt

log_to(snakemake.log[0])
phantom = Phantom.model_validate(snakemake.params.phantom)
truth = write_tree(snakemake.params.adapter, phantom, Path(snakemake.output.tree))
write_parquet(truth, snakemake.output.truth)
write_receipt(snakemake.output, snakemake.log[0])
