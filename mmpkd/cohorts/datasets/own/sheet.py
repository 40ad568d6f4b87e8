"""Tables that people write in a spreadsheet, with messages that name file, row, column and fix."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.paths import TableFileError, snake_case
from mmpkd.text import TextError, read_text

SEPARATORS = ",;\t"
MOST_ROWS = 5  # that a message names
SIMILAR = 0.8  # of two names, from which on one is taken for a misspelling of the other
OTHER_NAMES = {  # that people give to a column which is read by another name
    "image": ("imageid",),
    "patient": ("subject", "subject_id", "patientid", "patient_number", "person", "pid"),
    "study": ("studyid", "accession", "accession_number", "exam", "examination"),
    "split": ("partition",),
}


@dataclass(frozen=True)
class Sheet:
    """A CSV file as text: stripped cells by column names in snake case; the index is the row as a spreadsheet counts.

    `encoding` is that of the file, see `mmpkd.text`.
    """

    path: Path
    cells: pd.DataFrame
    encoding: str

    def first_of(self, *names: str) -> str:
        """The first of these columns that is there.

        Raises:
            TableFileError: there is none.
        """
        found = [name for name in names if name in self.cells]
        if not found:
            there = ", ".join(self.cells) or "no column"
            raise TableFileError(
                f"{self.path}, row 1: there is no column {' or '.join(names)} among {there}; add it, or rename the one "
                "that is meant"
            )
        return found[0]

    def is_filled(self, column: str) -> bool:
        """Whether a row has something in this column."""
        return column in self.cells and bool((self.cells[column] != "").any())

    def refuse_misspelt(self, expected: Iterable[str], known: Iterable[str] = ()) -> None:
        """Refuses a column that nothing reads if its name is nearly that of one which is read and is not there.

        Args:
            expected: the names that are read.
            known: further names that may appear, such as those of labels.

        Raises:
            TableFileError: there is such a column. Passed over in silence, patients would for example not be known.
        """
        expected = list(expected)
        strange = sorted(set(self.cells) - {*expected, *known})
        for name in (name for name in expected if name not in self.cells):
            other = [column for column in OTHER_NAMES.get(name, ()) if column in strange]
            if close := other or get_close_matches(name, strange, 1, SIMILAR):
                raise TableFileError(
                    f"{self.path}, row 1: column {close[0]} is not read, and there is no column {name}; rename it to "
                    f"{name}, or give it another name if it is something else"
                )

    def refuse(self, wrong: pd.Series, column: str, fix: str) -> None:
        """Refuses rows.

        Args:
            wrong: a mask along the rows.
            column: that is to blame.
            fix: what to do.

        Raises:
            TableFileError: the mask marks a row.
        """
        if wrong.any():
            raise TableFileError(f"{self.path}, {rows_text(wrong.index[wrong])}, column {column}: {fix}")


def rows_text(rows: Iterable[int | str]) -> str:
    """`row 3, row 8 and 2 more`."""
    rows = list(dict.fromkeys(rows))
    more = f" and {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    return ", ".join(f"row {row}" for row in rows[:MOST_ROWS]) + more


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`.

    Args:
        number: how many.
        noun: in the singular.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def read_sheet(path: Path) -> Sheet:
    """Reads a CSV file with commas, semicolons or tabs. Empty rows and columns without a name are passed over.

    Raises:
        TableFileError: if it cannot be read, or has a column twice.
    """
    try:
        content, encoding = read_text(path)
        separator = max(SEPARATORS, key=content.partition("\n")[0].count)
        rows = list(csv.reader(StringIO(content, newline=""), delimiter=separator, strict=True))
    except (TextError, OSError, csv.Error) as error:
        raise TableFileError(
            f"{path}: not a readable table ({error}); save it as CSV in UTF-8, as spreadsheet programs offer"
        ) from None
    names = [_column(name) for name in rows[0]] if rows else []
    filled = {number: row for number, row in enumerate(rows[1:], start=2) if any(cell.strip() for cell in row)}
    for number, row in filled.items():
        if any(cell.strip() for cell in row[len(names) :]):
            raise TableFileError(
                f"{path}, row {number}: more cells than row 1 has columns; put a text with commas in quotes"
            )
    cells = pd.DataFrame(
        [[cell.strip() for cell in row[: len(names)]] + [""] * (len(names) - len(row)) for row in filled.values()],
        index=list(filled),
        columns=names,
        dtype="str",
    )
    cells = cells.drop(columns="", errors="ignore")
    repeated = cells.columns[cells.columns.duplicated()]
    if len(repeated):
        raise TableFileError(f"{path}, row 1: column {repeated[0]} appears twice; rename or remove one")
    return Sheet(path, cells, encoding)


def _column(name: str) -> str:
    """In snake case; `patient_id` is `patient`."""
    name = snake_case(name)
    return name.removesuffix("_id") if name in ("image_id", "patient_id", "study_id") else name
