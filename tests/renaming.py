"""The study's arms under other names, with the titles that they have under their own."""

import pandas as pd

from tests.synthetic import STUDY

NAMES = {"baseline": "plain_arm", "mmpkd": "taught_arm", "shuffled": "scrambled_arm"}
ARMS = {NAMES[arm]: {**section, "title": section["title"] or arm} for arm, section in STUDY["arms"].items()}
ROLES = {role: NAMES[arm] for role, arm in STUDY["design"].items()}
OVERLAY = {"study": "renamed", "arms": {**dict.fromkeys(NAMES), **ARMS}, "design": ROLES}


def usual_names(text: str) -> str:
    """A text about the renamed arms, with the names that they have by default."""
    for usual, name in NAMES.items():
        text = text.replace(name, usual)
    return text


def rename(scores: pd.DataFrame) -> pd.DataFrame:
    """The long table with the arms renamed."""
    return scores.assign(arm=scores["arm"].cat.rename_categories(lambda arm: NAMES.get(arm, arm)))
