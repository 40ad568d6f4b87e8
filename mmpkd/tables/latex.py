r"""A table of texts as LaTeX that fits its page, whatever its rows and columns.

A small table is a `table` float; one that is longer than a page is a `longtable`; one that is wider than a page is set
smaller, then turned, and what no page is wide enough for goes on below with its first columns repeated. No type is
smaller than 7 pt. The document needs \usepackage{array,booktabs,longtable,pdflscape} and one column of text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import wrap

import pandas as pd

ABSENT = "-"
PACKAGES = r"\usepackage{array,booktabs,longtable,pdflscape}"
SPECIAL = {
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
    "|": r"\textbar{}",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "−": "$-$",
}
MINUS = re.compile(r"(?<![\w.)\]-])-(?=\.?\d)")  # a sign, not the hyphen of a word or a date
NUMBER = re.compile(r"[-<]?\d[\d.,]*( \[.*\])?|" + re.escape(ABSENT))
WRAPPED = 26  # digits: wider columns of text are broken into lines
GAP = 6.0  # points between columns


@dataclass(frozen=True)
class Page:
    """A size of type on the text area of `article` at 10 pt on letter paper; all lengths are points."""

    size: str
    digit: float  # width of a digit of Computer Modern
    line: float
    turned: bool = False

    @property
    def width(self) -> float:
        """Of a line."""
        return 550.0 if self.turned else 345.0


# from the most to the least comfortable to read
PAGES = (
    Page(r"\normalsize", 5.0, 12.0),
    Page(r"\small", 4.63, 11.0),
    Page(r"\footnotesize", 4.25, 9.5),
    Page(r"\scriptsize", 3.98, 8.0),
    Page(r"\footnotesize", 4.25, 9.5, turned=True),
    Page(r"\scriptsize", 3.98, 8.0, turned=True),
)
UPRIGHT_HEIGHT = 550.0


@dataclass(frozen=True)
class Column:
    """How a column is set; its width in digits."""

    name: str
    width: float
    numeric: bool
    wrapped: bool

    def specification(self, page: Page) -> str:
        """Of this column in the argument of `tabular`."""
        if self.wrapped:
            return rf">{{\raggedright\arraybackslash}}p{{{self.width * page.digit:.0f}pt}}"
        return "r" if self.numeric else "l"


def latex(text: pd.DataFrame, caption: str, label: str) -> str:
    """Cells that are text already as one or more tables with one number."""
    columns = [_column(str(name), list(map(str, text[name]))) for name in text.columns]
    page = next((page for page in PAGES if _width(columns, page) <= page.width), PAGES[-1])
    parts = _parts(columns, page)
    if len(parts) == 1 and not page.turned and _height(text, columns, caption, page) <= UPRIGHT_HEIGHT:
        body = _float(text, columns, caption, label, page)
    else:
        body = [line for k, part in enumerate(parts) for line in _pages(text, part, caption, label, page, k > 0)]
        body = [r"\begingroup", page.size, rf"\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}", *body, r"\endgroup"]
        if page.turned:
            body = [r"\begin{landscape}", *body, r"\end{landscape}"]
    return "\n".join([f"% needs {PACKAGES}", *body, ""])


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands; the sign of a negative number becomes a minus."""
    signed = MINUS.sub("−", text.replace("\n", " "))
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda match: SPECIAL[match.group()], signed)


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers alone, and so is aligned to the right."""
    return bool(len(cells)) and all(NUMBER.fullmatch(str(cell)) for cell in cells)


def _float(text: pd.DataFrame, columns: list[Column], caption: str, label: str, page: Page) -> list[str]:
    return [
        r"\begin{table}[tbp]",
        r"\centering",
        rf"\caption{{{_breakable(caption)}}}",
        rf"\label{{{label}}}",
        page.size,
        rf"\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}",
        rf"\begin{{tabular}}{{{_specification(columns, page)}}}",
        r"\toprule",
        _head(columns),
        r"\midrule",
        *_body(text, columns),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def _pages(text: pd.DataFrame, columns: list[Column], caption: str, label: str, page: Page, further: bool) -> list[str]:
    """A `longtable`; a further part of a table keeps the number of the first."""
    head = [r"\toprule", _head(columns), r"\midrule"]
    continued = rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\tablename~\ref{{{label}}}, continued}} \\"
    first = [continued] if further else [rf"\caption{{{_breakable(caption)}}}\label{{{label}}} \\"]
    return [
        r"\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{{_specification(columns, page)}}}",
        *first,
        *head,
        r"\endfirsthead",
        continued,
        *head,
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *_body(text, columns),
        r"\end{longtable}",
        *([r"\addtocounter{table}{-1}"] if further else []),
    ]


def _specification(columns: list[Column], page: Page) -> str:
    return "@{}" + "".join(column.specification(page) for column in columns) + "@{}"


def _head(columns: list[Column]) -> str:
    """Names, in as many lines as the cells below make narrow."""
    stacks = []
    for column in columns:
        lines = r" \\ ".join(map(escape, wrap(column.name, int(column.width), break_long_words=False)))
        side = "r" if column.numeric else "l"
        stacks.append(rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{lines}\end{{tabular}}" if "\\\\" in lines else lines)
    return " & ".join(stacks) + r" \\"


def _body(text: pd.DataFrame, columns: list[Column]) -> list[str]:
    cells = text[[column.name for column in columns]].to_numpy()
    return [
        " & ".join(_cell(str(cell), column) for cell, column in zip(row, columns, strict=True)) + r" \\"
        for row in cells
    ]


def _cell(cell: str, column: Column) -> str:
    r"""Escaped; what `\\` would take for its argument is kept from it."""
    printed = _breakable(cell) if column.wrapped else escape(cell)
    return "{}" + printed if printed.startswith(("[", "*")) else printed


def _breakable(text: str) -> str:
    """Escaped, and names with underscores may be broken at the end of a line."""
    return escape(text).replace(r"\_", r"\_\allowbreak{}")


def _column(name: str, cells: list[str]) -> Column:
    head = max((digits(word) for word in name.split()), default=1.0)
    widest, numeric = max(map(digits, cells), default=1.0), is_numeric(cells)
    if numeric or widest <= WRAPPED:
        return Column(name, max(head, widest), numeric, wrapped=False)
    words = [word for cell in cells for word in re.split(r"[ \n]|(?<=_)", cell)]
    return Column(name, max(head, WRAPPED, *map(digits, words)), numeric, wrapped=True)


def digits(text: str) -> float:
    """Width of a text in Computer Modern, in digits, rather too wide than too narrow."""

    def width(letter: str) -> float:
        if letter in "ijlftrI.,:;!'()[] ":
            return 0.75 if letter in "ftrI() " else 0.56
        return 1.7 if letter in "mwMW@%<>−-" else 1.5 if letter.isupper() else 1.08 if letter.isalpha() else 1.0

    return sum(map(width, text))


def _width(columns: Sequence[Column], page: Page) -> float:
    return sum(column.width for column in columns) * page.digit + GAP * (len(columns) - 1)


def _height(text: pd.DataFrame, columns: list[Column], caption: str, page: Page) -> float:
    """Points that the table takes with its caption and head."""
    wrapped = [column for column in columns if column.wrapped]
    tall = [[ceil(1.2 * digits(str(cell)) / column.width) for cell in text[column.name]] for column in wrapped]
    lines = sum(max(row) for row in zip(*tall, strict=True)) if tall else len(text)
    head = max((len(column.name.split()) for column in columns), default=1)
    return (lines + head + 2) * page.line + (ceil(digits(caption) * 5.0 / page.width) + 3) * 12.0


def _parts(columns: list[Column], page: Page) -> list[list[Column]]:
    """The columns as they go side by side on the page; each part begins with the columns that name a row."""
    if _width(columns, page) <= page.width:
        return [columns]
    named = next((k for k, column in enumerate(columns) if column.numeric), 1) or 1
    while named > 1 and _width(columns[:named], page) > page.width / 2:
        named -= 1
    keys, parts = columns[:named], [columns[:named]]
    for column in columns[named:]:
        if len(parts[-1]) > named and _width([*parts[-1], column], page) > page.width:
            parts.append(keys)
        parts[-1] = [*parts[-1], column]
    return parts
