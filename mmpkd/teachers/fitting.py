"""Fits the privileged teacher and makes what students learn from: one row of targets per study or case, out of fold.

Targets. The training rows are divided into folds by patient; each fold's logits come from a model that saw none of its
patients, for a teacher is over-confident on what it was fitted on. Validation and test rows get the logits of the model
fitted on all training rows, the one that is saved. Embeddings come from that one network for all rows, for networks of
different folds have unrelated spaces.

Calibration. Each label's logits are divided by a temperature (`mmpkd.teachers.calibration`), fitted on all rows that
were judged by a model that did not see them: the validation rows, and with targets out of fold the training rows too.
A few hundred validation rows alone give a temperature so uncertain that it makes a logistic head worse
(docs/records/benchmarks.md).

Predictions. What tables/teachers is made from. Protocol `split`, variant `teacher`: the logits above, before records of
a key are put together. Protocol `official` (or `split` where the cohort has no official sets): the tabular teacher and
its competitors, with and without the withheld columns, fitted on the official training rows and scored on the official
test rows, so that the figures compare with published ones; they are not calibrated, for those sets have no validation
rows. The official sets share patients; targets never do.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mmpkd.config.teachers import TabularTeacher, TextTeacher
from mmpkd.logs import progress
from mmpkd.privileged.metadata import fields_of
from mmpkd.teachers.calibration import fit_temperatures
from mmpkd.teachers.encoder_loading import load_encoder
from mmpkd.teachers.encoding_cache import encode_cached
from mmpkd.teachers.logistic import has_both_classes
from mmpkd.teachers.tabular import TabularModel, fit_tabular_model
from mmpkd.teachers.targets import TeacherResult, prediction_rows, targets_by_key
from mmpkd.teachers.text import FineTuned, FrozenHead, report_texts

log = logging.getLogger("mmpkd.teachers")

NOT_TRAINED_ON = -1


def fit_teacher(
    records: pd.DataFrame,
    config: TextTeacher | TabularTeacher,
    labels: list[str],
    threads: int = 1,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
) -> TeacherResult:
    """Fits the configured teacher; see `fit_text` and `fit_tabular`.

    Args:
        records: of the domain.
        config: says which kind of teacher.
        labels: that it predicts.
        threads: of the processor.
        device: of the encoder of texts.
        cache: folder that keeps encodings of texts.
    """
    if config.kind == "text":
        return fit_text(records, config, labels, threads, device, cache)
    return fit_tabular(records, config, labels, threads)


def fit_text(
    records: pd.DataFrame,
    config: TextTeacher,
    labels: list[str],
    threads: int = 1,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
) -> TeacherResult:
    """Fits the text teacher on records of `mmpkd.privileged.records.build`.

    Records without text to read have no target; their number is logged. With `cache`, a folder, the vectors of a frozen
    encoder are kept there and taken from there.

    Args:
        records: what `mmpkd.privileged.records.build` returned.
        config: of the teacher.
        labels: in the order of the logits.
        threads: that may be used.
        device: that encodes the texts.
        cache: folder for the vectors of a frozen encoder; None keeps none.

    Raises:
        ValueError: nothing to learn from.
        mmpkd.teachers.encoder.EncoderError: the encoder cannot be loaded.
    """
    torch.set_num_threads(threads)
    texts = report_texts(records, config.sections)
    if (texts == "").any():
        log.warning("%d of %d records have no text to read and so no target", int((texts == "").sum()), len(texts))
    records, texts = _reset(records[texts != ""]), list(texts[texts != ""])
    targets, training = _learnable(records, labels)
    encoder = load_encoder(config.encoder)
    rows = np.flatnonzero(training)
    final: FrozenHead | FineTuned
    if config.tuning == "frozen":
        embedding = encode_cached(encoder, texts, cache, device)
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

        final = tuned = fit(rows)
        embedding = tuned.embed(texts)
    logits, fold = _out_of_fold(fit_predict, final.predict_logits(embedding), records, training, config)
    temperatures = _temperatures(logits, targets, records, labels, config)
    facts = {**_facts(config, labels, training, temperatures), "encoder_sha256": encoder.sha256}
    return TeacherResult(
        targets_by_key(records, labels, logits / temperatures, embedding, fold),
        prediction_rows("teacher", "split", records, labels, logits, targets, temperatures),
        {**final.state(), "temperature": temperatures},
        facts,
    )


def fit_tabular(
    records: pd.DataFrame,
    config: TabularTeacher,
    labels: list[str],
    threads: int = 1,
) -> TeacherResult:
    """Fits the tabular teacher on records of `mmpkd.privileged.records.build`, and its competitors for the table.

    The models are small and stay on the CPU.

    Args:
        records: what `mmpkd.privileged.records.build` returned.
        config: of the teacher.
        labels: in the order of the logits.
        threads: that may be used.

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
    temperatures = _temperatures(logits, targets, records, labels, config)
    log.info("%d terms stand in no training row", final.design.count_unknown(records))
    teacher = prediction_rows("teacher", "split", records, labels, logits, targets, temperatures)
    terms = {"terms": final.design.terms, "numbers": final.design.numbers}
    return TeacherResult(
        targets_by_key(records, labels, logits / temperatures, final.embedding(records), fold),
        pd.concat([teacher, *_compare(records, config, labels, targets)], ignore_index=True),
        {**final.state(), "temperature": temperatures},
        {**_facts(config, labels, training, temperatures), **terms},
    )


def patient_folds(patients: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold (0 to folds - 1) for each row, the same for all rows of a patient; folds of patients of equal size.

    Args:
        patients: identifiers, one per row.
        folds: number of folds.
        rng: divides the patients.

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


def _temperatures(
    logits: np.ndarray,
    targets: np.ndarray,
    records: pd.DataFrame,
    labels: list[str],
    config: TextTeacher | TabularTeacher,
) -> np.ndarray:
    """The temperature of each label, from the rows of `logits` that were held out; ones without calibration."""
    if not config.calibrate:
        return np.ones(len(labels))
    splits = ("train", "validate") if config.targets == "out_of_fold" else ("validate",)
    rows = np.flatnonzero(records["split"].isin(splits))
    temperatures = fit_temperatures(logits[rows], targets[rows], labels)
    values = ", ".join(f"{label} {value:.2f}" for label, value in zip(labels, temperatures, strict=True))
    log.info("temperatures from %d held-out records: %s", len(rows), values)
    return temperatures


def _facts(
    config: TextTeacher | TabularTeacher, labels: list[str], training: np.ndarray, temperatures: np.ndarray
) -> dict:
    return {
        "config": config.model_dump(mode="json"),
        "labels": labels,
        "temperatures": dict(zip(labels, temperatures.tolist(), strict=True)),
        "training_records": int(training.sum()),
    }


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
            tables.append(prediction_rows(kind + suffix, protocol, judged, labels, logits, targets))
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
        found = (
            "one class alone: its logit is that of the smoothed share" if known else "no known value: its logit is NaN"
        )
        log.warning("label %s has %s", label, found)
    return targets, training


def _reset(records: pd.DataFrame) -> pd.DataFrame:
    if records.empty:
        raise ValueError("there is no privileged record to learn from")
    return records.reset_index(drop=True)
