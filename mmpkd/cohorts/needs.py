"""What a cohort needs on the disk, so that a check can tell what is missing and where it is to be had.

Every adapter declares, beside `read`:

    RESTRICTED       whether its licence forbids passing any of it on; such a cohort should be configured restricted
    needs(cohort)    the files and folders that `read` will look for, in the order in which a user would fetch them
"""

from dataclasses import dataclass
from pathlib import Path


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
    def found(self) -> bool:
        """Whether it is there."""
        if any(mark in self.path.name for mark in "*?["):
            return any(self.path.parent.glob(self.path.name))
        return self.path.exists()
