"""The claims and their verdicts."""

from collections.abc import Mapping

import pandas as pd

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.localization import TITLES

# what Markdown and LaTeX show; the CSV holds all
SHOWN = (
    "title",
    "estimate",
    "low",
    "high",
    "p_holm",
    "minimum_detectable",
    "verdict",
    "shuffled_gain",
    "shuffled_gain_low",
    "shuffled_gain_high",
    "credited",
    "over_centre",
    "over_centre_low",
    "over_centre_high",
    "over_untrained",
    "over_untrained_low",
    "over_untrained_high",
    "n_images",
    "n_patients",
    "n_seeds",
)


def table(scores: pd.DataFrame, claims: Mapping[str, Claim], evaluation: Evaluation) -> tuple[pd.DataFrame, str]:
    """Every column of `mmpkd.evaluation.claims.claims_table`, and the caption."""
    result = claims_table(scores, claims, evaluation)
    score = f"{TITLES[evaluation.metric]} of the {evaluation.methods[0]} map"
    caption = (
        f"The {len(result)} claims, tested on the {score}. Estimate: the mean gain over the claim's cells (training "
        "domain @ evaluation cohort), paired by image and seed, less the mean over the cells that it subtracts, with a "
        f"{100 * evaluation.confidence:g} % interval for new patients and new seeds. p is two-sided (against the "
        "margin where no gain is expected) and Holm-adjusted over all claims. Minimum detectable: the effect that a "
        "run of this precision finds with 80 % power. Inconclusive means neither shown nor refuted. Credited: the arm "
        "also gains over the shuffled teacher (shuffled gain), so that soft targets alone do not explain the gain. "
        "Over centre and over untrained: the arm's mean score less the control's."
    )
    return result, caption
