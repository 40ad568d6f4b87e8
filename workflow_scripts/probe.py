"""Reads the labels of other domains from the class tokens of an arm's students, or of a control's."""

from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.probe import probe_scores
from mmpkd.evaluation.scores import concatenate
from mmpkd.files import read_npz, write_parquet
from mmpkd.job import job

with job(snakemake):
    labels, penalty = snakemake.params.labels, snakemake.params.penalty
    cohorts = {folder.name: read_tables(folder) for folder in {Path(file).parent for file in snakemake.input.cohorts}}
    scores = []
    for file in map(Path, snakemake.input.features):
        name = file.name.removesuffix(".features.npz")
        tested = {cohort: read_npz(file.with_name(name) / f"{cohort}.npz") for cohort in labels}
        names = {"domain": file.parents[1].name, "arm": file.parent.name, "seed": int(name.removeprefix("seed"))}
        scores.append(probe_scores(read_npz(file), tested, cohorts, labels, penalty, **names))
    write_parquet(concatenate(scores), snakemake.output[0])
