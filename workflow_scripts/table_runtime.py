"""Writes what each rule cost."""

from mmpkd.logs import log_to
from mmpkd.recovery.receipts import write_receipt
from mmpkd.tables.runtime import table
from mmpkd.tables.write import write

log_to(snakemake.log[0])
write(*table(snakemake.params.benchmarks, snakemake.params.logs), *snakemake.output)
write_receipt(snakemake.output, snakemake.log[0])
