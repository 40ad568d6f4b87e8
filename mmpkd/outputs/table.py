"""A table as CSV (six significant digits), and rounded as Markdown and LaTeX (booktabs)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.files import atomic, write_text
from mmpkd.outputs.latex import ABSENT, is_numeric, latex
from mmpkd.outputs.words import WITHOUT_INTERVAL, decimals, fixed

LARGE = 100  # from here on a number without an interval keeps one decimal


@dataclass(frozen=True)
class Table:
    """What a `make` of a table returns.

    Attributes:
        frame: every column, with all digits.
        caption: what it shows; it stands alone.
        shown: the columns of Markdown and LaTeX, by default all.
    """

    frame: pd.DataFrame
    caption: str
    shown: Sequence[str] | None = None

    def write(self, csv: str | Path, md: str | Path, tex: str | Path, caption: str | Path) -> None:
        """Writes the four files. CSV holds every column; Markdown and LaTeX those of `shown`, rounded."""
        with atomic(csv) as temporary:
            self.frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
        shown = self.frame.columns if self.shown is None else self.shown
        text = rounded(self.frame[[name for name in shown if name in self.frame.columns]])
        write_text(markdown(text, self.caption), md)
        write_text(latex(text, self.caption, label=f"tab:{Path(tex).stem}"), tex)
        write_text(self.caption + "\n", caption)


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Every cell as text; `x`, `x_low`, `x_high` (or `estimate`, `low`, `high`) become one column "x [low, high]".

    The interval says how many decimals its numbers deserve (`mmpkd.outputs.words.decimals`). A number without an
    interval has three, one from 100 on; a p below 0.001 is given as such. Columns that hold no value in any row are
    left out.
    """
    columns = {}
    bounds = {bound for name in table.columns for bound in _bounds(name, table)}
    for name in table.columns:
        if name in bounds:
            continue
        if pair := _bounds(name, table):
            values = [_with_interval(*row) for row in zip(table[name], *(table[bound] for bound in pair), strict=True)]
        else:
            values = [_text(name, value) for value in table[name]]
        if not values or any(value != ABSENT for value in values):
            columns[str(name).replace("_", " ")] = values
    return pd.DataFrame(columns)


def markdown(text: pd.DataFrame, caption: str) -> str:
    """A GitHub table of cells that are text already, below its caption."""

    def line(cells) -> str:
        return "| " + " | ".join(str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"

    rule = "| " + " | ".join("---:" if right else "---" for right in map(is_numeric, text.to_numpy().T)) + " |"
    return "\n".join([caption, "", line(text.columns), rule, *map(line, text.to_numpy())]) + "\n"


def _bounds(name: str, table: pd.DataFrame) -> tuple[str, str] | tuple[()]:
    """The columns that hold the interval of column `name`, if any."""
    pair = ("low", "high") if name == "estimate" else (f"{name}_low", f"{name}_high")
    return pair if set(pair) <= set(table.columns) else ()


def _with_interval(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return ABSENT
    digits = decimals(low, high)
    limits = "" if pd.isna(low) or pd.isna(high) else f" [{fixed(low, digits)}, {fixed(high, digits)}]"
    return fixed(value, digits) + limits


def _text(name: str, value) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if pd.isna(value) or value == "":
        return ABSENT
    if isinstance(value, (float, np.floating)):
        if re.search(r"(^|_)p(_|$)", name) and value < 10**-WITHOUT_INTERVAL:
            return f"<{10**-WITHOUT_INTERVAL:.{WITHOUT_INTERVAL}f}"
        return fixed(value, WITHOUT_INTERVAL if abs(value) < LARGE else 1)
    return str(value)
