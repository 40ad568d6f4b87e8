r"""A table of texts as LaTeX: floats that are turned if they are wide, and shrunk to the page.

A long table goes on in further floats of the same number, and so does one that would be too small to read: each part
then begins with the columns that name a row. The document has one column of text and loads PACKAGES.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from textwrap import wrap

import pandas as pd

ABSENT = "-"
PACKAGES = r"\usepackage{array,booktabs,caption,graphicx,rotating}"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_\allowbreak{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "−": "$-$",
}
MINUS = re.compile(r"(?<![\w.)\]-])-(?=\.?\d)")  # a sign, not the hyphen of a word or a date
NUMBER = re.compile(r"[-<]?\d[\d.,]*( \[.*\])?|" + re.escape(ABSENT))
HEAD = 12  # letters of a line of a column's head
WRAPPED = 40  # letters: cells of text that are longer are broken into lines
PARAGRAPH, PARAGRAPH_LETTERS = r">{\raggedright\arraybackslash}p{14em}", 28
GAP = 2.5  # letters between two columns
# The environment that shrinks a table: \shrunk{height}{table}.
SHRUNK = r"""\ifdefined\shrunk\else
\newsavebox{\shrunkbox}
\newcommand{\shrunk}[2]{\sbox{\shrunkbox}{#2}%
\ifdim\wd\shrunkbox>\linewidth\sbox{\shrunkbox}{\resizebox{\linewidth}{!}{\usebox{\shrunkbox}}}\fi
\ifdim\dimexpr\ht\shrunkbox+\dp\shrunkbox\relax>#1\resizebox*{!}{#1}{\usebox{\shrunkbox}}\else\usebox{\shrunkbox}\fi}
\fi"""


@dataclass(frozen=True)
class Page:
    """A kind of float: as many letters in a row as stay legible in it."""

    environment: str
    letters: float
    rows: int
    height: str  # what a caption leaves to the table


UPRIGHT = Page("table", 105, 40, r"0.5\textheight")
TURNED = Page("sidewaystable", 205, 28, r"0.45\linewidth")


def latex(text: pd.DataFrame, caption: str, label: str) -> str:
    """Cells as one float, or as several that share their number.

    Args:
        text: cells that are text already.
        caption: of the table.
        label: to refer to it.
    """
    page = UPRIGHT if sum(_width(text[name]) for name in text.columns) <= UPRIGHT.letters else TURNED
    parts = [
        text.loc[:, columns].iloc[start : start + page.rows]
        for columns in _parts(text, page)
        for start in range(0, max(len(text), 1), page.rows)
    ]
    lines = [f"% needs {PACKAGES}", SHRUNK]
    for number, part in enumerate(parts):
        first = rf"\caption{{\footnotesize {escape(caption)}}}\label{{{label}}}"
        lines += _float(part, page, r"\ContinuedFloat\caption{continued}" if number else first)
    return "\n".join([*lines, ""])


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands; names may break after an underscore, and a number's sign is a minus."""
    signed = MINUS.sub("−", text.replace("\n", " "))
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda match: SPECIAL[match.group()], signed)


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers alone, and so is aligned to the right."""
    return bool(len(cells)) and all(NUMBER.fullmatch(str(cell)) for cell in cells)


def _float(part: pd.DataFrame, page: Page, head: str) -> list[str]:
    columns = [_column(part[name]) for name in part.columns]
    cells = part.map(_cell).set_axis(list(map(_head, part.columns, columns)), axis="columns")
    tabular = cells.style.hide(axis="index").to_latex(column_format="".join(columns), hrules=True)
    return [
        rf"\begin{{{page.environment}}}",
        r"\centering",
        head,
        rf"\shrunk{{{page.height}}}{{{tabular.strip()}}}",
        rf"\end{{{page.environment}}}",
    ]


def _parts(text: pd.DataFrame, page: Page) -> list[list[str]]:
    """The columns of each part, the first with texts repeated, so that it has space."""
    named = list(takewhile(lambda name: not is_numeric(text[name]), text.columns))
    parts = [named]
    for name in text.columns[len(named) :]:
        longer = [*parts[-1], name]
        if len(parts[-1]) > len(named) and sum(_width(text[one]) for one in longer) > page.letters:
            longer = [*named, name]
            parts.append(longer)
        parts[-1] = longer
    return parts


def _width(cells: pd.Series) -> float:
    """Letters that a column takes."""
    if _column(cells) == PARAGRAPH:
        return PARAGRAPH_LETTERS + GAP
    return max(map(len, [*cells, *str(cells.name).split()]), default=0) + GAP


def _column(cells: pd.Series) -> str:
    if is_numeric(cells):
        return "r"
    return PARAGRAPH if max(map(len, cells), default=0) > WRAPPED else "l"


def _head(name: str, column: str) -> str:
    """A name in as many lines as keep its column narrow."""
    lines = r" \\ ".join(map(escape, wrap(str(name), HEAD, break_long_words=False)))
    side = "r" if column == "r" else "l"
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{lines}\end{{tabular}}" if "\\\\" in lines else lines


def _cell(cell: str) -> str:
    r"""Escaped; what `\\` would take for its argument is kept from it."""
    printed = escape(cell)
    return "{}" + printed if printed.startswith(("[", "*")) else printed
