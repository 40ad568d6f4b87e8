"""Makes the first weights of all students."""

from mmpkd.config.students import Student, Training
from mmpkd.files import write_csv
from mmpkd.models.student import save
from mmpkd.training.backbone import make_backbone
from mmpkd.training.device import torch_job

with torch_job(snakemake) as device:
    student, history = make_backbone(
        Student.model_validate(snakemake.params.student),
        Training.model_validate(snakemake.params.training),
        snakemake.params.size,
        device,
    )
    save(student, snakemake.output.model)
    write_csv(history, snakemake.output.history)
