"""Records set aside, with their reasons."""

from collections.abc import Iterable

import pandas as pd

from mmpkd.cohorts.tables import REJECTED_COLUMNS, empty


class Rejections:
    """Collects the records that an adapter leaves out because something is wrong with them."""

    def __init__(self) -> None:
        self._parts: list[pd.DataFrame] = []

    def add(self, records: Iterable[str], reasons: str | Iterable[str]) -> None:
        """Sets `records` aside, all for one reason or each for its own."""
        part = pd.DataFrame({"record": pd.Series(list(records), dtype="str")})
        part["reason"] = reasons if isinstance(reasons, str) else list(reasons)
        self._parts.append(part)

    def split_off(self, table: pd.DataFrame, wrong: pd.Series, record: str, reason: str | pd.Series) -> pd.DataFrame:
        """Sets the rows of `table` aside that the mask `wrong` marks, and returns the others.

        Column `record` names them; `reason` is one for all or a series that runs along `table`.
        """
        self.add(table.loc[wrong, record], reason if isinstance(reason, str) else reason[wrong])
        return table[~wrong]

    @property
    def table(self) -> pd.DataFrame:
        """All of them: record, reason."""
        return pd.concat([empty(REJECTED_COLUMNS), *self._parts], ignore_index=True)
