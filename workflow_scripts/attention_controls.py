"""Exports attention maps of students that were never fine-tuned: random weights, and the backbone's."""

from pathlib import Path

from mmpkd.attention.export import export_maps
from mmpkd.cohorts.tables import read_tables
from mmpkd.config.students import Student
from mmpkd.files import write_npz
from mmpkd.imaging.store import ImageStore
from mmpkd.logs import log_to
from mmpkd.models.student import create, load_backbone
from mmpkd.training.data import labelled_images
from mmpkd.training.device import resolve_device, use_threads

log_to(snakemake.log[0])
use_threads(snakemake.threads)
device, params = resolve_device(snakemake.params.device), snakemake.params
config = Student.model_validate(params.student)
folders = sorted({Path(file).parent for file in snakemake.input.cohorts})
images = {
    folder.name: labelled_images(
        read_tables(folder), ImageStore([Path(shard) for shard in params.shards[folder.name]]), "test", []
    )
    for folder in folders
}
for file in map(Path, snakemake.output):
    cohort, seed, control = file.stem, int(file.parent.name.removeprefix("seed")), file.parent.parent.name
    student = create(config, params.size, ["none"], seed)
    if control == "pretrained":
        load_backbone(student, snakemake.input.backbone)
    write_npz(export_maps(student, images[cohort], params.methods, params.batch_size, device), file)
