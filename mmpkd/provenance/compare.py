"""Whether a run says what another one said: verdicts, contrasts, and the scores of every arm.

The same configuration gives the same bytes on one machine. Another processor rounds differently, training multiplies
the differences, and its students differ as those of other seeds would.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mmpkd.files import write_json
from mmpkd.provenance.record import REPOSITORY, RecordError, read_record
from mmpkd.results import Results

REPRODUCED, SCATTER, DIFFERENT = "reproduced", "within the scatter of seeds", "different"
ROUNDING = 5e-4  # half of the last digit that tables show
LEVEL = 0.05  # how often a run of other seeds may have a score that is called different
CLAIM = ["claim", "title", "verdict", "estimate", "low", "high"]
ROW = ["domain", "cohort", "arm"]


@dataclass(frozen=True)
class Line:
    """One comparison: the outcome, the reference's and the run's value, and what is compared."""

    outcome: str
    reference: str
    run: str
    name: str


def _key(domain: str, cohort: str, arm: str) -> str:
    return f"{domain}@{cohort}, {arm}"


def summary(folder: Path) -> dict[str, Any]:
    """What a reference holds of the finished run in `folder`: its claims, and the primary score of each seed.

    Raises:
        RecordError: the folder holds no finished run.
    """
    known, results = read_record(folder), Results(str(folder))
    evaluation = known["configuration"]["evaluation"]
    try:
        claims = pd.read_csv(results.table("claims")["csv"])[CLAIM]
        scores = pd.read_parquet(results.scores)
    except (OSError, KeyError) as error:
        raise RecordError(f"{folder}: holds no claims or no scores ({error}); make them with `make all`") from None
    primary = (scores["metric"] == evaluation["metric"]) & (scores["method"] == evaluation["methods"][0])
    own = scores["arm"].isin(known["configuration"]["arms"])
    rows = scores[primary & own & (scores["label"] == "any")]
    means = rows.groupby([*ROW, "seed"], observed=True)["value"].mean().dropna()
    return {
        "study": known["study"],
        "score": f"{evaluation['metric']} of {evaluation['methods'][0]}",
        "commit": (known["git"] or {}).get("commit"),  # none outside of a repository
        "claims": claims.round(6).to_dict("records"),
        "scores": [
            {**dict(zip(ROW, row, strict=True)), "by_seed": [round(value, 6) for value in group.tolist()]}
            for row, group in means.groupby(level=ROW, observed=True)
        ],
    }


def write_reference(folder: Path, file: Path) -> None:
    """Writes the `summary` of a run as JSON.

    Args:
        folder: of the results.
        file: that is written.
    """
    write_json(summary(folder), file)


def read_reference(study: str, file: Path | None) -> dict[str, Any]:
    """The reference in `file`, or the one that the project ships for a study.

    Args:
        study: its name.
        file: of the reference; None for the project's own.

    Raises:
        RecordError: there is none, or the file is no reference.
    """
    file = file or REPOSITORY / "docs" / "reference" / f"{study}.json"
    try:
        reference = json.loads(file.read_text())
        _ = reference["study"], reference["score"], reference["claims"], reference["scores"]
    except FileNotFoundError:
        raise RecordError(f"{file}: is not there; name the reference of another run: --reference FILE") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file}: is no reference ({error}); make one with mmpkd compare --write FILE") from None
    return reference


def compare(run: dict[str, Any], reference: dict[str, Any], name: Callable[[str, str, str], str] = _key) -> list[Line]:
    """One line per claim and per arm's score in a cell, in the order of the reference.

    Same verdict and same contrast to three decimals: reproduced. Same verdict and intervals that overlap: within the
    scatter. Mean scores of the same configuration differ by their seeds alone, so a difference is within the scatter
    unless a two-sample t test with pooled variance rejects it, at 5 % for all scores together (Bonferroni).

    Args:
        run: `summary` of the run.
        reference: of the run that it is compared with.
        name: what to call the score of a domain, a cohort and an arm.

    Raises:
        RecordError: the two are of different scores.
    """
    if run["score"] != reference["score"]:
        raise RecordError(f"the reference has {reference['score']}, the run {run['score']}: nothing can be compared")
    claims = {claim["claim"]: claim for claim in run["claims"]}
    scores = {tuple(row[key] for key in ROW): row["by_seed"] for row in run["scores"]}
    lines = [_claim(known, claims.get(known["claim"])) for known in reference["claims"]]
    level = LEVEL / max(len(reference["scores"]), 1)
    for known in reference["scores"]:
        row = tuple(known[key] for key in ROW)
        lines.append(_score(name(*row), np.asarray(known["by_seed"]), scores.get(row), level))
    return lines


def _claim(known: dict[str, Any], found: dict[str, Any] | None) -> Line:
    title, shown = known["title"], _claim_words(known)
    if found is None:
        return Line(DIFFERENT, shown, "not there", title)
    run = _claim_words(found)
    if found["verdict"] != known["verdict"]:
        return Line(DIFFERENT, shown, run, title)
    if abs(found["estimate"] - known["estimate"]) < ROUNDING:
        return Line(REPRODUCED, shown, run, title)
    overlap = known["low"] <= found["high"] and found["low"] <= known["high"]
    return Line(SCATTER if overlap else DIFFERENT, shown, run, title)


def _claim_words(claim: dict[str, Any]) -> str:
    return f"{claim['verdict']} {claim['estimate']:.3f} [{claim['low']:.3f}, {claim['high']:.3f}]"


def _score(name: str, known: np.ndarray, by_seed: list[float] | None, level: float) -> Line:
    shown = f"{known.mean():.3f}"
    if by_seed is None:
        return Line(DIFFERENT, shown, "not there", name)
    found = np.asarray(by_seed)
    difference = abs(found.mean() - known.mean())
    outcome = REPRODUCED if difference < ROUNDING else DIFFERENT
    if outcome == DIFFERENT and difference <= _scatter(known, found, level):
        outcome = SCATTER
    return Line(outcome, shown, f"{found.mean():.3f}", name)


def _scatter(one: np.ndarray, other: np.ndarray, level: float) -> float:
    """The largest difference of two means that the scatter of seeds explains; 0 if no run has a second seed."""
    freedom = len(one) + len(other) - 2
    if not freedom:
        return 0.0
    squares = sum(((values - values.mean()) ** 2).sum() for values in (one, other))
    error = np.sqrt(squares / freedom * (1 / len(one) + 1 / len(other)))
    return float(stdtrit(freedom, 1 - level / 2) * error)


def as_text(lines: list[Line]) -> str:
    """A table for a terminal, and the count of each outcome."""
    rows = [("", "reference", "this run", ""), *(tuple(asdict(line).values()) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    outcomes = [line.outcome for line in lines]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in (REPRODUCED, SCATTER, DIFFERENT))
    return "\n".join([*text, "", f"{len(lines)} compared: {counts}"])
