"""What the outputs on the marker of the phantoms share: habits, doses, and how much the students rely on the marker."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from mmpkd.config.cohorts import Habit
from mmpkd.config.students import Arm
from mmpkd.design import CONTROL, Cell, Score
from mmpkd.evaluation.matrices import MissingScores, score_matrix, select
from mmpkd.evaluation.reliance import EFFECT, MARKED, MASS, TOP_DECILE, UNMARKED, predicted_effect
from mmpkd.evaluation.statistics import Estimate, arm_mean, gain_matrix
from mmpkd.evaluation.strata import stratum_estimate, weights_like
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.words import count_range

STRATA = {"gain_marked": 1.0, "gain_unmarked": 0.0}  # test images by whether they bear the marker


def habits_of(inputs: Inputs) -> dict[str, Habit]:
    """For each domain the habit of the cohort that its students learn from."""
    phantoms = {name: cohort["phantom"] or {} for name, cohort in inputs.study["cohorts"].items()}
    homes = {domain.name: phantoms[domain.training] for domain in inputs.design.domains}
    return {domain: Habit.model_validate(phantom.get("habit", {})) for domain, phantom in homes.items()}


def doses_of(inputs: Inputs) -> dict[Cell, float]:
    """The rate of label errors of each domain whose labels err with the marker alone, by its home cell, ascending."""
    habits = habits_of(inputs)
    homes = {cell: habits[cell.domain] for cell in inputs.design.home_cells}
    doses = {
        cell: habit.errors
        for cell, habit in homes.items()
        if habit.marked and habit.errors_follow == "marker" and not habit.mentioned
    }
    return dict(sorted(doses.items(), key=lambda pair: pair[1]))


def reliance(inputs: Inputs) -> pd.DataFrame:
    """One row per training domain, cohort of its modality whose phantom has a marker, and arm.

    Returns:
        domain, cohort, arm; predicted and predicted_from_unmarked; effect and unmarked (probability without the marker)
        of absent findings; mass, top_decile and area; gain_marked and gain_unmarked: of the primary score over the
        reference; reason. Estimates have columns _low, _high, _n_images, _n_patients and _n_seeds.
    """
    design, habits = inputs.design, habits_of(inputs)
    arms = {name: Arm.model_validate(arm) for name, arm in inputs.study["arms"].items()}
    rows = []
    for cohort, domain in design.domain_of.items():
        cell = design.cell(domain, cohort)
        trained = select(inputs.scores, domain=domain, cohort=cohort, metric=MASS)["arm"].unique()
        for arm in design.order(trained):
            found, predicted = _reliance(inputs, cell, arm), predicted_effect(habits[domain], arms[arm])
            row = {"domain": domain, "cohort": cohort, "arm": arm, "predicted": predicted}
            row["predicted_from_unmarked"] = predicted * (1 - found["unmarked"])
            rows.append(row | found | _gains(inputs, cell, arm))
    return pd.DataFrame(rows)


def sample_words(estimates: Iterable[Estimate]) -> str:
    """`132 patients, 4 seeds`: what estimates rest on, for captions."""
    patients, seeds = zip(*((one.n_patients, one.n_seeds) for one in estimates), strict=True)
    return f"{count_range(patients, 'patient')}, {count_range(seeds, 'seed')}"


def quantity_words(table: pd.DataFrame) -> str:
    """`n of the effect: 96 to 111 patients, 5 seeds; of the map: ...`: what a table of `reliance` rests on."""
    parts = []
    for name, columns in {"effect": ["effect"], "map": ["mass"], "gains": list(STRATA)}.items():
        counts = {noun: pd.concat([table[f"{column}_n_{noun}s"] for column in columns]) for noun in ("patient", "seed")}
        shown = [count_range(of_noun[of_noun > 0], noun) for noun, of_noun in counts.items() if (of_noun > 0).any()]
        parts.append(f"of the {name}: {', '.join(shown) or 'none'}")
    return f"n {'; '.join(parts)}"


def _reliance(inputs: Inputs, cell: Cell, arm: str) -> dict[str, Any]:
    method, confidence = inputs.evaluation.methods[0], inputs.evaluation.confidence
    wanted = {"effect": (EFFECT, "none"), "unmarked": (UNMARKED, "none")}
    wanted |= {"mass": (MASS, method), "top_decile": (TOP_DECILE, method)}
    estimates = {
        name: arm_mean(inputs.scores, [cell], arm, Score(*score), confidence) for name, score in wanted.items()
    }
    area = score_matrix(inputs.scores, CONTROL, "uniform", cell.cohort, **Score(MASS, "none").columns).mean
    return {**_intervals(estimates), "area": area, "reason": estimates["effect"].reason}


def _gains(inputs: Inputs, cell: Cell, arm: str) -> dict[str, float]:
    """The arm's gains in the primary score in test images with the marker and in those without."""
    estimates, reference = dict.fromkeys(STRATA, Estimate()), inputs.design.reference
    if arm == reference:
        return _intervals(estimates)
    try:
        gain = gain_matrix(inputs.scores, cell, arm, reference, inputs.evaluation.score())
        marked = score_matrix(inputs.scores, CONTROL, "uniform", cell.cohort, **Score(MARKED, "none").columns)
    except MissingScores:
        return _intervals(estimates)
    present = pd.Series(marked.values[0], index=marked.images.astype(str))
    for name, value in STRATA.items():
        weights = weights_like(gain, (present == value).astype(float))
        estimates[name] = stratum_estimate(gain, weights, inputs.evaluation.confidence)
    return _intervals(estimates)


def _intervals(estimates: dict[str, Estimate]) -> dict[str, float]:
    columns: dict[str, float] = {}
    for name, estimate in estimates.items():
        columns |= {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        columns |= {f"{name}_n_{noun}s": getattr(estimate, f"n_{noun}s") for noun in ("image", "patient", "seed")}
    return columns
