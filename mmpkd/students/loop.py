"""The one training loop, for every student of every arm and for the backbone."""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from mmpkd.auroc import macro_auroc
from mmpkd.config.students import Training
from mmpkd.logs import Bar
from mmpkd.students import engine
from mmpkd.students.checkpoint import Checkpoint
from mmpkd.students.data import Feed, LabelledImages, Task, seed_of
from mmpkd.students.engine import make_learner, outputs_of
from mmpkd.students.events import Events
from mmpkd.students.losses import arm_loss
from mmpkd.students.optimizer import MovingAverage, learning_rate_factor, make_optimizer, ramp_factor, set_learning_rate
from mmpkd.students.progress import Run
from mmpkd.students.vit import Student, log_odds

log = logging.getLogger("mmpkd.students")


@dataclass
class Trained:
    """The student with the weights of the selected epoch, and one row per epoch.

    Attributes:
        leads: whether this is the process that writes the results, of several that trained together.
    """

    student: Student
    history: pd.DataFrame
    leads: bool


def train(
    student: Student,
    task: Task,
    training: Training,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    events: Events | None = None,
) -> Trained:
    """Trains `student` and selects the epoch with the best macro AUROC on the validation labels.

    `seed` decides the data order and the augmentation, and is the same for all arms. Regions of interest play no part.

    Args:
        student: with its first weights.
        task: images, losses and problem.
        training: the schedule.
        seed: of order, augmentation, the model's own dropout and the projector.
        device: of this process.
        checkpoint: what to continue from, and where the run is kept; None: nowhere.
        events: where rows of the history go as well.
    """
    arm, problem = task.arm, task.problem
    fabric = engine.start(training, device)
    feed = Feed(task.images, training, seed, fabric.global_rank, fabric.world_size)
    learner = make_learner(student, task.images, arm, seed)
    model = engine.wrapped(fabric, learner, training)
    optimizer = make_optimizer(learner, training)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    average = MovingAverage(student, training.ema) if training.ema else None
    judged = average.module if average else student
    run = Run(learner, optimizer, average)
    if checkpoint:
        run.go_on(checkpoint)

    steps = feed.steps * training.epochs
    done = ((run.epoch - 1) * feed.steps + run.step) * feed.batch_size
    bar = Bar("training", steps * feed.batch_size, "image", done=done, note=run.note)
    with torch.random.fork_rng(devices=[fabric.device] if device.type == "cuda" else []), bar:
        for epoch in range(run.epoch, training.epochs + 1):
            model.train()
            for step, batch in feed.epoch(epoch, run.step):
                at = (epoch - 1) * feed.steps + step
                seed_dropout(seed_of(seed, epoch, step, fabric.global_rank), fabric.device)
                set_learning_rate(optimizer, learning_rate_factor(at, steps, training))
                batch = batch.to(fabric.device)
                outputs = engine.gathered(fabric, outputs_of(model(batch.images)))
                terms = arm_loss(arm, outputs, batch.targets, problem, ramp_factor(at, steps, arm.ramp))
                optimizer.zero_grad(set_to_none=True)
                fabric.backward(terms["loss"] * fabric.world_size)  # the mean over processes is the batch's gradient
                nn.utils.clip_grad_norm_(parameters, training.clip)
                optimizer.step()
                if average:
                    average.follow()
                run.add(terms)
                bar.advance(feed.batch_size)
                if checkpoint and fabric.is_global_zero and checkpoint.due():
                    run.keep(checkpoint)
            logits = predict(judged, task.validation, training.batch_size, fabric.device, problem)
            auroc = fabric.broadcast(macro_auroc(logits, task.validation.labels))
            run.close_epoch(auroc, judged)
            if events and fabric.is_global_zero:
                events.write(run.rows[-1])
            if training.patience and run.epochs_without_gain >= training.patience:
                log.info("stopped after epoch %d: no better validation AUROC in %d epochs", epoch, training.patience)
                break

    student.load_state_dict(run.best_state)
    return Trained(student.cpu().eval(), run.history(), fabric.is_global_zero)


def seed_dropout(seed: int, device: torch.device) -> None:
    """Seeds what a model's own dropout draws from, of this device alone: `torch.manual_seed` asks all kinds of them.

    Args:
        seed: of the student.
        device: on which it trains.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@torch.no_grad()
def predict(
    student: Student, images: LabelledImages, batch_size: int, device: torch.device, problem: str = "multi_label"
) -> np.ndarray:
    """What a student says of images, without augmentation.

    Args:
        student: on `device`; it is put into evaluation mode.
        images: N of them.
        batch_size: images per forward pass.
        device: where it runs.
        problem: multi_label or single_label.

    Returns:
        Log-odds N x L of all rows, in order.
    """
    student.eval()
    logits = [student(batch.images.to(device)).logits.cpu() for batch in images.batches(batch_size)]
    return log_odds(torch.cat(logits), problem).numpy()
