"""Scores maps that owe nothing to training: uniform, centre, edges, untrained and pretrained."""

from collections import defaultdict
from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.controls import ControlCohort, control_scores
from mmpkd.evaluation.reliance import UNIFORM, Markers, uniform_rows
from mmpkd.evaluation.scores import Scoring, concatenate
from mmpkd.files import read_npz, write_parquet
from mmpkd.imaging.store import ImageStore, roi_masks
from mmpkd.job import job

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    maps, validation = (defaultdict(lambda: defaultdict(dict)) for _ in range(2))
    for arrays, keys, files in (
        (maps, params.maps, inputs.maps),
        (validation, params.validation, inputs.validation),
    ):
        for (control, seed, cohort), file in zip(keys, files, strict=True):
            arrays[control][seed][cohort] = read_npz(file)
    cohorts = {}
    for cohort, folder in params.cohorts.items():
        shards = [Path(shard) for shard in params.shards[cohort]]
        stored = roi_masks(shards), ImageStore(shards)
        cohorts[cohort] = ControlCohort(read_tables(folder), *stored, params.homes[cohort])
    scores = control_scores(
        attention=maps,
        cohorts=cohorts,
        scoring=Scoring(params.methods, params.metrics, params.tolerance),
        centre_sigma=params.centre_sigma,
        validation=validation,
    )
    marks = [
        uniform_rows(Markers.read(truth, folder), cohorts[cohort].tables, {**UNIFORM, "cohort": cohort})
        for (cohort, folder), truth in zip(params.twins.items(), inputs.truths, strict=True)
    ]
    write_parquet(concatenate([scores, *marks]), snakemake.output[0])
