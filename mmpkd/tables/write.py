"""A table as CSV (six significant digits), and rounded as Markdown and LaTeX (booktabs)."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.files import atomic, write_text

ABSENT = "-"
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write(
    table: pd.DataFrame,
    caption: str,
    csv: str | Path,
    md: str | Path,
    tex: str | Path,
    caption_path: str | Path,
    shown: Sequence[str] | None = None,
) -> None:
    """Writes the four files of a table. CSV holds every column; Markdown and LaTeX those of `shown`, by default all."""
    with atomic(csv) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    text = rounded(table if shown is None else table[[name for name in shown if name in table.columns]])
    write_text(markdown(text, caption), md)
    write_text(latex(text, caption, label=f"tab:{Path(tex).stem}"), tex)
    write_text(caption + "\n", caption_path)


def rounded(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Every cell as text; `x`, `x_low`, `x_high` (or `estimate`, `low`, `high`) become one column "x [low, high]".

    Columns without any value are left out.
    """
    columns = {}
    bounds = {bound for name in table.columns for bound in _bounds(name, table)}
    for name in table.columns:
        if name in bounds:
            continue
        values = [_text(name, value, digits) for value in table[name]]
        for low, high in [_bounds(name, table)] if _bounds(name, table) else []:
            limits = zip(table[low], table[high], strict=True)
            values = [
                value if pd.isna(low) or pd.isna(high) else f"{value} [{_number(low, digits)}, {_number(high, digits)}]"
                for value, (low, high) in zip(values, limits, strict=True)
            ]
        if any(value != ABSENT for value in values):
            columns[str(name).replace("_", " ")] = values
    return pd.DataFrame(columns)


def markdown(text: pd.DataFrame, caption: str) -> str:
    """A GitHub table of cells that are text already, below its caption."""

    def line(cells) -> str:
        return "| " + " | ".join(str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"

    rule = "| " + " | ".join("---:" if right else "---" for right in _numeric(text)) + " |"
    return "\n".join([caption, "", line(text.columns), rule, *map(line, text.to_numpy())]) + "\n"


def latex(text: pd.DataFrame, caption: str, label: str) -> str:
    r"""A `table` float of cells that are text already; the document needs \usepackage{booktabs}."""

    def line(cells) -> str:
        return " & ".join(escape(str(cell)) for cell in cells) + r" \\"

    alignment = "".join("r" if right else "l" for right in _numeric(text))
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            line(text.columns),
            r"\midrule",
            *map(line, text.to_numpy()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return re.sub("|".join(map(re.escape, LATEX)), lambda match: LATEX[match.group()], text.replace("\n", " "))


def _bounds(name: str, table: pd.DataFrame) -> tuple[str, str] | tuple[()]:
    """The columns that hold the interval of column `name`, if any."""
    pair = ("low", "high") if name == "estimate" else (f"{name}_low", f"{name}_high")
    return pair if set(pair) <= set(table.columns) else ()


def _text(name: str, value, digits: int) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if pd.isna(value) or value == "":
        return ABSENT
    if isinstance(value, (float, np.floating)):
        if re.search(r"(^|_)p(_|$)", name) and value < 10**-digits:
            return f"<{10**-digits:.{digits}f}"
        return _number(value, digits)
    return str(value)


def _number(value: float, digits: int) -> str:
    return f"{round(float(value), digits) + 0.0:.{digits}f}"  # adding zero turns -0.000 into 0.000


def _numeric(text: pd.DataFrame) -> list[bool]:
    """Which columns hold numbers, and so are aligned to the right."""
    number = re.compile(r"[-<]?\d[\d.,]*( \[.*\])?|" + re.escape(ABSENT))
    return [bool(len(text)) and all(number.fullmatch(str(cell)) for cell in text[name]) for name in text.columns]
