"""Makes the first weights of all students."""

from mmpkd.config.students import StudentConfig, Training
from mmpkd.device import torch_job
from mmpkd.files import write_csv
from mmpkd.students.backbone import make_backbone
from mmpkd.students.vit import save

with torch_job(snakemake) as device:
    student, history = make_backbone(
        StudentConfig.model_validate(snakemake.params.student),
        Training.model_validate(snakemake.params.training),
        snakemake.params.size,
        device,
    )
    save(student, snakemake.output.model)
    write_csv(history, snakemake.output.history)
