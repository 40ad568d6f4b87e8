"""Teachers that read a case description: an embedding MLP, gradient boosting, and a plain logistic regression.

Each is fitted with `fit_tabular_model` and offers `predict_logits(records)` (N x L), `embedding(records)` (N x D), and
`state()`, its arrays by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mmpkd.config.teachers import TabularTeacher
from mmpkd.privileged.metadata import DERIVED, Design
from mmpkd.teachers.logistic import MultiLabelLogistic, constant_logits, has_both_classes

TOKEN_DIMENSIONS = 16
BATCH_SIZE = 128
WARMUP = 0.1
INPUT_DROPOUT = 0.5  # relative to the dropout between the layers: descriptions are short, and terms are often missing


class TabularModel(Protocol):
    """What every fitted model offers."""

    @property
    def design(self) -> Design:
        """How it reads the records."""

    def predict_logits(self, records: pd.DataFrame) -> np.ndarray:
        """N x L."""

    def embedding(self, records: pd.DataFrame) -> np.ndarray:
        """N x D float32."""

    def state(self) -> dict[str, np.ndarray]:
        """The fitted arrays by name."""


def fit_tabular_model(
    kind: str, records: pd.DataFrame, targets: np.ndarray, fields: list[str], config: TabularTeacher, seed: int
) -> TabularModel:
    """Fits the model `kind` (mlp, gradient_boosting, logistic).

    Args:
        kind: which model.
        records: N training rows of `mmpkd.privileged.records.build`.
        targets: N x L; 1, 0, or NaN for unknown.
        fields: the columns of `records` to read.
        config: the models' settings.
        seed: of weights, order and dropout.
    """
    models: dict[str, Callable[..., TabularModel]] = {
        "mlp": EmbeddingMLP.fit,
        "gradient_boosting": GradientBoosting.fit,
        "logistic": OneHotLogistic.fit,
    }
    return models[kind](records, np.asarray(targets, np.float64), fields, config, seed)


@dataclass(frozen=True)
class OneHotLogistic:
    """The baseline: every field's cell one category, as normalised, and nothing derived."""

    design: Design
    head: MultiLabelLogistic

    @classmethod
    def fit(
        cls, records: pd.DataFrame, targets: np.ndarray, fields: list[str], config: TabularTeacher, seed: int
    ) -> "OneHotLogistic":
        """See `fit_tabular_model`; `config` and `seed` do not matter."""
        design = Design.fit(records, [name for name in fields if name not in DERIVED], whole=True)
        return cls(design, MultiLabelLogistic.fit(design.transform(records), targets))

    def predict_logits(self, records: pd.DataFrame) -> np.ndarray:
        """N x L."""
        return self.head.predict_logits(self.design.transform(records))

    def embedding(self, records: pd.DataFrame) -> np.ndarray:
        """The design matrix, N x F."""
        return self.design.transform(records)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays `weight` F x L and `bias` L."""
        return {"weight": self.head.weight, "bias": self.head.bias}


@dataclass(frozen=True)
class GradientBoosting:
    """scikit-learn's HistGradientBoostingClassifier, one per label, on terms and numbers."""

    design: Design
    models: list  # a classifier a label, None for a label of one class
    constants: np.ndarray

    @classmethod
    def fit(
        cls, records: pd.DataFrame, targets: np.ndarray, fields: list[str], config: TabularTeacher, seed: int
    ) -> "GradientBoosting":
        """See `fit_tabular_model`; the settings are the module's own, `config` does not matter."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        design = Design.fit(records, fields)
        x = design.transform(records)
        models: list = [None] * targets.shape[1]
        for label in np.flatnonzero(has_both_classes(targets)):
            known = np.isfinite(targets[:, label])
            model = HistGradientBoostingClassifier(
                max_iter=150,
                learning_rate=0.05,
                max_leaf_nodes=8,
                min_samples_leaf=15,
                l2_regularization=1.0,
                max_features=0.5,
                early_stopping=False,
                random_state=seed,
            )
            models[label] = model.fit(x[known], targets[known, label])
        return cls(design, models, constant_logits(targets))

    def predict_logits(self, records: pd.DataFrame) -> np.ndarray:
        """N x L."""
        x = self.design.transform(records)
        logits = np.tile(self.constants, (len(x), 1))
        for label, model in enumerate(self.models):
            if model is not None:
                logits[:, label] = model.decision_function(x)
        return logits

    def embedding(self, records: pd.DataFrame) -> np.ndarray:
        """The design matrix, N x F: trees have no vector of their own."""
        return self.design.transform(records)

    def state(self) -> dict[str, np.ndarray]:
        """Every tree's nodes, one array a column, label by label: enough to follow a row to its leaves."""
        arrays = {"constants": self.constants}
        for label, model in enumerate(self.models):
            if model is None:
                continue
            trees = [stage[0].nodes for stage in model._predictors]
            nodes = np.concatenate(trees)
            for column in ("value", "feature_idx", "num_threshold", "left", "right", "is_leaf"):
                arrays[f"label{label}.{column}"] = np.ascontiguousarray(nodes[column]).astype(np.float64)
            arrays[f"label{label}.tree_sizes"] = np.array([len(tree) for tree in trees])
            arrays[f"label{label}.baseline"] = np.asarray(model._baseline_prediction, np.float64).ravel()
        return arrays


