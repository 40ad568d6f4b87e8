"""Records set aside, with their reasons, and the limit of them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.tables import REJECTED_COLUMNS, empty
from mmpkd.redaction import redact, repeatable

# Reasons that find no fault: a view that is not studied, and what belongs to a record that was left out itself.
NO_FAULT = re.compile(r"^view |left out$|^ROI: its image cannot be read$")
MOST_REASONS = 5  # that a message names


class TooManyRejectedError(ValueError):
    """More records are faulty than the configuration allows; the message counts them by reason."""


class Rejections:
    """Collects the records that an adapter leaves out because something is wrong with them."""

    def __init__(self) -> None:
        self._parts: list[pd.DataFrame] = []
        self._notes: dict[str, Mapping[str, int]] = {}

    def add(self, records: Iterable[str], reasons: str | Iterable[str]) -> None:
        """Sets records aside; reasons are made the same in every run.

        Args:
            records: their names.
            reasons: one for all, or one each.
        """
        part = pd.DataFrame({"record": pd.Series(list(records), dtype="str")})
        part["reason"] = repeatable(reasons) if isinstance(reasons, str) else [repeatable(reason) for reason in reasons]
        self._parts.append(part)

    def split_off(self, table: pd.DataFrame, wrong: pd.Series, record: str, reason: str | pd.Series) -> pd.DataFrame:
        """Sets rows of a table aside.

        Args:
            table: the rows.
            wrong: a mask along `table` that marks what is set aside.
            record: the column that names a row.
            reason: one for all, or a series that runs along `table`.

        Returns:
            The other rows.
        """
        self.add(table.loc[wrong, record], reason if isinstance(reason, str) else reason[wrong])
        return table[~wrong]

    @property
    def table(self) -> pd.DataFrame:
        """All of them: record, reason."""
        return pd.concat([empty(REJECTED_COLUMNS), *self._parts], ignore_index=True)

    @property
    def summary(self) -> str:
        """The counts of the commonest reasons, for the message that nothing is left."""
        return f"set aside: {_counted(self.table['reason']) or 'nothing'}"

    def count(self, notes: Mapping[str, int], place: Path | str = "") -> None:
        """Counts what was passed over without being a record.

        Args:
            notes: how many of what.
            place: where; notes of one place count once, however often they are said.
        """
        self._notes[str(place)] = notes

    @property
    def notes(self) -> dict[str, int]:
        """The counts of all places together."""
        total: Counter[str] = Counter()
        for notes in self._notes.values():
            total.update(notes)
        return dict(total)


def refuse_too_many(reasons: pd.Series, kept: int, limit: float) -> None:
    """Refuses a data set of which most is left out, as one that was downloaded in part or configured wrongly.

    Args:
        reasons: of the records that were set aside. Those of `NO_FAULT` do not count.
        kept: records (images, ROI, reports or case descriptions) that were not set aside.
        limit: the largest share of faulty records among these and the kept ones.

    Raises:
        TooManyRejectedError: there are more, or no record is left.
    """
    faults = reasons[~reasons.str.contains(NO_FAULT)]
    total = len(faults) + kept
    if not kept:
        raise TooManyRejectedError(f"no record is left; set aside: {_counted(reasons) or 'none, the tables are empty'}")
    if len(faults) > limit * total:
        raise TooManyRejectedError(
            f"{len(faults)} of {total} records were set aside as faulty, more than the share of {limit:g} that the "
            f"cohort's key rejected_limit allows: {_counted(faults)}. Correct the files, or raise the limit if what is "
            "left is enough"
        )


def _counted(reasons: pd.Series) -> str:
    counts = reasons.map(redact).value_counts()
    reasons = [f"{count} x {reason}" for reason, count in counts.head(MOST_REASONS).items()]
    rest = counts.iloc[MOST_REASONS:].sum()
    return "; ".join([*reasons, *([f"{rest} x other reasons"] if rest else [])])
