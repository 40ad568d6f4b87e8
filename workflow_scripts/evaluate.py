"""Scores the maps and logits of an arm's students on all cohorts."""

from collections import defaultdict
from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.scores import Scoring, concatenate, student_scores, tuned_thresholds
from mmpkd.files import read_npz, write_parquet
from mmpkd.imaging.store import roi_masks
from mmpkd.job import job

with job(snakemake):
    wildcards, params = snakemake.wildcards, snakemake.params
    cohorts = {
        folder.name: read_tables(folder) for folder in sorted({Path(file).parent for file in snakemake.input.cohorts})
    }
    rois = {cohort: roi_masks([Path(shard) for shard in shards]) for cohort, shards in params.shards.items()}
    scoring = Scoring(params.metrics, params.tolerance)
    thresholds = {
        Path(file).name.removesuffix(".validate.npz"): tuned_thresholds(
            read_npz(file), rois[params.home], params.methods
        )
        for file in snakemake.input.validation
    }
    maps = defaultdict(dict)
    for file in map(Path, snakemake.input.maps):
        maps[file.parent.name][file.stem] = file
    scores = []
    for name, files in maps.items():
        attention = {cohort: read_npz(file) for cohort, file in files.items()}
        student = (wildcards.domain, wildcards.arm, int(name.removeprefix("seed")))
        scores.append(student_scores(*student, attention, rois, cohorts, params.methods, scoring, thresholds.get(name)))
    write_parquet(concatenate(scores), snakemake.output[0])