class Ensemble(nn.Module):
    """K networks side by side, trained in one pass: token embeddings averaged a field, numbers, one hidden layer more.

    Each network has a linear path from its input to the logits beside the layers: most of what a description says of a
    lesion is additive, and the layers add what is not.
    """

    def __init__(self, networks: int, design: Design, labels: int, hidden: int, dropout: float, rng: torch.Generator):
        super().__init__()
        self.fields = design.field_sizes
        numbers = len(design.numbers)
        width = TOKEN_DIMENSIONS * len(self.fields) + numbers

        def weights(inputs: int, outputs: int, scale: float = 1.0) -> nn.Parameter:
            return nn.Parameter(torch.randn(networks, inputs, outputs, generator=rng) * scale * inputs**-0.5)

        def zeros(inputs: int, outputs: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(networks, inputs, outputs))

        self.tokens = nn.Parameter(torch.randn(networks, sum(self.fields), TOKEN_DIMENSIONS, generator=rng))
        self.first, self.first_bias = weights(width, hidden), zeros(1, hidden)
        self.second, self.second_bias = weights(hidden, hidden), zeros(1, hidden)
        self.head, self.head_bias = weights(hidden, labels, 0.1), zeros(1, labels)
        self.linear = zeros(sum(self.fields) + numbers, labels)
        self.dropout = dropout

    def penultimate(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The last hidden layer.

        Args:
            x: N x F, or K x N x F.
            rng: of dropout; without it none is dropped.

        Returns:
            K x N x hidden.
        """
        terms = torch.split(x[..., : sum(self.fields)], self.fields, dim=-1)
        tables = torch.split(self.tokens, self.fields, dim=1)
        embedded = [
            (part / part.sum(-1, keepdim=True).clamp(min=1)) @ table for part, table in zip(terms, tables, strict=True)
        ]
        numbers = x[..., sum(self.fields) :].expand(len(self.tokens), -1, -1)
        hidden = torch.cat([*embedded, numbers], dim=-1) @ self.first + self.first_bias
        hidden = _drop(nn.functional.gelu(hidden), self.dropout, rng)
        hidden = nn.functional.gelu(hidden @ self.second + self.second_bias)
        return _drop(hidden, self.dropout, rng)

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The logits.

        Args:
            x: N x F.
            rng: of dropout, of the input too; without it none is dropped.

        Returns:
            K x N x L.
        """
        if rng is not None:
            x = _drop(x.expand(len(self.tokens), -1, -1), INPUT_DROPOUT * self.dropout, rng)
        return self.penultimate(x, rng) @ self.head + x @ self.linear + self.head_bias


@dataclass(frozen=True)
class EmbeddingMLP:
    """The ensemble; its logits are the mean over the networks, its embedding that of the first."""

    design: Design
    networks: Ensemble
    learnt: np.ndarray  # L: the labels that had both classes
    constants: np.ndarray  # L: the logits of the others

    @classmethod
    def fit(
        cls, records: pd.DataFrame, targets: np.ndarray, fields: list[str], config: TabularTeacher, seed: int
    ) -> "EmbeddingMLP":
        """See `fit_tabular_model`."""
        rng = torch.Generator().manual_seed(seed)
        design = Design.fit(records, fields)
        learnt, constants = has_both_classes(targets), constant_logits(targets)
        networks = Ensemble(config.ensemble, design, targets.shape[1], config.hidden, config.dropout, rng)
        with torch.no_grad():
            networks.head_bias.copy_(torch.from_numpy(np.where(learnt, constants, 0.0)))
        if learnt.any():
            used = torch.from_numpy(np.isfinite(targets) & learnt)
            x = torch.from_numpy(design.transform(records))
            _train(networks, x, torch.from_numpy(np.nan_to_num(targets)).float(), used, config, rng)
        return cls(design, networks, learnt, constants)

    @torch.no_grad()
    def predict_logits(self, records: pd.DataFrame) -> np.ndarray:
        """N x L."""
        logits = self.networks(torch.from_numpy(self.design.transform(records))).mean(dim=0)
        return np.where(self.learnt, logits.double().numpy(), self.constants)

    @torch.no_grad()
    def embedding(self, records: pd.DataFrame) -> np.ndarray:
        """N x hidden."""
        return self.networks.penultimate(torch.from_numpy(self.design.transform(records)))[0].numpy()

    def state(self) -> dict[str, np.ndarray]:
        """The parameters of all networks, `learnt` and `constants`."""
        arrays = {name: tensor.numpy() for name, tensor in self.networks.state_dict().items()}
        return {**arrays, "learnt": self.learnt, "constants": self.constants}


def _train(
    networks: Ensemble, x: Tensor, targets: Tensor, used: Tensor, config: TabularTeacher, rng: torch.Generator
) -> None:
    """AdamW on the cross-entropy of the labels in use; the learning rate is warmed up, then falls linearly to zero."""
    size = min(BATCH_SIZE, len(x))
    steps = config.epochs * (len(x) // size)
    optimizer = torch.optim.AdamW(networks.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    warmup = max(1, round(WARMUP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(steps - warmup, 1))
    )
    for _ in range(config.epochs):
        order = torch.randperm(len(x), generator=rng)
        for start in range(0, len(x) - size + 1, size):
            rows = order[start : start + size]
            logits = networks(x[rows], rng)
            losses = nn.functional.binary_cross_entropy_with_logits(
                logits, targets[rows].expand_as(logits), reduction="none"
            )
            # the mean over rows, summed over labels and networks: none of them shares a gradient scale with another
            loss = (losses * used[rows]).sum() / used[rows].sum(dim=0).max().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _drop(x: Tensor, share: float, rng: torch.Generator | None) -> Tensor:
    """Dropout from a generator that is passed in; the identity without one."""
    if rng is None or share == 0:
        return x
    return x * (torch.rand(x.shape, generator=rng) >= share) / (1 - share)
