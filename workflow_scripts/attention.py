"""Exports attention maps and logits of one student on the test images of all cohorts."""

from pathlib import Path

from mmpkd.attention.export import export_maps
from mmpkd.cohorts.tables import read_tables
from mmpkd.files import write_npz
from mmpkd.imaging.store import ImageStore
from mmpkd.logs import log_to
from mmpkd.models.student import load
from mmpkd.training.data import labelled_images
from mmpkd.training.device import resolve_device, use_threads

log_to(snakemake.log[0])
use_threads(snakemake.threads)
device, params = resolve_device(snakemake.params.device), snakemake.params
student = load(snakemake.input.model)
folders = sorted({Path(file).parent for file in snakemake.input.cohorts})
tables = {folder.name: read_tables(folder) for folder in folders}
for file in snakemake.output:
    cohort = Path(file).stem
    store = ImageStore([Path(folder) for folder in params.shards[cohort]])
    images = labelled_images(tables[cohort], store, "test", [])
    write_npz(export_maps(student, images, params.methods, params.batch_size, device, params.problem), file)
