"""What a fitted teacher leaves behind: targets by key, predictions by record, and the teacher itself."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from mmpkd.auroc import auroc
from mmpkd.files import atomic

log = logging.getLogger("mmpkd.teachers")

PREDICTION_COLUMNS = [
    *("variant", "protocol", "record_id", "patient_id", "split", "subset", "label"),
    *("logit", "raw_logit", "target"),
]


@dataclass
class TeacherResult:
    """What the rule `teacher` writes.

    Attributes:
        targets: key K, labels L, logits K x L, embedding K x D, fold K (-1: not a training row), as targets.npz holds
            them.
        predictions: one row a variant, record and label, see `PREDICTION_COLUMNS`.
        state: arrays of the teacher fitted on all training rows. A label's logit is to be divided by its
            `temperature`, L.
        facts: what is needed to use them.
    """

    targets: dict[str, np.ndarray]
    predictions: pd.DataFrame
    state: dict[str, np.ndarray]
    facts: dict = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Writes the teacher as safetensors; `facts` as JSON in its metadata, under `facts`."""
        arrays = {name: np.ascontiguousarray(array) for name, array in self.state.items()}
        with atomic(path) as temporary:
            save_file(arrays, temporary, metadata={"facts": json.dumps(self.facts, sort_keys=True)})


def targets_by_key(
    records: pd.DataFrame, labels: list[str], logits: np.ndarray, embedding: np.ndarray, fold: np.ndarray
) -> dict[str, np.ndarray]:
    """One row per key: of several records the largest logit of each label (one lesion suffices) and the mean embedding.

    Args:
        records: N, with their `key`.
        labels: L.
        logits: N x L.
        embedding: N x D.
        fold: N.

    Returns:
        The arrays of targets.npz, see `TeacherResult`.
    """
    codes, keys = pd.factorize(records["key"], sort=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(keys)))
    counts = np.bincount(codes)[:, None]
    return {
        "key": np.asarray(keys, dtype=str),
        "labels": np.asarray(labels, dtype=str),
        "logits": np.maximum.reduceat(logits[order], starts).astype(np.float32),
        "embedding": (np.add.reduceat(embedding[order].astype(np.float64), starts) / counts).astype(np.float32),
        "fold": fold[order][starts],
    }


def prediction_rows(
    variant: str,
    protocol: str,
    records: pd.DataFrame,
    labels: list[str],
    raw_logits: np.ndarray,
    targets: np.ndarray,
    temperatures: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per record and label; logs the AUROC on the test rows.

    Args:
        variant: which teacher.
        protocol: `official` or `split`, which division of the records `records.split` is.
        records: N of them.
        labels: L.
        raw_logits: N x L.
        targets: N x L, NaN for unknown.
        temperatures: L; `logit` is the raw one over its label's temperature. Without them the model is not calibrated.
    """
    count = len(labels)
    logits = raw_logits if temperatures is None else raw_logits / temperatures
    tested = (records["split"] == "test").to_numpy()
    values = auroc(logits[tested], targets[tested])
    summary = ", ".join(f"{label} {value:.3f}" for label, value in zip(labels, values, strict=True))
    log.info("%s (%s), AUROC of the %d test records: %s", variant, protocol, int(tested.sum()), summary)
    repeated = {
        name: np.repeat(records[name].to_numpy(str), count) for name in ("record_id", "patient_id", "split", "subset")
    }
    table = pd.DataFrame(
        {
            "variant": variant,
            "protocol": protocol,
            **repeated,
            "label": np.tile(np.asarray(labels, dtype=str), len(records)),
            "logit": logits.ravel(),
            "raw_logit": raw_logits.ravel(),
            "target": targets.ravel(),
        }
    )
    return table[PREDICTION_COLUMNS]
