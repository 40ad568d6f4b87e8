"""A fabricated Open-i collection: reports as XML, indexed by hand, images as PNG, and Kaggle's table of views.

One patient per report, as in the real collection, whose reports name none. Dirt: a report without an image, one without
findings and impression, one that was not indexed, and words that de-identification replaced by XXXX.
"""

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from skimage.io import imsave

from mmpkd.cohorts.datasets.open_i.views import PROJECTIONS
from mmpkd.config.cohorts import Phantom
from mmpkd.files import atomic, write_csv, write_text
from mmpkd.logs import progress
from mmpkd.phantom.canvas import enlarged
from mmpkd.phantom.chest import MIMIC, Anatomy, Study, draw_frontal, draw_lateral, draw_study, truth_rows
from mmpkd.phantom.reports import write_report

TERMS = {
    "Atelectasis": "Pulmonary Atelectasis/base",
    "Cardiomegaly": "Cardiomegaly/mild",
    "Consolidation": "Consolidation/lung",
    "Pleural Effusion": "Pleural Effusion",
    "Pneumothorax": "Pneumothorax",
}
WITHOUT_IMAGE, WITHOUT_TEXT, NOT_INDEXED = 7, 11, 13  # indices of patients, in a tree that large
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <meta type="rr"/>
  <uId id="{study}"/>
  <MedlineCitation><Article><Abstract>
{sections}
  </Abstract></Article></MedlineCitation>
  <MeSH>{terms}</MeSH>
{images}
</eCitation>
"""


def write(phantom: Phantom, folder: Path) -> pd.DataFrame:
    """Writes the tree to `folder` and returns the truth: one row per frontal image and label.

    Args:
        phantom: size and seed.
        folder: of the tree.
    """
    truth, views = [], []
    for place in ("ecgen-radiology", "NLMCXR_png"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for index in progress(range(phantom.patients), "phantom Open-i", unit="report"):
        bodies, texts = np.random.default_rng([phantom.seed, index]).spawn(2)
        anatomy = Anatomy.draw(bodies, MIMIC)
        study = draw_study(bodies, MIMIC, anatomy)
        frontal, boxes = draw_frontal(bodies, MIMIC, anatomy, study, enlargement=phantom.enlargement(index))
        pictures = {"Frontal": frontal}
        if study.view == "PA":
            pictures["Lateral"] = enlarged(draw_lateral(bodies, MIMIC, anatomy), phantom.enlargement(index))
        names = {view: f"{index + 1}_IM-{index + 1:04d}-{1001 + 1000 * n}" for n, view in enumerate(pictures)}
        if index == WITHOUT_IMAGE:
            pictures, names = {}, {}
        for view, image in pictures.items():
            _write_png(image, folder / "NLMCXR_png" / f"CXR{names[view]}.png")
            views.append({"uid": index + 1, "filename": f"{names[view]}.dcm.png", "projection": view})
        write_text(_report(texts, index, anatomy, study, names), folder / "ecgen-radiology" / f"{index + 1}.xml")
        if names:
            truth += truth_rows(f"CXR{names['Frontal']}", f"CXR{index + 1}", study, boxes)
    write_csv(pd.DataFrame(views, columns=["uid", "filename", "projection"]), folder / PROJECTIONS)
    return pd.DataFrame(truth)


def _report(rng: np.random.Generator, index: int, anatomy: Anatomy, study: Study, names: dict[str, str]) -> str:
    """The XML of a report."""
    report = write_report(rng, anatomy, study, "Lateral" in names, 0.0)
    written = {"comparison": "___", "indication": "___-year-old, chest pain", "findings": "", "impression": ""}
    if index != WITHOUT_TEXT:
        written |= {"findings": report.findings, "impression": report.impression}
    terms = [TERMS[label] for label in study.findings] or ["normal"]
    if index == NOT_INDEXED:
        terms = ["No Indexing"]
    rows = (f'    <AbstractText Label="{name.upper()}">{_text(text)}</AbstractText>' for name, text in written.items())
    caption = "Xray Chest PA and Lateral" if "Lateral" in names else "CHEST PA"
    images = (f'  <parentImage id="CXR{name}"><caption>{caption}</caption></parentImage>' for name in names.values())
    return REPORT.format(
        study=f"CXR{index + 1}",
        sections="\n".join(rows),
        terms="".join(f"<major>{term}</major>" for term in terms),
        images="\n".join(images),
    )


def _text(text: str) -> str:
    return escape(" ".join(text.replace("___", "XXXX").split()))


def _write_png(image: np.ndarray, path: Path) -> None:
    with atomic(path) as temporary:
        imsave(temporary, np.rint(255 * image).astype(np.uint8), check_contrast=False)
