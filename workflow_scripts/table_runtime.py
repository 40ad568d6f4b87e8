"""Writes what each rule cost."""

from mmpkd.logs import log_to
from mmpkd.tables.runtime import table
from mmpkd.tables.write import write

log_to(snakemake.log[0])
write(*table(snakemake.params.benchmarks, snakemake.params.logs), *snakemake.output)
