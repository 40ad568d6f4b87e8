"""How much the students rely on the marker of the phantoms, and what a formula predicts."""

from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.mechanism import quantity_words, reliance
from mmpkd.outputs.table import Table
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES

SHOWN = ["domain", "cohort", "arm", "effect", "effect_low", "effect_high", "predicted", "predicted_from_unmarked"]
SHOWN += ["mass", "mass_low", "mass_high", "area", "gain_marked", "gain_marked_low", "gain_marked_high"]
SHOWN += ["gain_unmarked", "gain_unmarked_low", "gain_unmarked_high"]


def make(inputs: Inputs) -> Table:
    """One row per training domain, cohort of its modality whose phantom has a marker, and arm.

    Returns:
        domain, cohort, arm; predicted: the effect that the formula predicts; predicted_from_unmarked: the same times
        one minus `unmarked`; effect; unmarked: the probability of absent findings without the marker; mass and
        top_decile: shares of the map, and of its highest tenth of pixels, on the marker; area; gain_marked and
        gain_unmarked, in the primary score; reason. Estimates have columns _low, _high, _n_images, _n_patients and
        _n_seeds.
    """
    evaluation, design, table = inputs.evaluation, inputs.design, reliance(inputs)
    caption = (
        "Reliance on the planted marker. Each scored image was rendered with the marker and without it. Effect: the "
        "mean change of the student's probability for absent findings when the marker appears, over images and seeds, "
        f"with {100 * evaluation.confidence:g} % intervals for new patients and new seeds. Predicted: from the "
        "configuration alone, e w_label / (w_label + w_logit), for a finding that is plainly absent; from unmarked: "
        "the same times one minus the student's own probability without the marker. Mass: the share of the "
        f"{METHOD_NAMES[evaluation.methods[0]]} map on the marker, in the rendering with the marker; area: the same "
        f"for a map that is equal everywhere. Gain marked, unmarked: in {METRIC_NAMES[evaluation.metric]} over "
        f"{design.title(design.reference)}, in test images that bear the marker and in those that do not. "
        f"{quantity_words(table)}. The effect is planted: it says nothing about patients."
    )
    return Table(table, caption, SHOWN, design)
