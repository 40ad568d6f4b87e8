"""Tables and figures of a finished study from its long table and its configuration, without data, torch or a GPU."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd

from mmpkd.config.outputs import Output, chosen
from mmpkd.config.plain import settings_of
from mmpkd.config.study import ConfigError, Study
from mmpkd.design import CONTROLS
from mmpkd.outputs.inputs import Inputs
from mmpkd.results import Results

ENOUGH = {"scores", "twins", "habits", "claims"}  # needs that the long table fulfils, with the table of claims


def redraw(study: Study, scores: Path, folder: Path) -> Iterator[str]:
    """Writes them to `folder/tables` and `folder/figures`; yields the CSV or PDF file of each once written.

    Args:
        study: the configuration of the run.
        scores: `evaluation/scores.parquet` of the run.
        folder: created if absent; files of an earlier call are replaced.

    Raises:
        ConfigError: there are no scores, or they are those of another study.
    """
    _refuse_another_study(study, scores)
    results = Results(str(folder))
    files = {"scores": str(scores), "claims": results.table("claims")["csv"]}
    for output in redrawable(study):
        inputs = Inputs.of(
            {need: files[need] for need in output.needs if need in files},
            settings_of(study, output),
        )
        written = results.output(output.kind, output.name)
        import_module(f"mmpkd.outputs.{output.rule}").make(inputs).write(*written.values())
        yield written["csv" if output.kind == "table" else "pdf"]


def redrawable(study: Study) -> list[Output]:
    """The study's outputs that the long table is enough for, and the table of claims if one of them reads it."""
    outputs = [output for output in study.outputs if "scores" in output.needs or "claims" in output.needs]
    outputs = [output for output in outputs if set(output.needs) <= ENOUGH]
    claims = chosen(["claims"], [])
    return outputs if any(output in claims for output in outputs) else claims * bool(study.claims) + outputs


def _refuse_another_study(study: Study, scores: Path) -> None:
    try:
        there = pd.read_parquet(scores, columns=["domain", "arm", "cohort"])
    except (OSError, ValueError):
        problem = "is no table of scores" if scores.exists() else "is not there"
        raise ConfigError(f"{scores}: {problem}; name evaluation/scores.parquet of a finished run") from None
    for column, known in (("arm", [*study.arms, *CONTROLS]), ("cohort", study.domain_of)):
        strange = sorted(set(there[column].dropna()) - set(known))
        if strange:
            raise ConfigError(
                f"{scores}: {column} {', '.join(strange)} of the scores is not in the configuration of the study "
                f"{study.study}; name the overlays that the run was made with"
            )
