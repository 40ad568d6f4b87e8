"""What an uncertain (-1) and a blank CheXpert label count as, label by label.

The policies are those of Irvin et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert
Comparison", AAAI 2019 (arXiv:1901.07031): U-Ones (`ones`), U-Zeros (`zeros`) and U-Ignore (`ignore`: the label is
masked). They found that different labels want different policies. The defaults here are U-Ones for labels whose
uncertain mention mostly stands for a finding that is there (atelectasis, edema, pleural effusion) and U-Zeros
elsewhere; a blank, a finding that the report does not mention, counts as absent, as it does there.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from mmpkd.cohorts.base import ChoiceError

Policy = Literal["ones", "zeros", "ignore"]
VALUES: dict[str, float] = {"ones": 1.0, "zeros": 0.0, "ignore": np.nan}
CHEXPERT_LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)  # in the order of the columns of mimic-cxr-2.0.0-chexpert.csv.gz
UNCERTAIN: dict[str, str] = {
    label: "ones" if label in ("Atelectasis", "Edema", "Pleural Effusion") else "zeros" for label in CHEXPERT_LABELS
}
BLANK: dict[str, str] = {label: "zeros" for label in CHEXPERT_LABELS}


def policy_table(option: str, given: str | Mapping[str, str], default: Mapping[str, str]) -> dict[str, str]:
    """A policy a label: `given` for all labels if it is one word, else `default` overridden label by label.

    Args:
        option: its name, for the message.
        given: a policy for all labels, or policies by label.
        default: policies by label, for those that are not given.

    Raises:
        ChoiceError: for a policy or a label that is not known; `option` is its name in the message.
    """
    table = dict.fromkeys(default, given) if isinstance(given, str) else {**default, **given}
    unknown = sorted(set(table) - set(default))
    wrong = sorted(set(table.values()) - set(VALUES))
    if unknown:
        raise ChoiceError(f"options.{option}: unknown label(s) {', '.join(unknown)}; known are {', '.join(default)}")
    if wrong:
        raise ChoiceError(f"options.{option}: unknown policy {', '.join(wrong)}; known are {', '.join(VALUES)}")
    return table


def apply_policy(labels: pd.DataFrame, uncertain: Mapping[str, str], blank: Mapping[str, str]) -> pd.DataFrame:
    """Decides on labels that are uncertain or blank.

    Args:
        labels: 1, 0, -1 (uncertain) and NaN (blank), one column each.
        uncertain: the policy of each column.
        blank: the policy of each column.

    Returns:
        Labels of 1, 0 and NaN (masked).
    """
    decided = {}
    for name, values in labels.items():
        column = values.astype("float64")
        decided[name] = column.mask(column.isna(), VALUES[blank[name]]).mask(column == -1, VALUES[uncertain[name]])
    return pd.DataFrame(decided, index=labels.index)
