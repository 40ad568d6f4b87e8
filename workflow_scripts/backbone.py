"""Makes the first weights of all students."""

from mmpkd.config.students import Student, Training
from mmpkd.files import write_csv
from mmpkd.logs import log_to
from mmpkd.models.student import save
from mmpkd.recovery.receipts import write_receipt
from mmpkd.training.backbone import make_backbone
from mmpkd.training.device import resolve_device, use_threads

log_to(snakemake.log[0])
use_threads(snakemake.threads)
student, history = make_backbone(
    Student.model_validate(snakemake.params.student),
    Training.model_validate(snakemake.params.training),
    snakemake.params.size,
    resolve_device(snakemake.params.device),
)
save(student, snakemake.output.model)
write_csv(history, snakemake.output.history)
write_receipt(snakemake.output, snakemake.log[0])
