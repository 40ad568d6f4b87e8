"""The claims and their verdicts."""

import pandas as pd

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.evaluation.claims import claims_table
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import KNOWN_ANSWERS, score_words

# what Markdown and LaTeX show; the CSV holds all
SHOWN = (
    "title",
    "estimate",
    "low",
    "high",
    "p_holm",
    "minimum_detectable",
    "verdict",
    "known",
    "recovered",
    "p_permutation_patients",
    "p_permutation_seeds",
    "effect_size",
    "share_improved",
    "shuffled_gain",
    "shuffled_gain_low",
    "shuffled_gain_high",
    "credited",
    "over_centre",
    "over_centre_low",
    "over_centre_high",
    "over_edges",
    "over_edges_low",
    "over_edges_high",
    "over_untrained",
    "over_untrained_low",
    "over_untrained_high",
    "n_images",
    "n_patients",
    "n_seeds",
)


def make(inputs: Inputs) -> Table:
    """One row per claim of the study.

    Returns:
        claim, title, expect, margin, metric, method, arm, reference, cells, minus: the claim as configured; estimate,
        low, high, p (not adjusted), p_holm, minimum_detectable, verdict, reason; known, recovered; bootstrap_low and
        bootstrap_high: percentile interval over patients and seeds; p_permutation_patients, p_permutation_seeds;
        effect_size, share_improved; shuffled_gain; shuffled_over_reference: the shuffled control's gain; credited;
        arm_mean: of the arm's score over `cells`; over_uniform, over_centre, over_edges, over_untrained and
        over_pretrained: less the control's; by_cell: the gain in each cell of a claim on several; n_images,
        n_patients, n_seeds, n_undefined; controls and sentence: what the controls and the verdict say, in words.
    """
    evaluation = inputs.evaluation
    claims = {name: Claim.model_validate(claim) for name, claim in inputs.study["claims"].items()}
    result = claims_table(inputs.scores, claims, evaluation, inputs.design)
    caption = (
        f"The {len(result)} claims, tested on the {_scores(result, evaluation)}. Estimate: the mean gain over the "
        "claim's cells (training domain and evaluation cohort), paired by image and seed, less the mean over the cells "
        f"that it subtracts, with a {100 * evaluation.confidence:g} % interval for new patients and new seeds. p is "
        "two-sided (against the margin where no gain is expected) and Holm-adjusted over all claims. Minimum "
        "detectable: the effect that a run of this precision finds with 80 % power, unadjusted. "
        "Inconclusive means neither shown nor refuted. Permutation tests check p and decide nothing: flips of whole "
        "patients hold for new patients of these very students and say nothing of other seeds; flips of seeds hold "
        "for new students on these very patients, and with S seeds of one domain p is at least 2^(1-S). Effect size: "
        "mean over standard deviation of the patients' gains (Cohen's d_z); share improved: patients with a gain "
        "above zero, ties half; neither exists for a difference of gains. Credited: the arm also gains over the "
        "shuffled teacher (shuffled gain), so that soft targets alone do not explain the gain. Over centre, over "
        "edges and over untrained: the arm's mean score less the control's."
    )
    if any(claim.known for claim in claims.values()):
        caption += f" {KNOWN_ANSWERS}"
    return Table(result, caption, SHOWN, inputs.design)


def _scores(result: pd.DataFrame, evaluation: Evaluation) -> str:
    """`pixel AUROC of the attention rollout map`, and the claims that are tested on another score."""
    primary = (evaluation.metric, evaluation.methods[0])
    scores = [score_words(*primary)]
    for claim in result.itertuples():
        if (claim.metric, claim.method) != primary:
            scores.append(f"“{claim.title}” on the {score_words(claim.metric, claim.method)}")
    return "; ".join(scores)
