"""Tables and figures as the page shows them."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from mmpkd.report.markdown import table_html

TITLES = {
    "attention_examples": "Examples of attention maps",
    "cross_domain": "Across cohorts and domains",
    "localization": "Localisation",
    "method": "The method",
    "probe": "Linear probe",
    "runtime": "Run time",
    "strata": "Localisation by ROI size, prediction and label",
}


@dataclass(frozen=True)
class TableItem:
    """A table as the template shows it."""

    name: str
    title: str
    caption: str
    file: str
    html: Markup


@dataclass(frozen=True)
class FigureItem:
    """A figure as the template shows it."""

    name: str
    title: str
    caption: str
    summary: str  # first sentence of the caption: what stands for the picture
    file: str
    data: str  # the PNG, base64


def read_table(name: str, csv: Path, markdown: Path, caption: Path) -> TableItem:
    """The rounded table of a Markdown file; `csv`, which holds all columns and digits, is named beside it.

    Raises:
        ValueError: the Markdown file holds no table.
    """
    title = _title(name)
    try:
        html = table_html(markdown.read_text(encoding="utf-8"), f"Table: {title}")
    except ValueError as error:
        raise ValueError(f"{markdown.name} {error}; make tables/{name} again") from None
    return TableItem(
        name=name,
        title=title,
        caption=caption.read_text(encoding="utf-8").strip(),
        file=f"tables/{csv.name}",
        html=html,
    )


def read_figure(name: str, png: Path, caption: Path) -> FigureItem:
    """The picture, inline, and its caption.

    Raises:
        ValueError: the file is no PNG.
    """
    content = png.read_bytes()
    if not content.startswith(b"\x89PNG"):
        raise ValueError(f"{png.name} is no PNG file; make figures/{name} again")
    text = caption.read_text(encoding="utf-8").strip()
    return FigureItem(
        name=name,
        title=_title(name),
        caption=text,
        summary=re.split(r"(?<=\.)\s", text, maxsplit=1)[0],
        file=f"figures/{name}.pdf",
        data=base64.b64encode(content).decode("ascii"),
    )


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())
