"""Exports maps and class tokens of students that were never fine-tuned: with random weights, and the backbone's."""

from pathlib import Path

from mmpkd.attention.export import export_features, export_maps, probe_images
from mmpkd.cohorts.tables import read_tables
from mmpkd.config.students import StudentConfig
from mmpkd.device import torch_job
from mmpkd.files import write_npz
from mmpkd.imaging.store import ImageStore
from mmpkd.students.data import labelled_images
from mmpkd.students.vit import create_control

with torch_job(snakemake) as device:
    params, outputs = snakemake.params, snakemake.output
    config = StudentConfig.model_validate(params.student)
    students = {
        (control, seed): create_control(config, params.size, control, seed, snakemake.input.backbone)
        for control, seed in params.students
    }
    tables = {cohort: read_tables(folder) for cohort, folder in params.cohorts.items()}
    stores = {cohort: ImageStore([Path(folder) for folder in folders]) for cohort, folders in params.shards.items()}
    wanted = [("test", params.maps, outputs.maps), ("validate", params.validation, outputs.validation)]
    for split, keys, files in wanted:
        cohorts = {cohort for _, _, cohort in keys}
        images = {cohort: labelled_images(tables[cohort], stores[cohort], split, []) for cohort in cohorts}
        for (control, seed, cohort), file in zip(keys, files, strict=True):
            student = students[control, seed]
            write_npz(export_maps(student, images[cohort], params.methods, params.batch_size, device), file)
    if outputs.features:
        learnt = probe_images(tables, stores, params.probed, params.probe_images, params.seed)
        for key, file in zip(params.students, outputs.features, strict=True):
            write_npz(export_features(students[tuple(key)], learnt, params.batch_size, device), file)
