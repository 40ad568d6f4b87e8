"""What a step of training costs, against a bare loop, an online teacher and other trainers.

Run from the repository's root: python -m benchmarks.train [--rounds 5] [--models demo small] [--images 2048]

One process, one thread, float32, on the CPU; time of the processor, so that waiting for other work on the machine
does not count. Each round runs every candidate once for one epoch of the same images, in rotating order; a row has
the median of the rounds, and of the ratios within a round. Candidates:

bare            forward, loss, backward, clipping, step on batches of a tensor in memory; labels alone, no augmentation
loop baseline   mmpkd.students.loop.train, labels alone: shuffled reading of the uint8 store, augmentation, history
loop mmpkd      the same with the teacher's cached logits
loop mmpkd+     with logits and embedding
online teacher  bare, with the frozen text encoder run on the batch's reports in every step (demo alone)
timm            timm's optimizer, scheduler, clipping and meter in the order of its training script, which is no part of
                the package, on a torch DataLoader
Trainer         transformers.Trainer on the same data set in memory (needs the package accelerate)
"""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.rounds import measure, ratio
from mmpkd.config.demo import DEMO
from mmpkd.config.students import Arm, StudentConfig
from mmpkd.config.teachers import Encoder
from mmpkd.device import use_threads
from mmpkd.students.data import ArrayStore, LabelledImages, Task, with_teacher
from mmpkd.students.loop import train
from mmpkd.students.vit import Student, create
from mmpkd.teachers.encoder import pad, pooled, text_windows
from mmpkd.teachers.encoder_loading import load_encoder

CPU = torch.device("cpu")
LABELS = ["a", "b", "c", "d", "e"]
WIDTH = 384  # of the teacher's embedding, as of MiniLM
REPORT = (
    "FINDINGS: The cardiac silhouette is mildly enlarged. There is a small left pleural effusion with adjacent basilar "
    "opacity, likely atelectasis. No pneumothorax is seen. IMPRESSION: Small left effusion. Study number {}."
)
MODELS = {
    "demo": (DEMO.student, DEMO.imaging.size, DEMO.training.batch_size),
    "small": (StudentConfig(model="vit_small_patch16_224", arguments={}), 224, 32),
}


class Candidates:
    """One epoch of each candidate, which gives its number of steps; all see the same images."""

    def __init__(self, model: str, images: int) -> None:
        self.model, self.config, (size, self.batch) = model, MODELS[model][0], MODELS[model][1:]
        self.size = size
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (images, size, size)).astype(np.uint8)
        labels = (rng.random((images, len(LABELS))) < 0.3).astype(np.float32)
        self.plain = LabelledImages(ArrayStore(pixels), np.arange(images), labels)
        self.taught = with_teacher(self.plain, rng.normal(size=labels.shape), rng.normal(size=(images, WIDTH)))
        # validation is not what is measured
        self.few = LabelledImages(ArrayStore(pixels[:1]), np.arange(1), labels[:1])
        self.training = DEMO.training.model_copy(update={"epochs": 1, "batch_size": self.batch})
        self.encoder = None
        self.texts = [REPORT.format(number) for number in range(images)]

    def student(self) -> Student:
        return create(self.config, self.size, LABELS, 0)

    def loop(self, arm: Arm) -> int:
        images = self.plain if arm.teacher == "none" else self.taught
        train(self.student(), Task(images, self.few, arm), self.training, 0, CPU)
        return len(images) // self.batch

    def bare(self, in_step: Callable[[np.ndarray], None] = lambda rows: None, images: int | None = None) -> int:
        student = self.student().train()
        optimizer = torch.optim.AdamW(student.parameters(), 1e-3, weight_decay=0.05, fused=True)
        pixels = torch.from_numpy(self.plain.store.images[:images])[:, None].float().div_(255)
        labels = torch.from_numpy(self.plain.labels)
        for start in range(0, len(pixels) - self.batch + 1, self.batch):
            rows = np.arange(start, start + self.batch)
            in_step(rows)
            loss = binary_cross_entropy_with_logits(student(pixels[rows]).logits, labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
        return len(pixels) // self.batch

    @torch.no_grad()
    def read_reports(self, rows: np.ndarray) -> None:
        """What an online teacher adds to a step: its forward on the batch's reports."""
        self.encoder = self.encoder or load_encoder(Encoder())
        windows, _ = text_windows(self.encoder, [self.texts[row] for row in rows])
        pooled(self.encoder, self.encoder.model, *pad(self.encoder, windows))

    def timm(self) -> int:
        from timm.optim import create_optimizer_v2
        from timm.scheduler import create_scheduler_v2
        from timm.utils import AverageMeter, dispatch_clip_grad

        student, steps = self.student().train(), len(self.plain) // self.batch
        optimizer = create_optimizer_v2(student, opt="adamw", lr=1e-3, weight_decay=0.05)
        scheduler, _ = create_scheduler_v2(
            optimizer, "cosine", num_epochs=1, warmup_epochs=0, step_on_epochs=False, updates_per_epoch=steps
        )
        loader = torch.utils.data.DataLoader(InMemory(self.plain), self.batch, shuffle=True, drop_last=True)
        meter, loss_of = AverageMeter(), torch.nn.BCEWithLogitsLoss()
        for number, item in enumerate(loader):
            loss = loss_of(student(item["images"]).logits, item["labels"])
            optimizer.zero_grad()
            loss.backward()
            dispatch_clip_grad(student.parameters(), 1.0, mode="norm")
            optimizer.step()
            meter.update(loss.item(), self.batch)
            scheduler.step_update(num_updates=number + 1, metric=meter.avg)
        return steps

    def trainer(self) -> int:
        from transformers import Trainer, TrainingArguments

        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder,
                num_train_epochs=1,
                per_device_train_batch_size=self.batch,
                learning_rate=1e-3,
                weight_decay=0.05,
                lr_scheduler_type="cosine",
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                dataloader_drop_last=True,
                dataloader_pin_memory=False,
                optim="adamw_torch_fused",
            )
            Trainer(WithLoss(self.student()), arguments, train_dataset=InMemory(self.plain)).train()
        return len(self.plain) // self.batch


