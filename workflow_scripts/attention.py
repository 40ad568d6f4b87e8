"""Exports attention maps, logits and class tokens of an arm's students on the test images of all cohorts."""

from pathlib import Path

from mmpkd.attention.export import export_maps
from mmpkd.attention.features import export_features, probe_images
from mmpkd.cohorts.tables import read_tables
from mmpkd.files import write_npz
from mmpkd.imaging.store import ImageStore
from mmpkd.models.student import load
from mmpkd.training.data import labelled_images
from mmpkd.training.device import torch_job

with torch_job(snakemake) as device:
    params = snakemake.params
    students = {Path(file).parent.name: load(file) for file in snakemake.input.models}
    tables = {
        folder.name: read_tables(folder) for folder in sorted({Path(file).parent for file in snakemake.input.cohorts})
    }
    stores = {cohort: ImageStore([Path(folder) for folder in folders]) for cohort, folders in params.shards.items()}
    images = {cohort: labelled_images(tables[cohort], stores[cohort], "test", []) for cohort in stores}
    for file in map(Path, snakemake.output.maps):
        student = students[file.parent.name]
        write_npz(
            export_maps(student, images[file.stem], params.methods, params.batch_size, device, params.problem), file
        )
    if snakemake.output.validation:
        validation = labelled_images(tables[params.home], stores[params.home], "validate", [])
    for file in map(Path, snakemake.output.validation):
        student = students[file.name.removesuffix(".validate.npz")]
        write_npz(export_maps(student, validation, params.methods, params.batch_size, device, params.problem), file)
    if snakemake.output.features:
        learnt = probe_images(tables, stores, params.probed, params.probe_images, params.seed)
    for file in map(Path, snakemake.output.features):
        student = students[file.name.removesuffix(".features.npz")]
        write_npz(export_features(student, learnt, params.batch_size, device), file)
