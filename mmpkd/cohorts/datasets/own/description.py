"""Privileged data of own images: texts in files, and the fields of a case description."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.datasets.own.sheet import Sheet
from mmpkd.cohorts.listing import Listing, MissingFilesError
from mmpkd.cohorts.paths import TableFileError, snake_case
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import PRIVILEGED_COLUMNS, Fields
from mmpkd.config.base import did_you_mean
from mmpkd.files import blame_storage
from mmpkd.text import TextError, read_text

IDENTIFIERS = ("image", "path", "study", "patient", "split", "report")  # of records.csv, which describe nothing
RESERVED = ("record_id", "key", "subset", "official_set")  # columns of the project's own tables
Scale = tuple[float, float] | list[str]


def read_texts(files: Listing, images: pd.DataFrame, rejections: Rejections, notes: dict[str, int]) -> pd.DataFrame:
    """A row per study that has a text, `<study>.txt` at any depth below the folder of `files`.

    Args:
        files: text files below one folder.
        images: rows with `study_id`, `patient_id` and `split`.
        rejections: takes files that are no text.
        notes: gets the counted decisions.

    Raises:
        MissingFilesError: no study has one.
    """
    studies = images.drop_duplicates("study_id").set_index("study_id")[["patient_id", "split"]]
    rejections.count(files.notes, files.root)
    rows, foreign = [], 0
    named = {PurePosixPath(path).stem: path for path in files}
    for study in studies.index.intersection(list(named)):
        try:
            text = read_text(files.root / named[study])
        except (TextError, OSError) as error:
            blame_storage(error)
            fault = error if isinstance(error, TextError) else type(error).__name__
            rejections.add([named[study]], f"reports: a text cannot be read ({fault}); save it as plain text in UTF-8")
            continue
        foreign += text.encoding == "latin-1"
        rows.append((study, study, *studies.loc[study], text.content))
    if not len(studies.index.intersection(list(named))) and len(studies):
        raise MissingFilesError(
            f"{files.root}: none of its {len(files)} texts (.txt) is named as one of the {len(studies)} studies of "
            f"images.csv; {files.remark or 'name each text as its study'}"
        )
    notes["studies_without_a_text"] = len(studies) - len(rows)
    notes["texts_of_no_study"] = len(set(named) - set(studies.index))
    notes["texts_that_are_not_UTF-8_and_were_read_as_Latin-1"] = foreign
    return pd.DataFrame(rows, columns=[*PRIVILEGED_COLUMNS, "report"], dtype="str")


def describe(
    sheet: Sheet, chosen: list[str], labels: list[str], options: Mapping[str, Any], notes: dict[str, int]
) -> tuple[pd.DataFrame, Fields]:
    """The fields of a sheet, and what is declared of them.

    Args:
        sheet: records.csv or images.csv.
        chosen: the fields; empty: every column but identifiers and labels.
        labels: columns that are labels, in snake case.
        options: of the cohort.
        notes: counts are added.

    Raises:
        ChoiceError: the options name a column that is not there or a label, or state no order.
        TableFileError: a cell is off its order, or a column has a name that is taken.
    """
    withheld = [snake_case(name) for name in options.get("withheld", [])]
    fields = [snake_case(name) for name in chosen]
    fields = fields or [name for name in sheet.cells if name not in (*IDENTIFIERS, *labels)]
    scales = {snake_case(name): _scale(name, text) for name, text in _table(options, "ordered").items()}
    applies = {snake_case(name): _condition(name, text) for name, text in _table(options, "applies").items()}
    for option, names in {
        "fields": fields,
        "withheld": withheld,
        "ordered": scales,
        "applies": [*applies, *(column for column, _ in applies.values())],
    }.items():
        if unknown := [name for name in names if name not in sheet.cells]:
            advice = did_you_mean(unknown[0], sheet.cells)
            raise ChoiceError(f"options.{option}: {sheet.path.name} has no column {', '.join(unknown)}{advice}")
    if answers := [name for name in fields if name in labels]:
        raise ChoiceError(f"options.fields: {', '.join(answers)} is a label, which no teacher may read")
    taken = [name for name in fields if name in RESERVED or name.startswith("target_")]
    if taken:
        raise TableFileError(f"{sheet.path}, row 1: column {taken[0]} has a name with a meaning; choose another")
    table, numbers = {}, {}
    for name in (name for name in fields if name not in withheld):
        table[name], scale = _read(sheet, name, scales.get(name))
        if scale is not None:
            numbers[name] = scale
    notes["fields_read_as_numbers"], notes["fields_read_as_categories"] = len(numbers), len(table) - len(numbers)
    declared = {name: scale or None for name, scale in numbers.items()}
    return pd.DataFrame(table, index=sheet.cells.index), Fields(declared, applies, tuple(withheld))


def _table(options: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """An option that must be a table."""
    table = options.get(name, {})
    if not isinstance(table, Mapping):
        raise ChoiceError(f"options.{name} is {table!r}; write it as {{field: ...}}, see docs/data.md")
    return table


def _scale(name: str, text: str) -> Scale:
    levels = [level.strip() for level in text.split("<")]
    if len(levels) > 1 and all(levels):
        return [level.upper() for level in levels]
    try:
        low, high = (float(end) for end in text.split(" to "))
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        raise ChoiceError(f"options.ordered.{name} is {text!r}; write it as 0 to 120, or as low < middle < high")
    return low, high


def _condition(name: str, text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not (column.strip() and equals and value.strip()):
        raise ChoiceError(f"options.applies.{name} is {text!r}; write it as column = value")
    return snake_case(column), value.strip()


def _read(sheet: Sheet, name: str, scale: Scale | None) -> tuple[pd.Series, tuple[float, float] | tuple[()] | None]:
    """A column as the project's case descriptions have it, and the scale of its numbers: () for any, None for terms."""
    cells = sheet.cells[name]
    filled = cells != ""
    if isinstance(scale, list):
        rank = cells.str.upper().map({level: str(number) for number, level in enumerate(scale, start=1)})
        sheet.refuse(filled & rank.isna(), name, f"must be empty or one of {', '.join(scale)}")
        return rank.fillna(""), (1.0, float(len(scale)))
    is_number = pd.to_numeric(cells, errors="coerce").notna()
    if scale is not None:
        sheet.refuse(filled & ~is_number, name, "must be a number or empty, because options.ordered says so")
        return cells, scale
    if filled.any() and is_number[filled].all():
        return cells, ()
    # Hyphens join the terms of a cell in this project.
    return cells.str.replace("-", "_").str.replace(r"\s*;\s*", "-", regex=True), None
