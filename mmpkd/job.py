"""What every job of the workflow does around its own work."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Opens the job's log, and writes the receipt of its outputs at the end.

    A job that fails leaves no receipt: its outputs are not complete. A job that computes with torch uses
    `mmpkd.device.torch_job`.

    Args:
        snakemake: the object that Snakemake puts into a script, with `log` and `output`.
    """
    gc.freeze()  # what is imported stays to the end; looking through it at each collection costs 0.2 s per job
    log_to(snakemake.log[0])
    yield
    write_receipt(snakemake.output, snakemake.log[0])
