"""What a check finds out, as plain data: `StudyFacts.as_dict()` is what `mmpkd check --json` prints.

The keys below are the schema of that output; `schema` grows by one when one of them changes its meaning or goes.
Counts, labels, reasons, folders of the configuration and names that every copy of a data set has are all that they
hold: no identifier and no text of a report. Of a cohort that is not restricted, a path of each kind of unreadable file.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = 1
UNFIT = "empty or of another kind"  # of a file or folder that is there and does not meet a need
Level = Literal["error", "warning"]
State = Literal["at hand", "made here", "needs network", "missing", "does not fit"]


@dataclass(frozen=True)
class Problem:
    """Why the study cannot run (error), or what its user should know (warning).

    Attributes:
        where: mostly a key.
    """

    level: Level
    where: str
    message: str


@dataclass(frozen=True)
class NeedFacts:
    """A file or folder of a download, see `mmpkd.cohorts.base.Need`."""

    path: str
    what: str
    source: str
    required: bool
    found: bool
    there: bool = False  # something has its name; if it was not found, that is empty or of another kind

    @property
    def blocks(self) -> bool:
        """Whether the data set cannot be read for it."""
        return self.required and not self.found


@dataclass(frozen=True)
class HeaderFacts:
    """Headers, and a few pixels: `read` of `files` (images and masks).

    Attributes:
        rows: smallest, median and largest.
        columns: smallest, median and largest.
    """

    read: int
    files: int
    unreadable: dict[str, int]  # by reason
    transfer_syntaxes: dict[str, int]  # by name
    undecodable: dict[str, int]  # those of the transfer syntaxes that no installed decoder reads
    rows: list[int]
    columns: list[int]
    decoded: int = 0  # files whose pixels were read, a few of those above
    undecoded: dict[str, int] = field(default_factory=dict)  # those of them that cannot be, by reason
    examples: dict[str, str] = field(default_factory=dict)  # a path for each reason, of a cohort that is not restricted


@dataclass
class CohortFacts:
    """One data set. `counts` and `labels` are by split and have `all` beside train, validate and test."""

    domain: str
    training: bool  # its train and validate splits are learnt from
    adapter: str
    root: str | None  # None: a phantom, which will be drawn
    restricted: bool
    licence_restricts: bool
    images_wanted: bool
    needs: list[NeedFacts] = field(default_factory=list)
    # images, studies, patients, rois, records -> split -> count
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    # label -> positive, negative, unknown -> split -> count, of images
    labels: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    unknown_labels: list[str] = field(default_factory=list)  # of the domain, that the cohort does not know
    roi_labels: dict[str, int] = field(default_factory=dict)
    privileged_kind: Literal["text", "tabular", "none"] = "none"
    rejected: dict[str, int] = field(default_factory=dict)  # by reason
    too_many_rejected: str | None = None  # why, if the run would stop for it
    notes: dict[str, int] = field(default_factory=dict)
    headers: HeaderFacts | None = None
    phantom_patients: int | None = None
    phantom_bytes: int = 0
    store_bytes: int = 0
    error: str | None = None  # why it could not be read
    seconds: float = 0.0


@dataclass(frozen=True)
class WeightFacts:
    """Weights that the study starts from. `purpose` is their key in the configuration."""

    purpose: str
    source: str
    state: State
    message: str


@dataclass(frozen=True)
class StudentFacts:
    """The student that will be trained, from the model that is built.

    Attributes:
        training_bytes: memory of a training step in float32, without the images: weights, gradients, the moments of
            AdamW, the moving average, and what is kept for the gradient of a batch.
        error: why it cannot be built.
    """

    model: str
    parameters: int = 0
    patch: int = 0  # pixels per side
    grid: int = 0  # patches per side
    heads: int = 0
    file_bytes: int = 0
    training_bytes: int = 0
    error: str | None = None


@dataclass(frozen=True)
class DiskFacts:
    """Bytes that the study will write below `folder`, by kind, those that are there already, and those free."""

    folder: str
    needed: dict[str, int]
    there: int
    free: int


@dataclass(frozen=True)
class MachineFacts:
    """The machine that the check runs on.

    Attributes:
        device: as configured.
        gpus: seen here.
        torch: its version, None if it is not installed.
    """

    device: str
    gpus: int
    torch: str | None
    decoders: dict[str, bool]  # transfer syntax -> whether an installed decoder reads it


@dataclass
class StudyFacts:
    """Everything."""

    study: str
    files: list[str]
    cohorts: dict[str, CohortFacts]
    student: StudentFacts | None  # None: the study trains none
    weights: list[WeightFacts]
    disk: DiskFacts
    machine: MachineFacts
    left_open: dict[str, list[str]] = field(default_factory=dict)  # section -> tuned keys that the study does not state
    open_source: str = ""  # whose values those keys have
    problems: list[Problem] = field(default_factory=list)

    @property
    def can_run(self) -> bool:
        """Whether nothing stands against running it."""
        return not any(problem.level == "error" for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with `schema` and `can_run`."""
        return {"schema": SCHEMA, "can_run": self.can_run, **asdict(self)}
