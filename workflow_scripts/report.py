"""Puts every table and figure into one file, and writes where they came from."""

from pathlib import Path

from mmpkd.files import write_json, write_text
from mmpkd.logs import log_to
from mmpkd.report import build, provenance

log_to(snakemake.log[0])
study = snakemake.params.study
tables, figures = Path(snakemake.params.tables), Path(snakemake.params.figures)
origin = provenance(study, snakemake.input.scores)
report = build(
    study,
    {name: tuple(tables / f"{name}.{kind}" for kind in ("csv", "md", "caption.txt")) for name in study["tables"]},
    {name: tuple(figures / f"{name}.{kind}" for kind in ("png", "caption.txt")) for name in study["figures"]},
    origin,
)
write_json(origin, snakemake.output.provenance)
write_text(report, snakemake.output.report)
