"""Reads the labels of other domains from the features of an arm's students."""

from pathlib import Path

from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.probe import probe_scores, probe_tasks
from mmpkd.evaluation.scores import concatenate
from mmpkd.files import write_parquet
from mmpkd.logs import log_to
from mmpkd.models.student import load
from mmpkd.recovery.receipts import write_receipt
from mmpkd.training.device import resolve_device, use_threads

log_to(snakemake.log[0])
use_threads(snakemake.threads)
wildcards, params = snakemake.wildcards, snakemake.params
evaluation, device = Evaluation.model_validate(params.evaluation), resolve_device(params.device)
folders = {Path(file).parent for file in snakemake.input.cohorts}
tasks = probe_tasks(folders, params.shards, params.labels, evaluation)
scores = []
for file in map(Path, snakemake.input.models):
    names = {"domain": wildcards.domain, "arm": wildcards.arm, "seed": int(file.parent.name.removeprefix("seed"))}
    scores.append(probe_scores(load(file), tasks, evaluation.probe, params.batch_size, device, **names))
write_parquet(concatenate(scores), snakemake.output[0])
write_receipt(snakemake.output, snakemake.log[0])
