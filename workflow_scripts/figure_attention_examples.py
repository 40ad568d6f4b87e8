"""Draws attention maps of images that a rule picks."""

from collections import defaultdict
from pathlib import Path

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.files import read_npz
from mmpkd.imaging.store import ImageStore, roi_masks
from mmpkd.job import job
from mmpkd.plotting.attention_examples import assemble, draw, select_examples
from mmpkd.plotting.style import save

with job(snakemake):
    params = snakemake.params
    evaluation = Evaluation.model_validate(params.evaluation)
    design = Design.of(params.design)
    chosen = select_examples(pd.read_parquet(snakemake.input.scores), evaluation, design)
    folders = {cohort: [Path(folder) for folder in params.shards[cohort]] for cohort in chosen["cohort"].unique()}
    attention = defaultdict(list)
    for (domain, arm, _, cohort), file in zip(params.maps, snakemake.input.maps, strict=True):
        if cohort in folders:
            attention[domain, arm, cohort].append(read_npz(file))
    examples = assemble(
        chosen,
        {cohort: ImageStore(paths) for cohort, paths in folders.items()},
        {cohort: roi_masks(paths) for cohort, paths in folders.items()},
        attention,
        evaluation.methods[0],
    )
    save(*draw(examples, evaluation, design, params.withheld), *snakemake.output, phantoms=params.phantoms)
