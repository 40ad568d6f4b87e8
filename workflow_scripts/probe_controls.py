"""Reads the labels of every domain from the features of students that were never fine-tuned."""

from pathlib import Path

from mmpkd.config.evaluation import Evaluation
from mmpkd.config.students import Student
from mmpkd.evaluation.probe import probe_scores, probe_tasks
from mmpkd.evaluation.scores import concatenate
from mmpkd.files import write_parquet
from mmpkd.logs import log_to
from mmpkd.models.student import create_control
from mmpkd.recovery.receipts import write_receipt
from mmpkd.training.device import resolve_device, use_threads

log_to(snakemake.log[0])
use_threads(snakemake.threads)
params, config = snakemake.params, Student.model_validate(snakemake.params.student)
evaluation, device = Evaluation.model_validate(params.evaluation), resolve_device(params.device)
folders = {Path(file).parent for file in snakemake.input.cohorts}
tasks = probe_tasks(folders, params.shards, params.labels, evaluation)
scores = []
for control, seeds in params.controls.items():
    for seed in seeds:
        student = create_control(config, params.size, control, seed, snakemake.input.backbone)
        names = {"domain": "control", "arm": control, "seed": seed}
        scores.append(probe_scores(student, tasks, evaluation.probe, params.batch_size, device, **names))
write_parquet(concatenate(scores), snakemake.output[0])
write_receipt(snakemake.output, snakemake.log[0])
