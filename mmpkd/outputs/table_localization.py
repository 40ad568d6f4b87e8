"""How well the attention maps localise in the cohort that the students were trained on."""

from collections.abc import Iterator
from itertools import product

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import CONTROL, Cell
from mmpkd.evaluation.matrices import MissingScores, ScoreMatrix, score_matrix, select
from mmpkd.evaluation.regions import ANY
from mmpkd.evaluation.scores import ARTEFACTS, SINKS
from mmpkd.evaluation.statistics import Estimate, crossed_estimate
from mmpkd.outputs.columns import mean_and_gain
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import score_words

COLUMNS = ["domain", "cohort", "label", "method", "metric", "arm", "mean", "mean_low", "mean_high", "gain", "gain_low"]
COLUMNS += ["gain_high", "gain_p", "n_images", "n_patients", "n_seeds", "n_undefined", "reason"]


def make(inputs: Inputs) -> Table:
    """One row per domain, label, method, metric and arm or control.

    Returns:
        domain, cohort, label (`any` for every metric; single labels for the primary metric and first method), method,
        metric, arm, mean, mean_low, mean_high, gain, gain_low, gain_high, gain_p (NaN for reference and controls),
        n_images, n_patients, n_seeds, n_undefined, reason.
    """
    evaluation, reference = inputs.evaluation, inputs.design.reference
    rows = [row for cell in inputs.design.home_cells for row in _cell_rows(inputs.scores, evaluation, cell, reference)]
    lead = score_words(evaluation.metric, evaluation.methods[0])
    caption = (
        "Localisation on the test images with regions of interest (ROI) of the cohort that the students were trained "
        f"on: means over seeds and images with {100 * evaluation.confidence:g} % intervals for new patients and new "
        "seeds (for controls with one seed, for new patients alone). Students never saw an ROI. Gain: against "
        f"{inputs.design.title(reference)}, paired by image and seed; p is two-sided and not adjusted. Label any: the "
        f"union of an image's ROI; single labels are given for the primary score, {lead}. The uniform map is chance; "
        "centre, edges and untrained are what attention has to beat; pretrained is what fine-tuning started from. "
        "Artefact rate: the share of an image's patches whose token after the last block is longer than three times "
        "the image's median; maps with many are not to be trusted. Mass on sinks: the share of a map on patches that "
        "in some block receive more than three times the attention of an average patch; method none is the share of "
        "such patches, which a uniform map has. A map far above it shows where tokens gather, not what the class "
        "token reads. Undefined: images left out because a seed has no score there."
    )
    return Table(pd.DataFrame(rows, columns=COLUMNS), caption, design=inputs.design)


def _cell_rows(scores: pd.DataFrame, evaluation: Evaluation, cell: Cell, reference: str) -> Iterator[dict]:
    domain, cohort = cell.domain, cell.cohort
    here = select(scores, cohort=cohort)
    shown = [*evaluation.scored, ARTEFACTS, SINKS]
    here = here[here["domain"].isin([domain, CONTROL]).to_numpy() & here["metric"].isin(shown).to_numpy()]
    labels = sorted(set(here["label"].unique()) - {ANY})
    first = [(label, evaluation.methods[0], evaluation.metric) for label in labels]
    for label, method, metric in [
        *product([ANY], evaluation.methods, evaluation.scored),
        *first,
        (ANY, "none", ARTEFACTS),
        *product([ANY], ["none", *evaluation.methods], [SINKS]),
    ]:
        part = select(here, label=label, metric=metric)
        names = {"domain": domain, "cohort": cohort, "label": label, "method": method, "metric": metric}
        matrices = _matrices(select(part, domain=domain, method=method), domain, cohort)
        for arm, matrix in matrices.items():
            gain = Estimate()
            if arm != reference and reference in matrices:
                gain = _gain(matrix, matrices[reference], evaluation.confidence)
            yield names | mean_and_gain(arm, crossed_estimate([(1.0, matrix)], evaluation.confidence), gain)
        controls = select(part, domain=CONTROL)
        # Maps without a model have no method. Of sinks, "none" is what a uniform map has on them.
        methods = [method] if metric == SINKS else [method, "none"]
        controls = controls[controls["method"].isin(methods).to_numpy()]
        for arm, matrix in _matrices(controls, CONTROL, cohort).items():
            seeds = len(matrix.seeds) > 1
            mean = crossed_estimate([(1.0, matrix)], evaluation.confidence, random_seeds=seeds)
            yield names | mean_and_gain(arm, mean, Estimate())


def _matrices(part: pd.DataFrame, domain: str, cohort: str) -> dict[str, ScoreMatrix]:
    return {arm: score_matrix(part, domain, arm, cohort) for arm in part["arm"].unique()}


def _gain(matrix: ScoreMatrix, reference: ScoreMatrix, confidence: float) -> Estimate:
    try:
        return crossed_estimate([(1.0, matrix.minus(reference))], confidence)
    except MissingScores as missing:
        return Estimate(reason=str(missing))
