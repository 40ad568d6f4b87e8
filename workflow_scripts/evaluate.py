"""Scores the maps and logits of an arm's students on all cohorts."""

from collections import defaultdict
from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.design import StudentKey
from mmpkd.evaluation.reliance import Markers, reliance_rows, split_twins
from mmpkd.evaluation.scores import Scoring, concatenate, student_scores, tuned_thresholds
from mmpkd.files import read_npz, write_parquet
from mmpkd.imaging.store import roi_masks
from mmpkd.job import job

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    domain, arm = snakemake.wildcards.domain, snakemake.wildcards.arm
    cohorts = {cohort: read_tables(folder) for cohort, folder in params.cohorts.items()}
    rois = {cohort: roi_masks([Path(shard) for shard in shards]) for cohort, shards in params.shards.items()}
    scoring = Scoring(params.methods, params.metrics, params.tolerance)
    thresholds = {}
    if inputs.validation:
        for seed, file in zip(params.seeds, inputs.validation, strict=True):
            thresholds[seed] = tuned_thresholds(read_npz(file), rois[params.home], params.methods)
    truths = dict(zip(params.twins, inputs.truths, strict=True))
    markers = {cohort: Markers.read(truths[cohort], folder) for cohort, folder in params.twins.items()}
    twins = dict(zip(params.seeds, inputs.twin_maps, strict=True)) if params.twins else {}
    maps = defaultdict(dict)
    for (seed, cohort), file in zip(params.maps, inputs.maps, strict=True):
        maps[seed][cohort] = file
    scores = []
    for seed, files in maps.items():
        attention = {cohort: read_npz(file) for cohort, file in files.items()}
        student = StudentKey(domain, arm, seed)
        scores.append(student_scores(student, attention, rois, cohorts, scoring, thresholds.get(seed)))
        for cohort, twin in split_twins(read_npz(twins[seed])).items() if twins else ():
            names = {**student._asdict(), "cohort": cohort}
            scores.append(
                reliance_rows(attention[cohort], twin, markers[cohort], cohorts[cohort], params.methods, names)
            )
    write_parquet(concatenate(scores), snakemake.output[0])
