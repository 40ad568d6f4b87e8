"""Whether a run says what another one said: verdicts, contrasts, and the scores of every arm.

The same configuration gives the same bytes on one machine. Another processor rounds differently, training multiplies
the differences, and its students differ as those of other seeds would.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.files import write_json
from mmpkd.provenance.record import REPOSITORY, RecordError, read_record
from mmpkd.results import Results

REPRODUCED, SCATTER, DIFFERENT = "reproduced", "within the scatter of seeds", "different"
ROUNDING = 5e-4  # half of the last digit that tables show
ERRORS = 2.0  # standard errors of a difference that scatter explains
CLAIM = ["claim", "title", "verdict", "estimate", "low", "high"]
ROW = ["domain", "cohort", "arm"]


@dataclass(frozen=True)
class Line:
    """One comparison: what is compared, the reference's and the run's value, and the outcome."""

    name: str
    reference: str
    run: str
    outcome: str


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
    """Writes the `summary` of a run as JSON."""
    write_json(summary(folder), file)


def read_reference(study: str, file: Path | None) -> dict[str, Any]:
    """The reference in `file`, or the one that the project ships for a study.

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


def compare(run: dict[str, Any], reference: dict[str, Any]) -> list[Line]:
    """One line per claim and per arm's score in a cell, in the order of the reference.

    A claim is reproduced if verdict and contrast are the same to three decimals, within the scatter if the verdict is
    the same and the contrast lies in the reference's interval. A mean score is within the scatter if it differs by at
    most two standard errors, of the seeds of both.

    Raises:
        RecordError: the two are of different scores.
    """
    if run["score"] != reference["score"]:
        raise RecordError(f"the reference has {reference['score']}, the run {run['score']}: nothing can be compared")
    claims = {claim["claim"]: claim for claim in run["claims"]}
    scores = {tuple(row[key] for key in ROW): row["by_seed"] for row in run["scores"]}
    lines = [_claim(known, claims.get(known["claim"])) for known in reference["claims"]]
    return lines + [_score(known, scores.get(tuple(known[key] for key in ROW))) for known in reference["scores"]]


def _claim(known: dict[str, Any], found: dict[str, Any] | None) -> Line:
    if found is None:
        return Line(known["title"], known["verdict"], "not there", DIFFERENT)
    shown, run = (f"{claim['verdict']} {claim['estimate']:+.3f}" for claim in (known, found))
    if found["verdict"] != known["verdict"]:
        return Line(known["title"], shown, run, DIFFERENT)
    if abs(found["estimate"] - known["estimate"]) < ROUNDING:
        return Line(known["title"], shown, run, REPRODUCED)
    inside = known["low"] <= found["estimate"] <= known["high"]
    return Line(known["title"], shown, run, SCATTER if inside else DIFFERENT)


def _score(known: dict[str, Any], by_seed: list[float] | None) -> Line:
    name = f"{known['domain']}@{known['cohort']}, {known['arm']}"
    if by_seed is None:
        return Line(name, f"{np.mean(known['by_seed']):.3f}", "not there", DIFFERENT)
    both = [np.asarray(values) for values in (known["by_seed"], by_seed)]
    shown, run = (f"{values.mean():.3f}" for values in both)
    difference = abs(both[0].mean() - both[1].mean())
    if difference < ROUNDING:
        return Line(name, shown, run, REPRODUCED)
    error = np.sqrt(sum(values.var(ddof=1) / len(values) for values in both if len(values) > 1))
    return Line(name, shown, run, SCATTER if difference <= ERRORS * error else DIFFERENT)


def as_text(lines: list[Line]) -> str:
    """A table for a terminal, and the count of each outcome."""
    rows = [("", "reference", "this run", ""), *(tuple(asdict(line).values()) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    outcomes = [line.outcome for line in lines]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in (REPRODUCED, SCATTER, DIFFERENT))
    return "\n".join([*text, "", f"{len(lines)} compared: {counts}"])
