"""Scores the maps and logits of one student on all cohorts."""

from pathlib import Path

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.scores import student_scores
from mmpkd.files import read_npz, write_parquet
from mmpkd.imaging.store import roi_masks
from mmpkd.logs import log_to

log_to(snakemake.log[0])
folders = sorted({Path(file).parent for file in snakemake.input.cohorts})
scores = student_scores(
    domain=snakemake.wildcards.domain,
    arm=snakemake.wildcards.arm,
    seed=int(snakemake.wildcards.seed),
    attention={Path(file).stem: read_npz(file) for file in snakemake.input.maps},
    rois={cohort: roi_masks([Path(shard) for shard in shards]) for cohort, shards in snakemake.params.shards.items()},
    cohorts={folder.name: read_tables(folder) for folder in folders},
    methods=snakemake.params.methods,
    metrics=snakemake.params.metrics,
    tolerance=snakemake.params.tolerance,
)
write_parquet(scores, snakemake.output[0])
