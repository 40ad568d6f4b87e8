"""How far a run of training has come: its history, its best weights, and what of it a checkpoint keeps."""

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from mmpkd.config.students import LOSSES
from mmpkd.students.checkpoint import Checkpoint, Tensors
from mmpkd.students.engine import Learner
from mmpkd.students.optimizer import MovingAverage

log = logging.getLogger("mmpkd.students")

COUNTERS = ("epoch", "step", "rate", "rows", "best", "best_epoch")


@dataclass
class Run:
    """The state of a run: the tensors of `learner`, `optimizer` and `average`, and the counters.

    Attributes:
        epoch: what comes next.
        step: what comes next.
        rate: the last learning rate.
        rows: the history so far.
        sums: of each loss in this epoch.
        best: the highest validation AUROC.
        best_epoch: its epoch; 0: none yet.
        best_state: the weights there.
    """

    learner: Learner
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    epoch: int = 1
    step: int = 0
    rate: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    best: float = float("nan")
    best_epoch: int = 0
    sums: Tensors = field(default_factory=dict)
    best_state: Tensors = field(default_factory=dict)

    def add(self, terms: Tensors) -> None:
        """One step is done."""
        self.sums = {name: self.sums.get(name, 0.0) + term.detach() for name, term in terms.items()}
        self.step += 1
        self.rate = self.optimizer.param_groups[-1]["lr"]

    def note(self) -> str:
        """The mean loss of this epoch so far."""
        return f"epoch {self.epoch}, loss {float(self.sums['loss']) / self.step:.4f}" if self.step else ""

    def close_epoch(self, auroc: float, judged: nn.Module) -> None:
        """A row of the history, and the weights of `judged` if they are the best so far.

        Args:
            auroc: macro AUROC on validation images.
            judged: the model that was judged, or its moving average.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        means = {name: float(total) / self.step for name, total in self.sums.items()}
        losses = {"loss": means["loss"]} | {f"{name}_loss": means[name] for name in LOSSES if name in means}
        if not np.isfinite(losses["loss"]):
            raise FloatingPointError(
                f"the loss is {losses['loss']} in epoch {self.epoch}; lower training.learning_rate"
            )
        self.rows.append({"epoch": self.epoch, **losses, "learning_rate": self.rate, "validation_auroc": float(auroc)})
        log.info("epoch %d: loss %.4f, validation AUROC %.4f", self.epoch, losses["loss"], auroc)
        if not self.best_epoch or auroc > self.best or (np.isnan(self.best) and not np.isnan(auroc)):
            self.best, self.best_epoch = float(auroc), self.epoch
            self.best_state = {name: tensor.clone() for name, tensor in judged.state_dict().items()}
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}

    @property
    def epochs_without_gain(self) -> int:
        """Epochs since the best one."""
        return self.epoch - 1 - self.best_epoch

    def history(self) -> pd.DataFrame:
        """One row per epoch; `selected` marks the one whose weights are kept."""
        table = pd.DataFrame(self.rows)
        return table.assign(selected=table["epoch"] == self.best_epoch)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Writes all of it."""
        tensors: Tensors = {}
        for name, part in self._modules().items():
            tensors |= {f"{name}/{key}": value for key, value in part.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{key}": value for key, value in state.items()}
        tensors |= {f"sums/{key}": value for key, value in self.sums.items()}
        tensors |= {f"best/{key}": value for key, value in self.best_state.items()}
        checkpoint.write(tensors, {name: getattr(self, name) for name in COUNTERS})

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Takes up what `keep` wrote in an earlier process; does nothing where there is none of this very run."""
        found = checkpoint.read()
        if found is None:
            return
        tensors, facts = found
        device = next(self.learner.parameters()).device
        parts = _by_prefix({name: tensor.to(device) for name, tensor in tensors.items()})
        for name, part in self._modules().items():
            part.load_state_dict(parts[name])
        state = {int(number): values for number, values in _by_prefix(parts.get("optimizer", {})).items()}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.sums, self.best_state = parts.get("sums", {}), parts.get("best", {})
        for name in COUNTERS:
            setattr(self, name, facts[name])
        log.info("going on from a checkpoint: epoch %d, %d steps into it", self.epoch, self.step)

    def _modules(self) -> dict[str, nn.Module]:
        return {"learner": self.learner} | ({"average": self.average} if self.average else {})


def _by_prefix(tensors: Tensors) -> dict[str, dict[str, Any]]:
    """`{"a/b": t}` as `{"a": {"b": t}}`, by the first slash."""
    groups: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        prefix, _, rest = name.partition("/")
        groups.setdefault(prefix, {})[rest] = tensor
    return groups
