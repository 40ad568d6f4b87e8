"""Teachers that read reports: a logistic head on a frozen encoder, or an encoder fine-tuned with a linear head."""

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mmpkd.config.teachers import TextTeacher
from mmpkd.logs import progress
from mmpkd.teachers.encoder import LoadedEncoder, encode, last_layers, pad, pooled, text_windows
from mmpkd.teachers.logistic import MultiLabelLogistic, constant_logits, has_both_classes

log = logging.getLogger("mmpkd.text_teacher")

WARMUP = 0.1
WEIGHT_DECAY = 0.01
CLIP = 1.0
CONSTANT = 1e-6  # a dimension that spreads less than this share of the widest one is constant
READABLE = ("findings", "impression")  # sections that the text without usable headers stands in for
STAND_INS = ("last_paragraph", "full_report")


def report_texts(records: pd.DataFrame, sections: list[str]) -> pd.Series:
    """What the teacher reads of each record: the named sections one after the other.

    Where findings or impression are asked for and none of the named sections has text, the last paragraph stands in, or
    a report without headers as a whole. "" where there is nothing to read.

    Args:
        records: with a column per section.
        sections: that are read, in order.

    Raises:
        ValueError: a section that the records do not have.
    """
    unknown = [name for name in sections if name not in records.columns]
    if unknown:
        known = [name for name in records.columns if not name.startswith("target_")]
        raise ValueError(f"teacher.sections: unknown {', '.join(unknown)}; the records have {', '.join(known)}")
    texts = records[sections[0]].fillna("")
    for name in sections[1:]:
        texts = (texts + " " + records[name].fillna("")).str.strip()
    if set(sections) & set(READABLE):
        for name in STAND_INS:
            if name in records:
                texts = texts.mask(texts == "", records[name].fillna(""))
    return texts


@dataclass(frozen=True)
class FrozenHead:
    """Standardisation and a multi-label logistic regression on embeddings."""

    mean: np.ndarray
    scale: np.ndarray  # 0 for a constant dimension, which so counts for nothing
    head: MultiLabelLogistic

    @classmethod
    def fit(cls, embeddings: np.ndarray, targets: np.ndarray, penalty: float) -> "FrozenHead":
        """Fits the head.

        Args:
            embeddings: N x D.
            targets: N x L, NaN for unknown.
            penalty: scikit-learn's C.
        """
        deviation = embeddings.std(axis=0, dtype=np.float64)
        varies = deviation > CONSTANT * max(deviation.max(initial=0.0), np.finfo(np.float32).tiny)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
        mean = embeddings.mean(axis=0, dtype=np.float64)
        return cls(mean, scale, MultiLabelLogistic.fit((embeddings - mean) * scale, targets, penalty))

    def predict_logits(self, embeddings: np.ndarray) -> np.ndarray:
        """N x L float64."""
        return self.head.predict_logits((embeddings - self.mean) * self.scale)

    def state(self) -> dict[str, np.ndarray]:
        """mean, scale, weight, bias."""
        return {"mean": self.mean, "scale": self.scale, "weight": self.head.weight, "bias": self.head.bias}


