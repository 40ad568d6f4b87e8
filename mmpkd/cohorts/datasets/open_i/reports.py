"""The reports of Open-i's Indiana University collection, XML files that are read without trust; and the labels in them.

    <eCitation>
      <uId id="CXR1"/>
      <MedlineCitation> ... <Abstract>
        <AbstractText Label="COMPARISON">None.</AbstractText>     INDICATION, FINDINGS and IMPRESSION likewise
      <MeSH> <major>Opacity/lung/base/left</major> <automatic>opacity</automatic>
      <parentImage id="CXR1_1_IM-0001-3001"> <caption>Xray Chest PA and Lateral</caption> ... one per image

Safety: ElementTree reads no external entity and no external DTD, but it expands entities that a file declares, so a few
bytes can fill the memory ("billion laughs"). An entity can be declared by `<!ENTITY` alone, and no report needs one: a
file with it is refused before it is parsed. For that to hold, the text is decoded as UTF-8 first and parsed as such,
whatever encoding it claims. A report takes a few kilobytes, so files above a megabyte are refused too.

Labels are CheXpert's, from the terms that Open-i's readers indexed a report with. A term (`MeSH/major`) is a heading
with qualifiers, `Pulmonary Atelectasis/base/left`: the finding, then place, side and degree. They code by hand what a
report finds, so a label that no term means is absent. The terms in `MeSH/automatic`, which a program extracted, are not
used.

`TERMS` is this project's table; the terms are those that public code for the collection maps. Where a term's label is
open to question, CheXpert's own phrases decided (github.com/stanfordmlgroup/chexpert-labeler, phrases/mention):
pulmonary congestion is Edema, an enlarged cardiac shadow is Cardiomegaly, nodule and mass are Lung Lesion, thickening
of the pleura is Pleural Other. (Its phrases of Lung Opacity and Support Devices were not at hand.) A fracture counts,
fresh or healed. `borderline` is uncertain. Enlarged Cardiomediastinum has no term that surely means it and is not
known; granulomas, scars, emphysema, blunted costophrenic angles and the rest have no CheXpert name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from mmpkd.cohorts.label_policy import VALUES
from mmpkd.files import blame_storage
from mmpkd.text import TextError, read_text

LIMIT = 1_000_000  # bytes of a report's file
NOT_IN_HEADERS = re.compile(r"[^A-Z ()/,-]+")  # what a header of a report cannot hold, see privileged/sections.py
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
SILENT = {"no indexing", "technical quality of image unsatisfactory"}  # headings that name no finding


class ReportError(ValueError):
    """A report cannot be used; the message is the reason and holds nothing of the report."""


@dataclass(frozen=True)
class Report:
    """A report as it stands in its file.

    Attributes:
        study_id: such as CXR1.
        images: their identifiers, each with its caption.
        terms: the terms that readers indexed the report with (`MeSH/major`).
        text: its sections, each under its header.
    """

    study_id: str
    images: tuple[tuple[str, str], ...]
    terms: tuple[str, ...]
    text: str


def read_report(path: Path) -> Report:
    """Reads a report.

    Raises:
        ReportError: if it is unsafe, no XML, or names no study or another study's images.
    """
    root = _parse_xml(_text(path))
    study_id = _attribute(root.find(".//uId"))
    if not re.fullmatch(r"CXR\d+", study_id):
        raise ReportError("report names no study")
    images = tuple((_attribute(image), _words(image.findtext(".//caption"))) for image in root.iter("parentImage"))
    # The identifiers become names of files, so they may hold nothing but what the collection's hold.
    if not all(re.fullmatch(rf"{study_id}_[\w-]+", image_id) for image_id, _ in images):
        raise ReportError("report names an image that is not its own")
    terms = tuple(_words(term.text) for term in root.iterfind(".//MeSH/major"))
    return Report(study_id, tuple(dict.fromkeys(images)), tuple(term for term in terms if term), _sections(root))


def has_text(report: Report) -> bool:
    """Whether the findings or the impression have words."""
    return bool(re.search(r"^ (?:FINDINGS|IMPRESSION): ", report.text, re.MULTILINE))


def labels_of_terms(reports: Iterable[Iterable[str]], uncertain: Mapping[str, str], labels: list[str]) -> pd.DataFrame:
    """Labels of reports, given the terms of each: 1, 0, or NaN where they were not indexed.

    Args:
        reports: the terms of each report.
        uncertain: the policy for borderline findings, by label (see `label_policy`).
        labels: those wanted, all in `TERMS`.
    """
    rows = []
    for terms in reports:
        parsed = [_parse_term(term) for term in terms]
        indexed = any(heading not in SILENT for heading, _ in parsed)
        rows.append([_value(label, parsed, uncertain) if indexed else np.nan for label in labels])
    return pd.DataFrame(rows, columns=labels, dtype="float64")


def _parse_term(term: str) -> tuple[str, frozenset[str]]:
    heading, *qualifiers = [part.strip().lower() for part in term.split("/")]
    return heading, frozenset(qualifiers)


def _value(label: str, terms: list[tuple[str, frozenset[str]]], uncertain: Mapping[str, str]) -> float:
    patterns = [_parse_term(pattern) for pattern in TERMS[label]]
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


def _text(path: Path) -> str:
    try:
        text = read_text(path, LIMIT).content
    except TextError as error:
        raise ReportError(f"report is {error}") from error
    except OSError as error:
        blame_storage(error)
        raise ReportError(f"report cannot be read ({type(error).__name__})") from error
    if "<!ENTITY" in text:
        raise ReportError("report declares XML entities, which is refused")
    return text


def _parse_xml(text: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ReportError("report is not well-formed XML") from error


def _sections(root: ElementTree.Element) -> str:
    """The sections in order, as a MIMIC-CXR report shows them: ` FINDINGS:  ...`, one a line; empty ones are left out.

    The line breaks of a section become blanks, so that no line of it can look like a header.
    """
    lines = []
    for section in root.iter("AbstractText"):
        header = _words(NOT_IN_HEADERS.sub(" ", section.get("Label", "").upper()))
        if body := _words("".join(section.itertext())):
            lines.append(f" {header}:  {body}\n" if header else f"{body}\n")
    return "\n".join(lines)


def _attribute(element: ElementTree.Element | None) -> str:
    return "" if element is None else element.get("id", "").strip()


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
