"""Tables and figures as the page shows them."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

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
    columns: list[str]
    right: list[bool]  # numbers, aligned to the right
    rows: list[list[str]]


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
    lines = [line for line in markdown.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    if len(lines) < 2:
        raise ValueError(f"{markdown.name} holds no table; make tables/{name} again")
    header, rule, *rows = map(cells, lines)
    return TableItem(
        name=name,
        title=_title(name),
        caption=caption.read_text(encoding="utf-8").strip(),
        file=f"tables/{csv.name}",
        columns=header,
        right=[cell.endswith(":") for cell in rule],
        rows=rows,
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


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table; an escaped bar belongs to its cell."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())
