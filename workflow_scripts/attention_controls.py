"""Exports maps and class tokens of students that were never fine-tuned: with random weights, and the backbone's."""

from pathlib import Path

from mmpkd.attention.export import export_maps
from mmpkd.attention.features import export_features, probe_images
from mmpkd.cohorts.tables import read_tables
from mmpkd.config.students import Student
from mmpkd.files import write_npz
from mmpkd.imaging.store import ImageStore
from mmpkd.models.student import create_control
from mmpkd.training.data import labelled_images
from mmpkd.training.device import torch_job

with torch_job(snakemake) as device:
    params = snakemake.params
    config = Student.model_validate(params.student)
    tables = {
        folder.name: read_tables(folder) for folder in sorted({Path(file).parent for file in snakemake.input.cohorts})
    }
    students = {
        (control, f"seed{seed}"): create_control(config, params.size, control, seed, snakemake.input.backbone)
        for control, seeds in params.controls.items()
        for seed in seeds
    }
    stores = {cohort: ImageStore([Path(folder) for folder in folders]) for cohort, folders in params.shards.items()}
    for split, files in (("test", snakemake.output.maps), ("validate", snakemake.output.validation)):
        files = [Path(file) for file in files]
        images = {
            cohort: labelled_images(tables[cohort], stores[cohort], split, []) for cohort in {f.stem for f in files}
        }
        for file in files:
            student = students[file.parents[1].name, file.parent.name.split(".")[0]]
            write_npz(export_maps(student, images[file.stem], params.methods, params.batch_size, device), file)
    if snakemake.output.features:
        learnt = probe_images(tables, stores, params.probed, params.probe_images, params.seed)
    for file in map(Path, snakemake.output.features):
        student = students[file.parent.name, file.name.split(".")[0]]
        write_npz(export_features(student, learnt, params.batch_size, device), file)
