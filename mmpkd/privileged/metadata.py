"""Case descriptions to numbers: spellings made one, missing values a category, a design matrix with named columns.

Which columns are numbers, may not apply or are withheld, the data set declares (`mmpkd.cohorts.tables.Fields`). A cell
of any other column joins terms by hyphens, in no fixed order (`OVAL-LYMPH_NODE`, `LYMPH_NODE-OVAL`). It is read as a
set of terms and written with its terms sorted. A cell is empty either because the field does not apply (a mass has no
calcification type: `NOT_APPLICABLE`) or because nothing was recorded (`MISSING`); both are categories. A number off its
scale (breast density 0) is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmpkd.cohorts.tables import Fields

MISSING, NOT_APPLICABLE = "MISSING", "NOT_APPLICABLE"
EMPTY = {"", "NA", "N/A", "NAN", "NONE"}
# Columns that are no description: identity and bookkeeping.
BOOKKEEPING = ("record_id", "key", "patient_id", "study_id", "split", "official_set")
NONE = "NONE"
# What `describe_case` derives from the other rows of a case; who withholds a descriptor withholds `same_breast` too.
DERIVED = ("lesions_in_image", "lesions_in_case", "breasts_in_case", "same_breast")


def normalize_terms(cell: object, spellings: Mapping[str, str] | None = None) -> str:
    """A cell's terms in one spelling, each once, sorted and joined by `-`.

    Args:
        cell: as it stands in the table.
        spellings: terms, with the spelling that is kept.

    Returns:
        The terms; `MISSING` for an empty cell.
    """
    text = "" if pd.isna(cell) else str(cell).strip().upper().replace(" ", "_")
    terms = {(spellings or {}).get(term, term) for term in text.split("-")} - EMPTY
    return "-".join(sorted(terms)) or MISSING


def normalize(table: pd.DataFrame, fields: Fields) -> pd.DataFrame:
    """The description columns of a privileged table, normalised.

    Args:
        table: the privileged table of a cohort.
        fields: what the data set declares of its columns.

    Returns:
        Numbers as float64, others as str, without identity, targets and what is withheld.
    """
    normalized = {}
    for name in table.columns:
        if name in (*BOOKKEEPING, *fields.withheld) or name.startswith("target_"):
            continue
        column = table[name]
        if name in fields.numbers or pd.api.types.is_numeric_dtype(column):
            numbers, scale = pd.to_numeric(column, errors="coerce"), fields.numbers.get(name)
            normalized[name] = (numbers.where(numbers.between(*scale)) if scale else numbers).astype("float64")
        elif name == "subset":
            normalized[name] = column.astype("str")
        else:
            terms = _terms(column, fields.spellings).fillna(MISSING)
            where, value = fields.applies.get(name, ("", ""))
            if where in table:
                elsewhere = _terms(table[where], {}) != normalize_terms(value)
                terms = terms.mask((terms == MISSING) & elsewhere, NOT_APPLICABLE)
            normalized[name] = terms.astype("str")
    return pd.DataFrame(normalized, index=table.index)


def _terms(column: pd.Series, spellings: Mapping[str, str]) -> pd.Series:
    return column.map({cell: normalize_terms(cell, spellings) for cell in column.unique()}, na_action=None)


def describe_case(table: pd.DataFrame, fields: Fields) -> pd.DataFrame:
    """What the other rows of a case say of a lesion, read off the descriptions alone; no label and no score enters.

    Args:
        table: the raw privileged table, a row per lesion.
        fields: what is declared of its columns; those in `applies` describe a lesion.

    Returns:
        lesions_in_image and lesions_in_case: how many rows describe the image and the patient; breasts_in_case: how
        many breasts of the patient bear a lesion; same_breast: the terms by which the breast's other rows (other
        lesions, and the same lesion in the other view) are described, `NONE` without such a row.
    """
    patient = table.groupby("patient_id")
    described = {
        "lesions_in_image": table.groupby("key")["record_id"].transform("size"),
        "lesions_in_case": patient["record_id"].transform("size"),
    }
    if "laterality" in table:
        described["breasts_in_case"] = patient["laterality"].transform("nunique")
        described["same_breast"] = _terms_of_others(table, fields, ["patient_id", "laterality"])
    return pd.DataFrame(described, index=table.index)


def _terms_of_others(table: pd.DataFrame, fields: Fields, keys: list[str]) -> pd.Series:
    """For each row the sorted terms of the lesion descriptors in the other rows with its keys."""
    cells = normalize(table[[name for name in fields.applies if name in table]], fields)
    terms = [set("-".join(row).split("-")) - {MISSING, ""} for row in cells.itertuples(index=False, name=None)]
    others = pd.Series(NONE, index=table.index, dtype="str")
    for rows in table.groupby(keys).indices.values():
        for row in rows if len(rows) > 1 else ():
            union = set().union(*(terms[other] for other in rows if other != row))
            others.iloc[row] = "-".join(sorted(union)) or NONE
    return others


def fields_of(records: pd.DataFrame, exclude: list[str] | tuple[str, ...] = ()) -> list[str]:
    """The columns of a record table that describe, less those of `exclude`.

    Args:
        records: what `mmpkd.privileged.records.build` returned.
        exclude: columns that no teacher reads.

    Raises:
        ValueError: nothing is left.
    """
    # A name that the table lacks is no error: a data set without `assessment` cannot leak it.
    hidden = {*BOOKKEEPING, *exclude}
    fields = [name for name in records.columns if name not in hidden and not name.startswith("target_")]
    if not fields:
        raise ValueError("the records have no column that describes the case; shorten the teacher's exclude")
    return fields


@dataclass(frozen=True)
class Design:
    """A design matrix fitted on training rows.

    Columns are, field by field, the terms as 0/1 (`mass_shape=OVAL`), and then the numbers (`subtlety`), standardised,
    with the median in place of a missing one. A term that the training rows lack sets no column. A field of numbers
    with at most `MOST_LEVELS` values also has a 0/1 column for each of them and for `MISSING`.
    """

    terms: dict[str, list[str]]  # field -> its terms
    numbers: dict[str, tuple[float, float, float]]  # field -> median, mean, standard deviation
    whole: bool = False  # cells are not split into terms, and numbers are categories alone: a plain one-hot matrix

    MOST_LEVELS = 8

    @classmethod
    def fit(cls, records: pd.DataFrame, fields: list[str], whole: bool = False) -> "Design":
        """Learns terms and scales from training rows.

        Args:
            records: the training rows, as `normalize` gives them.
            fields: the columns that are used.
            whole: cells are not split into terms, and numbers are categories alone: a plain one-hot matrix.
        """
        terms, numbers = {}, {}
        for name in fields:
            column = records[name]
            if pd.api.types.is_numeric_dtype(column):
                levels = sorted(column.dropna().unique())
                if whole or len(levels) <= cls.MOST_LEVELS:
                    terms[name] = [_level(value) for value in levels] + [MISSING] * bool(column.isna().any())
                if not whole and len(levels) > 1:
                    filled = column.fillna(column.median())
                    numbers[name] = (float(column.median()), float(filled.mean()), float(filled.std(ddof=0)))
            else:
                cells = column.unique()
                terms[name] = sorted(set(cells) if whole else {term for cell in cells for term in cell.split("-")})
        return cls(terms, numbers, whole)

    @property
    def columns(self) -> list[str]:
        """The names of the columns: terms, then numbers."""
        return [f"{name}={term}" for name, terms in self.terms.items() for term in terms] + list(self.numbers)

    @property
    def field_sizes(self) -> list[int]:
        """How many columns of terms each field has."""
        return [len(terms) for terms in self.terms.values()]

    def transform(self, records: pd.DataFrame) -> np.ndarray:
        """N x F float32 for rows as `normalize` gives them."""
        blocks = [self._indicators(records[name], terms) for name, terms in self.terms.items()]
        for name, (median, mean, deviation) in self.numbers.items():
            blocks.append(((records[name].fillna(median) - mean) / deviation).to_numpy(np.float32)[:, None])
        return np.hstack(blocks).astype(np.float32)

    def count_unknown(self, records: pd.DataFrame) -> int:
        """How many terms of these rows stood in no training row."""
        unknown = 0
        for name, terms in self.terms.items():
            cells = self._cells(records[name]).value_counts()
            unknown += sum(count * len(set(self._split(cell)) - set(terms)) for cell, count in cells.items())
        return int(unknown)

    def _indicators(self, column: pd.Series, terms: list[str]) -> np.ndarray:
        codes, cells = pd.factorize(self._cells(column))
        table = np.zeros((len(cells), len(terms)), dtype=np.float32)
        place = {term: index for index, term in enumerate(terms)}
        for row, cell in enumerate(cells):
            table[row, [place[term] for term in self._split(cell) if term in place]] = 1
        return table[codes]

    def _cells(self, column: pd.Series) -> pd.Series:
        return column.map(_level) if pd.api.types.is_numeric_dtype(column) else column

    def _split(self, cell: str) -> list[str]:
        return [cell] if self.whole else cell.split("-")


def _level(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:g}"
