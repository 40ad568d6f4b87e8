"""Exports attention maps, logits and class tokens of an arm's students on the test images of all cohorts."""

from pathlib import Path

from mmpkd.attention.export import export_features, export_maps, export_twins, probe_images
from mmpkd.cohorts.tables import read_tables
from mmpkd.device import torch_job
from mmpkd.files import write_npz
from mmpkd.imaging.store import ImageStore
from mmpkd.students.data import labelled_images
from mmpkd.students.vit import load

with torch_job(snakemake) as device:
    params, outputs = snakemake.params, snakemake.output
    exported = {"methods": params.methods, "batch_size": params.batch_size, "device": device, "problem": params.problem}
    students = dict(zip(params.seeds, map(load, snakemake.input.models), strict=True))
    tables = {cohort: read_tables(folder) for cohort, folder in params.cohorts.items()}
    stores = {cohort: ImageStore([Path(folder) for folder in folders]) for cohort, folders in params.shards.items()}
    images = {cohort: labelled_images(tables[cohort], stores[cohort], "test", []) for cohort in stores}
    for (seed, cohort), file in zip(params.maps, outputs.maps, strict=True):
        write_npz(export_maps(students[seed], images[cohort], **exported), file)
    if outputs.validation:
        validation = labelled_images(tables[params.home], stores[params.home], "validate", [])
        for seed, file in zip(params.seeds, outputs.validation, strict=True):
            write_npz(export_maps(students[seed], validation, **exported), file)
    if outputs.features:
        learnt = probe_images(tables, stores, params.probed, params.probe_images, params.seed)
        for seed, file in zip(params.seeds, outputs.features, strict=True):
            write_npz(export_features(students[seed], learnt, params.batch_size, device), file)
    if outputs.twins:
        twins = {
            cohort: labelled_images(tables[cohort], ImageStore([folder]), "test", [])
            for cohort, folder in params.twins.items()
        }
        for seed, file in zip(params.seeds, outputs.twins, strict=True):
            write_npz(export_twins(students[seed], twins, **exported), file)
