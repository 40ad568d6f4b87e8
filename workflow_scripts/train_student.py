"""Trains one student."""

from pathlib import Path

import numpy as np

from mmpkd.cohorts.tables import read_tables
from mmpkd.config.students import Arm, StudentConfig, Training
from mmpkd.device import torch_job
from mmpkd.files import read_npz, write_csv
from mmpkd.imaging.store import ImageStore
from mmpkd.students.checkpoint import Checkpoint, identity_of
from mmpkd.students.data import Task, labelled_images
from mmpkd.students.events import Events
from mmpkd.students.loop import train
from mmpkd.students.teaching import taught, taught_by_image, taught_by_mean
from mmpkd.students.vit import create, load, load_backbone, save

params, inputs, folder = snakemake.params, snakemake.input, Path(snakemake.output.model).parent
training = Training.model_validate(params.training)
with torch_job(snakemake, training.processes, training.nodes) as device:
    arm, seed, labels = Arm.model_validate(params.arm), int(snakemake.wildcards.seed), params.labels
    tables = read_tables(params.cohort)
    store = ImageStore([Path(shard) for shard in params.shards])
    images = labelled_images(tables, store, "train", labels)
    validation = labelled_images(tables, store, "validate", labels)
    if arm.teacher == "image":
        images = taught_by_image(images, load(inputs.image_teacher), training.batch_size, device)
    elif arm.teacher == "constant":
        images = taught_by_mean(images, params.problem)
    elif arm.privileged:
        images = taught(images, arm, read_npz(inputs.targets), labels, np.random.default_rng(seed))

    student = create(StudentConfig.model_validate(params.student), params.size, labels, seed)
    load_backbone(student, inputs.backbone)
    settings = [params.code, params.arm, params.training, params.student, params.problem, params.size, labels, seed]
    identity = identity_of([*settings, *map(Path, inputs)])
    checkpoint = Checkpoint(folder / "checkpoint.safetensors", identity, training.checkpoint_minutes)
    events = Events(folder / "events" if training.tensorboard else None)
    task = Task(images, validation, arm, params.problem)
    trained = train(student, task, training, seed, device, checkpoint, events)
    events.close()
    if trained.leads:
        save(trained.student, snakemake.output.model)
        write_csv(trained.history, snakemake.output.history)
        checkpoint.remove()
