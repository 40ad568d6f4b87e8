"""A table as CSV (six significant digits), and rounded as Markdown and LaTeX (booktabs)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_high
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.design import Design, split_cell
from mmpkd.files import atomic, write_text
from mmpkd.outputs.latex import ABSENT, is_numeric, latex
from mmpkd.outputs.words import WITHOUT_INTERVAL, column_name, decimals, fixed, phantom_words, value_name

LARGE = 100  # a column with such a number and without intervals keeps one decimal


@dataclass(frozen=True)
class Table:
    """What a `make` of a table returns.

    Attributes:
        frame: every column, with all digits.
        caption: what it shows; it stands alone.
        shown: the columns of Markdown and LaTeX, by default all.
        design: of the study: the names of arms and cohorts, and which cohorts are fabricated.
        heads: names of columns that are not in `mmpkd.outputs.words.COLUMNS`.
    """

    frame: pd.DataFrame
    caption: str
    shown: Sequence[str] | None = None
    design: Design | None = None
    heads: Mapping[str, str] = field(default_factory=dict)

    def write(self, csv: str | Path, md: str | Path, tex: str | Path, caption: str | Path) -> None:
        """Writes the four files.

        Where the rows have a cohort or a domain, the CSV says in `phantom` whether any of their data is fabricated.

        Args:
            csv: holds every column.
            md: Markdown of the columns in `shown`, rounded, with names.
            tex: the same as LaTeX.
            caption: as text.
        """
        text, caption_text = self.text(), self.caption + phantom_words(self.design)
        frame = _with_phantom(self.frame, self.design)
        with atomic(csv) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
        write_text(markdown(text, caption_text), md)
        write_text(latex(text, caption_text, label=f"tab:{Path(tex).stem}"), tex)
        write_text(caption_text + "\n", caption)

    def text(self) -> pd.DataFrame:
        """The columns of `shown`, rounded, by their names."""
        shown = self.frame.columns if self.shown is None else self.shown
        text = rounded(self.frame[[name for name in shown if name in self.frame.columns]], self.design)
        return text.rename(columns=lambda name: self.heads.get(name) or column_name(name))


def _with_phantom(frame: pd.DataFrame, design: Design | None) -> pd.DataFrame:
    """With a column `phantom`: whether the cohort of a row, or the one that its students learnt from, is fabricated."""
    if design is None or not {"cohort", "domain", "cells"} & set(frame.columns):
        return frame
    if "cells" in frame:
        cells = [[split_cell(cell) for cell in f"{row.cells} {row.minus}".split()] for row in frame.itertuples()]
    else:
        columns = [frame[name] if name in frame else [None] * len(frame) for name in ("domain", "cohort")]
        cells = [[pair] for pair in zip(*columns, strict=True)]
    homes = {domain.name: domain.training for domain in design.domains}
    fabricated = [any({homes.get(d), c} & set(design.phantoms) for d, c in of_row) for of_row in cells]
    place = frame.columns.get_loc("cohort") + 1 if "cohort" in frame else len(frame.columns)
    with_phantom = frame.copy()
    with_phantom.insert(place, "phantom", fabricated)
    return with_phantom


def rounded(table: pd.DataFrame, design: Design | None = None) -> pd.DataFrame:
    """Every cell as text; `x`, `x_low`, `x_high` (or `estimate`, `low`, `high`) become one column "x [low, high]".

    A column has as many decimals as the median of its intervals deserves (`mmpkd.outputs.words.decimals`). Without
    intervals it has three, or one if a number reaches 100 or is in seconds; a p below 0.001 is given as such. Columns
    that hold no value in any row are left out.

    Args:
        table: of numbers and text.
        design: says which cohorts are phantoms.
    """
    columns = {}
    bounds = {bound for name in table.columns for bound in _bounds(name, table)}
    for name in table.columns:
        if name in bounds:
            continue
        if pair := _bounds(name, table):
            rows = list(zip(table[name], *(table[bound] for bound in pair), strict=True))
            digits = median_high([decimals(low, high) for _, low, high in rows if high - low > 0] or [WITHOUT_INTERVAL])
            values = [_with_interval(value, low, high, digits) for value, low, high in rows]
        else:
            numbers = pd.to_numeric(table[name], errors="coerce").abs()
            digits = 1 if "seconds" in name or (numbers >= LARGE).any() else WITHOUT_INTERVAL
            values = [_text(name, value, digits, design) for value in table[name]]
        if not values or any(value != ABSENT for value in values):
            columns[name] = values
    return pd.DataFrame(columns)


def markdown(text: pd.DataFrame, caption: str) -> str:
    """A GitHub table of cells that are text already, below its caption.

    Args:
        text: cells by heads.
        caption: above the table.
    """

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"

    rule = "| " + " | ".join("---:" if right else "---" for right in map(is_numeric, text.to_numpy().T)) + " |"
    return "\n".join([caption, "", line(text.columns), rule, *map(line, text.to_numpy())]) + "\n"


def _bounds(name: str, table: pd.DataFrame) -> tuple[str, str] | tuple[()]:
    """The columns that hold the interval of column `name`, if any."""
    pair = ("low", "high") if name == "estimate" else (f"{name}_low", f"{name}_high")
    return pair if set(pair) <= set(table.columns) else ()


def _with_interval(value: float, low: float, high: float, digits: int) -> str:
    if pd.isna(value):
        return ABSENT
    limits = "" if pd.isna(low) or pd.isna(high) else f" [{fixed(low, digits)}, {fixed(high, digits)}]"
    return fixed(value, digits) + limits


def _text(name: str, value: Any, digits: int, design: Design | None) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if pd.isna(value) or value == "":
        return ABSENT
    if isinstance(value, (float, np.floating)):
        if re.search(r"(^|_)p(_|$)", name) and value < 10**-WITHOUT_INTERVAL:
            return f"<{10**-WITHOUT_INTERVAL:.{WITHOUT_INTERVAL}f}"
        return fixed(float(value), digits)
    return value_name(name, value, design)
