"""Trains one student."""

from pathlib import Path

import numpy as np

from mmpkd.cohorts.tables import read_tables
from mmpkd.config.students import Arm, Student, Training
from mmpkd.files import read_npz, write_csv
from mmpkd.imaging.store import ImageStore
from mmpkd.logs import log_to
from mmpkd.models.student import create, load_backbone, save
from mmpkd.training.data import add_teacher, labelled_images, shuffle_among_patients
from mmpkd.training.loop import resolve_device, train, use_threads

log_to(snakemake.log[0])
use_threads(snakemake.threads)
seed, labels = int(snakemake.wildcards.seed), snakemake.params.labels
arm = Arm.model_validate(snakemake.params.arm)

tables = read_tables(Path(snakemake.input.cohort[0]).parent)
store = ImageStore([Path(folder) for folder in snakemake.params.shards])
training_images = labelled_images(tables, store, "train", labels)
validation_images = labelled_images(tables, store, "validate", labels)
if arm.teacher != "none":
    rows = np.arange(len(training_images))
    if arm.teacher == "shuffled":
        rows = shuffle_among_patients(training_images.patients, np.random.default_rng(seed))
    add_teacher(training_images, read_npz(snakemake.input.targets), labels, rows)

student = create(Student.model_validate(snakemake.params.student), snakemake.params.size, labels, seed)
load_backbone(student, snakemake.input.backbone)
trained = train(
    student,
    training_images,
    validation_images,
    arm,
    Training.model_validate(snakemake.params.training),
    seed,
    resolve_device(snakemake.params.device),
)
save(trained.student, snakemake.output.model)
write_csv(trained.history, snakemake.output.history)