@dataclass(frozen=True)
class FineTuned:
    """An encoder fine-tuned, whole or in its last layers, with a linear head on the mean of a report's windows."""

    encoder: LoadedEncoder
    head: nn.Linear
    learnt: np.ndarray  # L: the labels that had both classes
    constants: np.ndarray  # L: the logits of the others
    device: torch.device

    @classmethod
    def fit(
        cls,
        encoder: LoadedEncoder,
        texts: list[str],
        targets: np.ndarray,
        config: TextTeacher,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> "FineTuned":
        """Fine-tunes a copy of `encoder` on N texts and N x L targets (NaN for unknown).

        AdamW on the masked cross-entropy of a report, read as `encode` reads it: the mean of its windows' vectors. The
        learning rate is warmed up, then falls linearly to zero. With tuning `last` the layers below stay as they are,
        without dropout.

        Args:
            encoder: model and tokenizer, which stay as they are.
            texts: N reports.
            targets: N x L, 1, 0 or NaN.
            config: of the teacher: tuning, rate, epochs and batch.
            seed: of order, head and dropout.
            device: that trains.

        Raises:
            EncoderError: tuning `last` asks for layers that the encoder does not have.
        """
        rng = torch.Generator().manual_seed(seed)
        device = torch.device(device)
        encoder = copy.copy(encoder)
        encoder.model = copy.deepcopy(encoder.model).to(device)
        head = nn.utils.skip_init(nn.Linear, encoder.dimensions, targets.shape[1])  # no draw from the global state
        learnt, constants = has_both_classes(targets), constant_logits(targets)
        with torch.no_grad():
            head.weight.copy_(torch.randn(head.weight.shape, generator=rng) * 0.02)
            head.bias.copy_(torch.from_numpy(np.where(learnt, constants, 0.0)))
        teacher = cls(encoder, head.to(device), learnt, constants, device)
        if learnt.any():
            teacher._train(texts, targets, config, rng)
        encoder.model.eval()
        return teacher

    def _train(self, texts: list[str], targets: np.ndarray, config: TextTeacher, rng: torch.Generator) -> None:
        windows, owners = text_windows(self.encoder, texts)
        used = torch.from_numpy(np.isfinite(targets) & self.learnt).to(self.device)
        filled = torch.from_numpy(np.nan_to_num(targets)).float().to(self.device)
        size = min(config.batch_size, len(texts))
        steps = config.epochs * (len(texts) // size)
        parameters = [*self._tuned(config), *self.head.parameters()]
        optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=WEIGHT_DECAY)
        warmup = max(1, round(WARMUP * steps))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(steps - warmup, 1))
        )
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # the encoder's own dropout draws from torch's global state
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
            for rows in progress(self._order(len(texts), size, config.epochs, rng), "fine-tuning", steps, "step"):
                logits = self._logits(windows, owners, rows)
                losses = nn.functional.binary_cross_entropy_with_logits(logits, filled[rows], reduction="none")
                loss = (losses * used[rows]).sum() / used[rows].sum().clamp(min=1)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, CLIP)
                optimizer.step()
                schedule.step()

    def _tuned(self, config: TextTeacher) -> list[nn.Parameter]:
        """The encoder's parameters that are trained; its other layers are frozen, without dropout."""
        model = self.encoder.model.eval().requires_grad_(False)
        trained = model if config.tuning == "full" else last_layers(model, config.layers)
        return list(trained.train().requires_grad_(True).parameters())

    @staticmethod
    def _order(count: int, size: int, epochs: int, rng: torch.Generator) -> Iterator[np.ndarray]:
        for _ in range(epochs):
            order = torch.randperm(count, generator=rng).numpy()
            yield from (order[start : start + size] for start in range(0, count - size + 1, size))

    def _logits(self, windows: list[list[int]], owners: np.ndarray, rows: np.ndarray) -> Tensor:
        """Logits B x L of the texts `rows`, each read in all its windows."""
        read = np.flatnonzero(np.isin(owners, rows))
        ids, mask = pad(self.encoder, [windows[window] for window in read])
        vectors = pooled(self.encoder, self.encoder.model, ids.to(self.device), mask.to(self.device))
        share = torch.from_numpy(rows[:, None] == owners[read]).to(vectors)  # a product, for it adds in one order
        return self.head(share @ vectors / share.sum(dim=1, keepdim=True))

    def embed(self, texts: list[str]) -> np.ndarray:
        """N x D float32."""
        return encode(self.encoder, texts, self.device)

    @torch.no_grad()
    def predict_logits(self, embeddings: np.ndarray) -> np.ndarray:
        """N x L of what `embed` gave: the head is linear, so the mean over windows is that of their logits."""
        logits = self.head(torch.from_numpy(embeddings).to(self.device)).double().cpu().numpy()
        return np.where(self.learnt, logits, self.constants)

    def state(self) -> dict[str, np.ndarray]:
        """Encoder and head, `learnt` and `constants`."""
        arrays = {f"encoder.{name}": value.cpu().numpy() for name, value in self.encoder.model.state_dict().items()}
        head = {f"head.{name}": value.cpu().numpy() for name, value in self.head.state_dict().items()}
        return {**arrays, **head, "learnt": self.learnt, "constants": self.constants}
