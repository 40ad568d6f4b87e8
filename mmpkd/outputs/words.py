"""Names, numbers and counts as tables, figures and report write them. The CSV files keep the keys.

An interval decides how many decimals its estimate deserves, in tables and figures alike.
"""

from collections.abc import Collection
from math import isfinite, isnan
from typing import Any, NamedTuple

from mmpkd.design import IN_DOMAIN, Cell, Design
from mmpkd.evaluation.localization import TITLES

CONTROL_NAMES = {
    "uniform": "uniform map",
    "centre": "centred Gaussian",
    "edges": "edge map",
    "untrained": "untrained student",
    "pretrained": "pretrained, not fine-tuned",
}
METHOD_NAMES = {
    "rollout": "attention rollout",
    "last_layer": "last-layer attention",
    "last_layer_max": "last-layer attention, maximum of heads",
    **{f"last_layer_head{head}": f"last-layer attention, head {head}" for head in range(100)},
    "value_norm": "norm-weighted attention",
    "gradient_rollout": "gradient-weighted attention",
    "grad_cam": "Grad-CAM",
}
METRIC_NAMES = TITLES | {  # an axis says more than a caption
    "pointing_game": "pointing game accuracy",
    "mass_in_roi": "attention mass in ROI",
    "pointing_game_tolerant": "pointing game accuracy with tolerance",
    "mass_gain": "attention mass in ROI over its area",
    "artefact_rate": "artefact rate",
    "sink_mass": "mass on sinks",
    "auroc": "AUROC",
}
DOMAIN_NAMES = {"cxr": "chest radiographs", "mammography": "mammograms"}
COHORT_NAMES = {
    "mimic_cxr": "MIMIC-CXR",
    "mimic_cxr_jpg": "MIMIC-CXR-JPG",
    "vindr_cxr": "VinDr-CXR",
    "chexlocalize": "CheXlocalize",
    "nih_chestxray14": "NIH ChestX-ray14",
    "open_i": "Open-i",
    "rsna_pneumonia": "RSNA Pneumonia",
    "covid_chestxray": "COVID-19 image collection",
    "cbis_ddsm": "CBIS-DDSM",
    "vindr_mammo": "VinDr-Mammo",
    "inbreast": "INbreast",
    "mini_mias": "mini-MIAS",
}


class Column(NamedTuple):
    """A column of a table: its name with the unit, if it has one, and what it means."""

    name: str
    meaning: str = ""


