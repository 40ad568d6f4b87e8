"""Scores maps that owe nothing to training: uniform, centre, untrained and pretrained."""

from collections import defaultdict
from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.scores import control_scores
from mmpkd.files import read_npz, write_parquet
from mmpkd.imaging.store import roi_masks
from mmpkd.logs import log_to

log_to(snakemake.log[0])
attention = defaultdict(lambda: defaultdict(dict))
for file in map(Path, snakemake.input.maps):
    control, seed = file.parent.parent.name, int(file.parent.name.removeprefix("seed"))
    attention[control][seed][file.stem] = read_npz(file)
folders = sorted({Path(file).parent for file in snakemake.input.cohorts})
scores = control_scores(
    attention=attention,
    rois={cohort: roi_masks([Path(shard) for shard in shards]) for cohort, shards in snakemake.params.shards.items()},
    cohorts={folder.name: read_tables(folder) for folder in folders},
    methods=snakemake.params.methods,
    metrics=snakemake.params.metrics,
    tolerance=snakemake.params.tolerance,
    centre_sigma=snakemake.params.centre_sigma,
)
write_parquet(scores, snakemake.output[0])
