"""CheXpert labels from the terms that Open-i's readers indexed a report with.

A term (`MeSH/major`) is a heading with qualifiers, `Pulmonary Atelectasis/base/left`: the finding, then place, side and
degree. They code by hand what a report finds, so a label that no term means is absent. The terms in `MeSH/automatic`,
which a program extracted, are not used.

`TERMS` is this project's table; the terms are those that public code for the collection maps. Where a term's label is
open to question, CheXpert's own phrases decided (github.com/stanfordmlgroup/chexpert-labeler, phrases/mention):
pulmonary congestion is Edema, an enlarged cardiac shadow is Cardiomegaly, nodule and mass are Lung Lesion, thickening
of the pleura is Pleural Other. (Its phrases of Lung Opacity and Support Devices were not at hand.) A fracture counts,
fresh or healed. `borderline` is uncertain. Enlarged Cardiomediastinum has no term that surely means it and is not
known; granulomas, scars, emphysema, blunted costophrenic angles and the rest have no CheXpert name.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mmpkd.cohorts.label_policy import VALUES

# CheXpert's name: the terms that mean it. `heading/qualifier` asks for the qualifier, at whatever place.
TERMS = {
    "Atelectasis": ["pulmonary atelectasis", "atelectasis"],
    "Cardiomegaly": ["cardiomegaly", "cardiac shadow/enlarged", "cardiac shadow/borderline"],
    "Consolidation": ["consolidation"],
    "Edema": ["pulmonary edema", "pulmonary congestion"],
    "Fracture": ["fractures, bone"],
    "Lung Lesion": ["nodule/lung", "mass/lung"],
    "Lung Opacity": ["opacity/lung", "opacity/pulmonary alveoli", "airspace disease", "infiltrate"],
    "No Finding": ["normal"],
    "Pleural Effusion": ["pleural effusion", "hydropneumothorax"],
    "Pleural Other": ["thickening/pleura"],
    "Pneumonia": ["pneumonia"],
    "Pneumothorax": ["pneumothorax", "hydropneumothorax"],
    "Support Devices": ["implanted medical device", "medical device", "catheters, indwelling", "tube, inserted"],
}
BORDERLINE = "borderline"
SILENT = {"no indexing", "technical quality of image unsatisfactory"}  # headings that tell of no finding


def labels_of_terms(reports: Iterable[Iterable[str]], uncertain: Mapping[str, str], labels: list[str]) -> pd.DataFrame:
    """Labels of reports, given the terms of each: 1, 0, or NaN where they were not indexed.

    Args:
        reports: the terms of each report.
        uncertain: the policy for borderline findings, by label (see `label_policy`).
        labels: those wanted, all in `TERMS`.
    """
    rows = []
    for terms in reports:
        parsed = [_parse(term) for term in terms]
        indexed = any(heading not in SILENT for heading, _ in parsed)
        rows.append([_value(label, parsed, uncertain) if indexed else np.nan for label in labels])
    return pd.DataFrame(rows, columns=labels, dtype="float64")


def _parse(term: str) -> tuple[str, frozenset[str]]:
    heading, *qualifiers = [part.strip().lower() for part in term.split("/")]
    return heading, frozenset(qualifiers)


def _value(label: str, terms: list[tuple[str, frozenset[str]]], uncertain: Mapping[str, str]) -> float:
    patterns = [_parse(pattern) for pattern in TERMS[label]]
    meant = [
        qualifiers
        for heading, qualifiers in terms
        if any(heading == wanted and needed <= qualifiers for wanted, needed in patterns)
    ]
    if not meant:
        return 0.0
    if label == "No Finding":  # a report that is indexed as normal and with a finding has a finding
        return float(all(heading in (*SILENT, "normal") for heading, _ in terms))
    return VALUES[uncertain[label]] if all(BORDERLINE in qualifiers for qualifiers in meant) else 1.0