_UNADJUSTED = "two-sided p of the paired gain, not adjusted for the number of comparisons"
_GAIN = "less the reference, paired by image and seed, with the interval for new patients and new seeds"
COLUMNS = {
    "domain": Column("training domain", "the modality that the students learnt from"),
    "cohort": Column("cohort", "whose test images are scored; (phantom): fabricated data"),
    "relation": Column("relation", "of the cohort to the training domain"),
    "arm": Column("arm", "how the students were taught, or a control that no teaching made"),
    "label": Column("label", "finding; any: the union of the regions of all findings"),
    "method": Column("map", "how the attention map is made"),
    "metric": Column("score", "what is measured"),
    "title": Column("claim", "what the study set out to test"),
    "claim": Column("key", "of the claim in the configuration"),
    "verdict": Column("verdict", "supported, contradicted or inconclusive, by the Holm-adjusted p"),
    "mean": Column("mean", "over seeds and images, with the interval for new patients and new seeds"),
    "estimate": Column("estimate", "with the interval for new patients and new seeds"),
    "gain": Column("gain", _GAIN),
    "gain_p": Column("p (unadjusted)", _UNADJUSTED),
    "auroc": Column("AUROC", "area under the ROC curve, 0 to 1; 0.5 is chance"),
    "auroc_gain": Column("gain in AUROC", _GAIN),
    "auroc_gain_p": Column("p of the gain in AUROC (unadjusted)", _UNADJUSTED),
    "average_precision": Column("average precision", "0 to 1; chance is the share of positives, of pixels for maps"),
    "average_precision_gain": Column("gain in average precision", _GAIN),
    "average_precision_gain_p": Column("p of the gain in average precision (unadjusted)", _UNADJUSTED),
    "p_holm": Column("p (Holm-adjusted)", "two-sided, adjusted over all claims of the study; decides the verdict"),
    "minimum_detectable": Column(
        "minimum detectable (unadjusted)", "the effect that a run of this precision finds with 80 % power, before Holm"
    ),
    "p_permutation_patients": Column(
        "permutation p (new patients, same seeds)", "says nothing of other seeds, and decides nothing"
    ),
    "p_permutation_seeds": Column(
        "permutation p (new seeds, same patients)", "says nothing of other patients, and decides nothing"
    ),
    "effect_size": Column("effect size (d_z)", "mean over standard deviation of the patients' gains"),
    "share_improved": Column("share improved", "of patients, with a gain above zero; ties count half"),
    "shuffled_gain": Column("gain over the shuffled teacher", "the same contrast against the shuffled control"),
    "known": Column("known answer", "what was planted in the phantoms"),
    "recovered": Column("recovered", "whether the verdict is the known answer"),
    "credited": Column("credited", "whether the gain exceeds that of the shuffled teacher"),
    "over_centre": Column("over the centred Gaussian", "the arm's mean score less the control's"),
    "over_edges": Column("over the edge map", "the arm's mean score less the control's"),
    "over_untrained": Column("over the untrained student", "the arm's mean score less the control's"),
    "n_undefined": Column("n undefined", "images left out, because a seed has no score there"),
    "reason": Column("reason", "why a value is missing"),
    "phantom": Column("phantom", "whether data behind the row are fabricated"),
    "n_records": Column("n records", "test records"),
    "n_positive": Column("n positive", "of these, images or records with the finding"),
    "n_images": Column("n images", "test images that the row rests on"),
    "n_patients": Column("n patients", "patients that the row rests on"),
    "n_seeds": Column("n seeds", "students per arm"),
    "roi_labels": Column("ROI labels", "labels of the cohort's ROI"),
    "labels_without_roi": Column("labels without ROI", "labels of the cohort's domain that its ROI lack"),
    "effect": Column("effect of the marker", "change of the probability of absent findings"),
    "mass": Column("map on the marker", "share of the map's mass"),
    "area": Column("area of the marker", "share of the image"),
    "gain_marked": Column("gain, images with marker", _GAIN),
    "gain_unmarked": Column("gain, images without marker", _GAIN),
    "predicted": Column("predicted", "effect of the marker by a formula, from the configuration alone"),
    "predicted_from_unmarked": Column(
        "predicted from unmarked", "the same, times one minus the student's probability without the marker"
    ),
    "difference": Column("difference in AUROC", "from the logistic regression that reads the same columns"),
    "ece": Column("ECE", "expected calibration error, 0 to 1; 0 is best"),
    "ece_limit": Column("ECE limit", "what calibrated predictions of these records stay below"),
    "raw_ece": Column("ECE before calibration", "0 to 1; 0 is best"),
    "teacher": Column("teacher", "main, or the name of a variant of the configuration"),
    "variant": Column(
        "variant", "teacher: of the students' targets; else the model, and withheld columns that it reads"
    ),
    "subset": Column("subset", "kind of lesion of the test records"),
    "test_set": Column("test set", "the study's split, or the official one of the data set"),
    "labels_evaluated": Column("labels evaluated", "those that the cohort shares with the training domain"),
    "labels_not_known": Column("labels not known", "those of the training domain that the cohort lacks"),
    "quantity": Column("quantity", "what is counted"),
    "item": Column("item", "label, reason or decision"),
    "train": Column("train", "of the training split"),
    "validate": Column("validate", "of the validation split"),
    "test": Column("test", "of the test split"),
    "total": Column("total", "of all splits"),
    "kind": Column("kind", "what the images are divided by"),
    "stratum": Column("stratum", "part of the images"),
    "slope": Column("slope", "effect of the marker per rate of label errors"),
    "doses": Column("doses", "number of rates above zero"),
    "rule": Column("rule", "stage of the workflow"),
    "jobs": Column("jobs", "number of jobs of the rule"),
    "seconds_total": Column("total (s)", "wall time of all jobs"),
    "seconds_mean": Column("mean (s)", "wall time of a job"),
    "seconds_max": Column("longest (s)", "wall time of the longest job"),
    "set_up_seconds": Column("set-up (s)", "interpreter and imports, part of the total"),
    "memory_peak_mb": Column("memory peak (MB)", "resident set of a job"),
}
MEANINGS = {column.name: column.meaning for column in COLUMNS.values() if column.meaning}
_MEANINGS_BY_START = {"gain of ": _GAIN, "gain in ": _GAIN, "p of ": _UNADJUSTED}
_VALUES = {  # names of the values in a column
    "arm": CONTROL_NAMES,
    "method": METHOD_NAMES | {"none": "-"},
    "metric": METRIC_NAMES,
    "domain": DOMAIN_NAMES,
    "label": {"macro": "mean of labels"},
    "known": {"no_gain": "no gain"},
}
KNOWN_ANSWERS = (  # for captions
    "Known: the answer that was planted in the phantoms. It is recovered if the verdict says it (supported where it is "
    "what the claim expects, contradicted where it is the opposite); any other verdict misses it."
)
WITHOUT_INTERVAL = 3
FEWEST, MOST = 2, 4


def domain_name(domain: str) -> str:
    """`chest radiographs`; a domain that is not in the map goes by its own name."""
    return DOMAIN_NAMES.get(domain, domain.replace("_", " "))


def cohort_name(cohort: str, design: Design | None = None) -> str:
    """`MIMIC-CXR (phantom)`; a cohort that is not in the map goes by its own name.

    Args:
        cohort: its key.
        design: knows the phantoms; None names none.
    """
    phantom = " (phantom)" if design is not None and cohort in design.phantoms else ""
    return COHORT_NAMES.get(cohort, cohort.replace("_", " ")) + phantom


