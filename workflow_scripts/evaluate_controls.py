"""Scores maps that owe nothing to training: uniform, centre, untrained and pretrained."""

from collections import defaultdict
from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.controls import control_scores
from mmpkd.evaluation.scores import Scoring
from mmpkd.files import read_npz, write_parquet
from mmpkd.imaging.store import roi_masks
from mmpkd.job import job

with job(snakemake):
    maps, validation = (defaultdict(lambda: defaultdict(dict)) for _ in range(2))
    for arrays, files in ((maps, snakemake.input.maps), (validation, snakemake.input.validation)):
        for file in map(Path, files):
            control, seed = file.parents[1].name, int(file.parent.name.split(".")[0].removeprefix("seed"))
            arrays[control][seed][file.stem] = read_npz(file)
    folders = sorted({Path(file).parent for file in snakemake.input.cohorts})
    scores = control_scores(
        attention=maps,
        rois={
            cohort: roi_masks([Path(shard) for shard in shards]) for cohort, shards in snakemake.params.shards.items()
        },
        cohorts={folder.name: read_tables(folder) for folder in folders},
        methods=snakemake.params.methods,
        centre_sigma=snakemake.params.centre_sigma,
        scoring=Scoring(snakemake.params.metrics, snakemake.params.tolerance),
        homes=snakemake.params.homes,
        validation=validation,
    )
    write_parquet(scores, snakemake.output[0])
