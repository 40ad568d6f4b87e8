"""What the frozen features of the students know of the other domains' labels."""

from collections.abc import Iterator

import pandas as pd

from mmpkd.design import CONTROL
from mmpkd.evaluation.classification import classification_table
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.scores import PROBE
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table


def make(inputs: Inputs) -> Table:
    """One row per training domain, cohort of another domain, label, metric and arm; no row where there was no probe.

    Returns:
        domain, cohort, label, metric (auroc or average_precision), arm (the controls `untrained` and `pretrained` among
        those of every domain), estimate, low, high, gain, gain_p, n_images, n_positive, n_patients, n_seeds, reason.
    """
    confidence, reference = inputs.evaluation.confidence, inputs.design.reference
    result = classification_table(_as_classification(inputs.scores), confidence, reference)
    caption = (
        "Linear probe: logistic regression on the frozen class token of students that were trained in another domain, "
        "fitted on training images of the cohort and tested on its test images. AUROC and average precision, mean "
        f"over seeds, with intervals of {100 * confidence:g} % for new patients and new seeds. Gain: against "
        f"{inputs.design.title(reference)}, paired by image and seed; p is two-sided and not adjusted. Mean of labels: "
        "of those with both classes. Untrained and pretrained: students that were never fine-tuned, which have no "
        "domain; what a probe reads from them owes nothing to the training or to a teacher."
    )
    if result.empty:
        caption += " No probe was made: there is one domain, or none was asked for."
    return Table(result, caption, design=inputs.design)


def _as_classification(scores: pd.DataFrame) -> pd.DataFrame:
    """The probes' rows under the names of a head's, with the controls as arms of each domain that was probed."""
    rows = scores[scores["metric"].isin([f"{PROBE}logit", f"{PROBE}target"]).to_numpy()]
    rows = rows.astype({name: str for name in ("domain", "cohort", "arm", "metric")})
    rows["metric"] = rows["metric"].str.removeprefix(PROBE)
    students = rows[rows["domain"] != CONTROL]
    return pd.concat([students, *_controls(students, select(rows, domain=CONTROL))], ignore_index=True)


def _controls(students: pd.DataFrame, controls: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for domain, cohort in students[["domain", "cohort"]].drop_duplicates().itertuples(index=False):
        yield select(controls, cohort=cohort).assign(domain=domain)