def cell_name(cell: Cell, design: Design) -> str:
    """`chest radiographs, MIMIC-CXR (phantom)`; on a cohort that is not the one of training `... on ...`.

    Args:
        cell: training domain and cohort.
        design: knows the phantoms.
    """
    between = ", " if cell.relation == IN_DOMAIN else " on "
    return domain_name(cell.domain) + between + cohort_name(cell.cohort, design)


def score_words(metric: str, method: str) -> str:
    """`pixel AUROC of the attention rollout map`.

    Args:
        metric: a key of METRIC_NAMES.
        method: a key of METHOD_NAMES.
    """
    return f"{METRIC_NAMES[metric]} of the {METHOD_NAMES[method]} map"


def column_name(column: str) -> str:
    """The head of a column."""
    return COLUMNS[column].name if column in COLUMNS else column.replace("_", " ")


def column_meaning(head: str, design: Design | None = None) -> str:
    """What a column of a table holds; "" where nothing is known of it.

    Args:
        head: as the table shows it.
        design: of the study, whose arms have columns in some tables.
    """
    by_start = (meaning for start, meaning in _MEANINGS_BY_START.items() if head.startswith(start))
    if meaning := MEANINGS.get(head) or next(by_start, ""):
        return meaning
    if head in CONTROL_NAMES.values():
        return "mean of the primary score of this control, which no teaching made"
    if design is not None and head in {*design.titles.values(), *(design.title(arm) for arm in design.roles if arm)}:
        return "mean of the primary score of this arm, over seeds and images"
    return "the primary score, over seeds and images" if head in METRIC_NAMES.values() else ""


def value_name(column: str, value: Any, design: Design | None) -> str:
    """A cell of text as it is shown.

    Args:
        column: of the table.
        value: of the cell.
        design: knows titles of arms, and phantoms.
    """
    names = _VALUES.get(column, {})
    if column == "cohort":
        return cohort_name(value, design)
    if column == "arm" and value not in names and design is not None:
        return design.title(value)
    return names.get(value, str(value))


def phantom_words(design: Design | None) -> str:
    """A sentence for captions, with a space before it; "" where no cohort is fabricated."""
    if design is None or not design.phantoms:
        return ""
    return f" Phantom data, which say nothing about patients: {', '.join(map(cohort_name, design.phantoms))}."


def decimals(low: float, high: float) -> int:
    """Decimals of an estimate and of both its bounds: the half-width of the interval keeps two significant digits.

    Args:
        low: end of the interval.
        high: end of the interval.

    Returns:
        At least two and at most four; three where a bound is missing or the interval has no width.
    """
    half_width = (high - low) / 2
    if not isfinite(half_width) or half_width <= 0:
        return WITHOUT_INTERVAL
    exponent = int(f"{half_width:.1e}".partition("e")[2])  # of the half-width as rounded: 0.0996 counts as 0.10
    return min(max(1 - exponent, FEWEST), MOST)


def fixed(value: float, digits: int) -> str:
    """`value` with that many decimals; zero has no sign.

    Args:
        value: the number.
        digits: decimals.
    """
    return f"{round(float(value), digits) + 0.0:.{digits}f}"  # adding zero turns -0.000 into 0.000


def numbers(estimate: float, low: float, high: float) -> str:
    """`0.031 [0.012, 0.050]`, rounded as in the tables.

    Args:
        estimate: the number; NaN if there is none.
        low: end of its interval; NaN if there is none.
        high: end of its interval.
    """
    digits = decimals(low, high)
    if isnan(estimate):
        return "not estimable"
    mean, *bounds = (fixed(value, digits) for value in (estimate, low, high))
    limits = "(no interval)" if isnan(low) or isnan(high) else f"[{', '.join(bounds)}]"
    return f"{mean} {limits}".replace("-", "\N{MINUS SIGN}")


def p_text(p: float) -> str:
    """`0.012`, `<0.001`, or a dash where there is none."""
    return "–" if isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def count(number: int, noun: str) -> str:
    """`1 image`, `2,000 images`.

    Args:
        number: how many.
        noun: in the singular.
    """
    plural = noun if number == 1 else noun + "s"
    return f"{number:,} {plural}"


def count_range(numbers: Collection[int], noun: str) -> str:
    """`80 images` where all agree, else `60 to 80 images`.

    Args:
        numbers: the smallest and the largest are shown.
        noun: in the singular.
    """
    low, high = min(numbers), max(numbers)
    return count(high, noun) if low == high else f"{low:,} to {count(high, noun)}"


def percent(confidence: float) -> str:
    """`95 %`."""
    return f"{100 * confidence:g} %"


def interval_words(confidence: float) -> str:
    """What the intervals of all figures are, for captions."""
    return (
        f"{percent(confidence)} intervals for new patients and new seeds (crossed variance components of seeds and "
        "patients, Student's t); they are not adjusted for the number of comparisons"
    )
