"""What a cohort needs on the disk, so that a check can tell what is missing and where it is to be had.

Every adapter declares, beside `read`:

    RESTRICTED       whether its licence forbids passing any of it on; such a cohort should be configured restricted
    needs(cohort)    the files and folders that `read` will look for, in the order in which a user would fetch them
"""

import os
from dataclasses import dataclass
from pathlib import Path

from mmpkd.cohorts.listing import is_data
from mmpkd.cohorts.paths import existing, tables_like

TABLES = (".csv", ".gz", ".json", ".txt", ".xls", ".xlsx")  # what else is needed is a folder


@dataclass(frozen=True)
class Need:
    """One file or folder of a download.

    path: where it is looked for; its last part may be a pattern (`MS_CXR_Local_Alignment*.csv`), of which one file is
        enough. what: what it holds, in a few words. source: where it is to be had. required: whether `read` fails
        without it.
    """

    path: Path
    what: str
    source: str
    required: bool = True

    @property
    def files(self) -> list[Path]:
        """The files or the folder that it is met by: nothing that is empty, hidden, or of the other kind."""
        pattern = any(mark in self.path.name for mark in "*?[")
        found = tables_like(self.path.parent, self.path.name) if pattern else [existing(self.path)]
        is_table = pattern or self.path.name.lower().endswith(TABLES)
        return [path for path in found if _holds_something(path, is_table)]

    @property
    def found(self) -> bool:
        """Whether it is there, and holds anything."""
        return bool(self.files)


def _holds_something(path: Path, is_table: bool) -> bool:
    """Whether a table has a byte, or a folder an entry that can be data."""
    try:
        if is_table:
            return path.is_file() and path.stat().st_size > 0
        return path.is_dir() and any(is_data(name) for name in os.listdir(path))
    except OSError:
        return False
