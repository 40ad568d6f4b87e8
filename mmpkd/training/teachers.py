"""Fits the privileged teacher and makes what students learn from: one row of targets a study or case, out of fold.

Targets. The training rows are divided into folds by patient; each fold's logits come from a model that saw none of its
patients, for a teacher is over-confident on what it was fitted on. Validation and test rows get the logits of the model
fitted on all training rows, the one that is saved. Embeddings come from that one network for all rows, for networks of
different folds have unrelated spaces.

Predictions. What tables/teachers is made from. Protocol `split`, variant `teacher`: the logits above, before records of
a key are put together. Protocol `official` (or `split` where the cohort has no official sets): the tabular teacher and
its competitors, with and without the withheld columns, fitted on the official training rows and scored on the official
test rows, so that the figures compare with published ones. The official sets share patients; targets never do.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file

from mmpkd.auroc import auroc
from mmpkd.config.teachers import TabularTeacher, TextTeacher
from mmpkd.files import atomic
from mmpkd.logs import progress
from mmpkd.models.encoder import encode, load_encoder
from mmpkd.models.logistic import has_both_classes
from mmpkd.models.tabular_teacher import TabularModel, fit_tabular_model
from mmpkd.models.text_teacher import FineTuned, FrozenHead, report_texts
from mmpkd.privileged.metadata import fields_of

log = logging.getLogger("mmpkd.teachers")

NOT_TRAINED_ON = -1
PREDICTION_COLUMNS = ["variant", "protocol", "record_id", "patient_id", "split", "subset", "label", "logit", "target"]


@dataclass
class TeacherResult:
    """What the rule `teacher` writes.

    targets: key K, labels L, logits K x L, embedding K x D, fold K (-1: not a training row), as targets.npz holds them.
    predictions: one row a variant, record and label, see `PREDICTION_COLUMNS`.
    state, facts: arrays of the teacher fitted on all training rows, and what is needed to use them.
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


