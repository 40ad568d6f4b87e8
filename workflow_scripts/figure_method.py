"""Draws the method."""

from mmpkd.logs import log_to
from mmpkd.plotting.method import draw
from mmpkd.plotting.style import save
from mmpkd.recovery.receipts import write_receipt

log_to(snakemake.log[0])
save(*draw(snakemake.params.study), *snakemake.output)
write_receipt(snakemake.output, snakemake.log[0])
