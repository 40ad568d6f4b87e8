"""Trains one student, or those of several seeds one after another."""

import logging
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

params, inputs, outputs = snakemake.params, snakemake.input, snakemake.output
training, arm, labels = Training.model_validate(params.training), Arm.model_validate(params.arm), params.labels
with torch_job(snakemake, training.processes, training.nodes) as device:
    tables = read_tables(params.cohort)
    store = ImageStore([Path(shard) for shard in params.shards])
    learnt = labelled_images(tables, store, "train", labels)
    if arm.teacher == "constant":
        learnt = taught_by_mean(learnt, params.problem)
    targets = read_npz(inputs.targets) if arm.privileged else None
    validation = labelled_images(tables, store, "validate", labels)
    image_teachers = inputs.image_teacher or [None] * len(params.seeds)

    for seed, image_teacher, model, history in zip(
        params.seeds, image_teachers, outputs.models, outputs.histories, strict=True
    ):
        logging.getLogger("mmpkd.students").info("seed %d", seed)
        images, folder = learnt, Path(model).parent
        if arm.teacher == "image":
            images = taught_by_image(images, load(image_teacher), training.batch_size, device)
        elif arm.privileged:
            images = taught(images, arm, targets, labels, np.random.default_rng(seed))

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
            save(trained.student, model, imaging=params.imaging, breast=params.breast, problem=params.problem)
            write_csv(trained.history, history)
            checkpoint.remove()