def fit_teacher(
    records: pd.DataFrame,
    config: TextTeacher | TabularTeacher,
    labels: list[str],
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> TeacherResult:
    """Fits the configured teacher; see `fit_text` and `fit_tabular`."""
    fit = fit_text if config.kind == "text" else fit_tabular
    return fit(records, config, labels, threads, device)


def fit_text(
    records: pd.DataFrame,
    config: TextTeacher,
    labels: list[str],
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> TeacherResult:
    """Fits the text teacher on records of `mmpkd.privileged.records.build`.

    Records without text to read have no target; their number is logged.

    Raises:
        ValueError: nothing to learn from.
        mmpkd.models.encoder.EncoderError: the encoder cannot be loaded.
    """
    torch.set_num_threads(threads)
    texts = report_texts(records, config.sections)
    if (texts == "").any():
        log.warning("%d of %d records have no text to read and so no target", int((texts == "").sum()), len(texts))
    records, texts = _reset(records[texts != ""]), list(texts[texts != ""])
    targets, training = _learnable(records, labels)
    encoder = load_encoder(config.encoder)
    rows = np.flatnonzero(training)
    if config.tuning == "frozen":
        embedding = encode(encoder, texts, device)
        final = FrozenHead.fit(embedding[rows], targets[rows], config.penalty)

        def fit_predict(fitted: np.ndarray, held_out: np.ndarray) -> np.ndarray:
            head = FrozenHead.fit(embedding[fitted], targets[fitted], config.penalty)
            return head.predict_logits(embedding[held_out])
    else:

        def fit(fitted: np.ndarray) -> FineTuned:
            read = [texts[row] for row in fitted]
            return FineTuned.fit(encoder, read, targets[fitted], config, config.seed, device)

        def fit_predict(fitted: np.ndarray, held_out: np.ndarray) -> np.ndarray:
            model = fit(fitted)
            return model.predict_logits(model.embed([texts[row] for row in held_out]))

        final = fit(rows)
        embedding = final.embed(texts)
    logits, fold = _out_of_fold(fit_predict, final.predict_logits(embedding), records, training, config)
    facts = {
        "config": config.model_dump(mode="json"),
        "labels": labels,
        "encoder_sha256": encoder.sha256,
        "training_records": int(training.sum()),
    }
    predictions = _predictions("teacher", "split", records, labels, logits, targets)
    return TeacherResult(_by_key(records, labels, logits, embedding, fold), predictions, final.state(), facts)


def fit_tabular(
    records: pd.DataFrame,
    config: TabularTeacher,
    labels: list[str],
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> TeacherResult:
    """Fits the tabular teacher on records of `mmpkd.privileged.records.build`, and its competitors for the table.

    The models are small and stay on the CPU; `device` is there to match `fit_text`.

    Raises:
        ValueError: nothing to learn from, or no column to read.
    """
    torch.set_num_threads(threads)
    records = _reset(records)
    targets, training = _learnable(records, labels)
    fields = fields_of(records, config.exclude)

    def fit(rows: np.ndarray) -> TabularModel:
        return fit_tabular_model(config.model, records.iloc[rows], targets[rows], fields, config, config.seed)

    def fit_predict(fitted: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        return fit(fitted).predict_logits(records.iloc[held_out])

    final = fit(np.flatnonzero(training))
    logits, fold = _out_of_fold(fit_predict, final.predict_logits(records), records, training, config)
    log.info("%d terms stand in no training row", final.design.count_unknown(records))
    compared = _compare(records, config, labels, targets)
    predictions = pd.concat(
        [_predictions("teacher", "split", records, labels, logits, targets), *compared], ignore_index=True
    )
    facts = {
        "config": config.model_dump(mode="json"),
        "labels": labels,
        "terms": final.design.terms,
        "numbers": final.design.numbers,
        "training_records": int(training.sum()),
    }
    keyed = _by_key(records, labels, logits, final.embedding(records), fold)
    return TeacherResult(keyed, predictions, final.state(), facts)


def patient_folds(patients: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold (0 to folds - 1) for each row, the same for all rows of a patient; folds of patients of equal size.

    Raises:
        ValueError: fewer patients than folds.
    """
    names, codes = np.unique(patients, return_inverse=True)
    if len(names) < folds:
        raise ValueError(f"{folds} folds by patient need as many training patients, there are {len(names)}")
    return (rng.permutation(len(names)) % folds)[codes]


def _out_of_fold(
    fit_predict: Callable[[np.ndarray, np.ndarray], np.ndarray],
    logits: np.ndarray,
    records: pd.DataFrame,
    training: np.ndarray,
    config: TextTeacher | TabularTeacher,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits N x L with those of training rows made out of fold, and the fold N of every row.

    `fit_predict(rows, held_out)` fits on `rows` and gives the logits of `held_out`; `logits` are those of the model of
    all training rows, which in-sample targets keep.
    """
    rows = np.flatnonzero(training)
    fold = np.full(len(records), NOT_TRAINED_ON)
    if config.targets == "in_sample":
        fold[rows] = 0
        return logits, fold
    patients = records["patient_id"].to_numpy(str)[rows]
    fold[rows] = patient_folds(patients, config.folds, np.random.default_rng(config.seed))
    logits = logits.copy()
    for number in progress(range(config.folds), "folds", unit="fold"):
        held_out = np.flatnonzero(fold == number)
        logits[held_out] = fit_predict(np.flatnonzero(training & (fold != number)), held_out)
    return logits, fold


def _compare(
    records: pd.DataFrame, config: TabularTeacher, labels: list[str], targets: np.ndarray
) -> list[pd.DataFrame]:
    """Predictions of the main model and its competitors, each without and with the columns that are withheld."""
    protocol = "official" if "official_set" in records else "split"
    judged = records.assign(split=records["official_set"]) if protocol == "official" else records
    rows = np.flatnonzero(judged["split"] == "train")
    withheld = [name for name in config.exclude if name in records.columns]
    choices = {"": fields_of(records, config.exclude)}
    if withheld:
        choices[" + " + " + ".join(withheld)] = fields_of(records)
    tables = []
    for kind in dict.fromkeys([config.model, *config.compare]):
        for suffix, fields in choices.items():
            model = fit_tabular_model(kind, records.iloc[rows], targets[rows], fields, config, config.seed)
            logits = model.predict_logits(records)
            tables.append(_predictions(kind + suffix, protocol, judged, labels, logits, targets))
    return tables


def _learnable(records: pd.DataFrame, labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Targets N x L, and the mask of the training rows; says which labels cannot be learnt."""
    targets = records[[f"target_{label}" for label in labels]].to_numpy(np.float64)
    training = (records["split"] == "train").to_numpy()
    if not training.any():
        raise ValueError("no privileged record is in the training split; the cohort's rejected.csv says why")
    both = has_both_classes(targets[training])
    if not both.any():
        raise ValueError(f"the training records know no label of {', '.join(labels)} as both present and absent")
    for label, known in zip(np.array(labels)[~both], np.isfinite(targets[training][:, ~both]).any(axis=0), strict=True):
        told = (
            "one class alone: its logit is that of the smoothed share" if known else "no known value: its logit is NaN"
        )
        log.warning("label %s has %s", label, told)
    return targets, training


def _by_key(
    records: pd.DataFrame, labels: list[str], logits: np.ndarray, embedding: np.ndarray, fold: np.ndarray
) -> dict[str, np.ndarray]:
    """One row a key: of several records the largest logit a label (one lesion suffices) and the mean embedding."""
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


def _predictions(
    variant: str, protocol: str, records: pd.DataFrame, labels: list[str], logits: np.ndarray, targets: np.ndarray
) -> pd.DataFrame:
    """One row a record and label; logs the AUROC on the test rows."""
    count = len(labels)
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
            "target": targets.ravel(),
        }
    )
    return table[PREDICTION_COLUMNS]


def _reset(records: pd.DataFrame) -> pd.DataFrame:
    if records.empty:
        raise ValueError("there is no privileged record to learn from")
    return records.reset_index(drop=True)