class InMemory(torch.utils.data.Dataset):
    """Single images, as other trainers read them: not augmented, which favours them."""

    def __init__(self, images: LabelledImages) -> None:
        self.images = torch.from_numpy(images.store.images)
        self.labels = torch.from_numpy(images.labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"images": self.images[row][None].float().div_(255), "labels": self.labels[row]}


class WithLoss(torch.nn.Module):
    """The student as transformers.Trainer calls it."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """The loss and the logits of a batch."""
        logits = self.student(images).logits
        return {"loss": binary_cross_entropy_with_logits(logits, labels), "logits": logits}


def candidates_of(model: str, images: int) -> dict[str, Callable[[], int]]:
    c = Candidates(model, images)
    logits = {"label": 1.0, "logit": 1.0}
    found = {
        "bare": c.bare,
        "loop baseline": lambda: c.loop(Arm()),
        "loop mmpkd": lambda: c.loop(Arm(teacher="privileged", losses=logits)),
        "loop mmpkd+": lambda: c.loop(Arm(teacher="privileged", losses={**logits, "embedding_cosine": 1.0})),
        "timm": c.timm,
    }
    if find_spec("accelerate"):
        found["Trainer"] = c.trainer
    if model == "demo":
        found["online teacher"] = lambda: c.bare(c.read_reports, 4 * c.batch)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--only", nargs="+", metavar="CANDIDATE", help="these candidates beside bare and loop baseline")
    parser.add_argument("--images", type=int, default=2048, help="images per epoch; a thirty-second of it for ViT-S/16")
    arguments = parser.parse_args()
    use_threads(1)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "transformers", "lightning-fabric"))
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {packages}\n")
    print("| student | candidate | ms per step | images/s | time / bare | time / loop baseline |")
    print("|---|---|---|---|---|---|")
    for model in arguments.models:
        images = arguments.images if model == "demo" else max(arguments.images // 32, 2 * MODELS[model][2])
        candidates = candidates_of(model, images)
        if arguments.only:
            chosen = {"bare", "loop baseline", *arguments.only}
            candidates = {name: run for name, run in candidates.items() if name in chosen}
        seconds = measure(candidates, arguments.rounds, units=int)
        for name, values in seconds.items():
            step = statistics.median(values)
            ratios = [ratio(values, seconds[other]) for other in ("bare", "loop baseline")]
            print(
                f"| {model} | {name} | {1e3 * step:.1f} | {MODELS[model][2] / step:.0f} "
                f"| {ratios[0]:.3f} | {ratios[1]:.3f} |"
            )


if __name__ == "__main__":
    main()
