"""Writes what a finished run came from and what it made: for `mmpkd verify`, and as an RO-Crate."""

from pathlib import Path

from mmpkd.config.cohorts import Cohort
from mmpkd.files import write_json, write_text
from mmpkd.job import job
from mmpkd.provenance.crate import crate
from mmpkd.provenance.inputs import digests
from mmpkd.provenance.record import record
from mmpkd.recovery.receipts import require_whole

with job(snakemake):
    folder = Path(snakemake.params.results)
    require_whole(folder)
    copies = [Path(copy).relative_to(folder).as_posix() for copy in snakemake.output.workflow]
    for source, copy in zip(snakemake.input.workflow, copies, strict=True):
        write_text(Path(source).read_text(encoding="utf-8"), folder / copy)

    cohorts = {name: Cohort.model_validate(cohort) for name, cohort in snakemake.params.cohorts.items()}
    for name, tree in snakemake.params.trees.items():
        cohorts[name] = cohorts[name].model_copy(update={"root": Path(tree)})

    files = [Path(file).relative_to(folder).as_posix() for file in snakemake.input.files]
    known = record(snakemake.params.study, folder, files, cohorts)
    write_json(known, snakemake.output.record)
    write_json(crate(known, folder, digests(folder, copies)), snakemake.output.crate)
