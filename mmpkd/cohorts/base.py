"""What all data sets share: the steps from a download to the four tables.

Each data set is a module or package of `mmpkd/cohorts/datasets`. The cohort's key `adapter` is its name, and its class
is called `DATA_SET` there.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from mmpkd.cohorts.listing import Listing, distinct, is_data, list_files, require_some
from mmpkd.cohorts.paths import existing, require_folder, tables_like
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import (
    IMAGE_COLUMNS,
    PRIVILEGED_COLUMNS,
    ROI_COLUMNS,
    CohortTables,
    Fields,
    empty,
    is_among,
    stable_share,
)
from mmpkd.config.base import did_you_mean
from mmpkd.config.cohorts import Cohort

TABLES = (".csv", ".gz", ".json", ".txt", ".xls", ".xlsx")  # what else is needed is a folder
LINKED = "linked"  # begins the names of folders that no adapter reads, but that links may lead into


class ChoiceError(ValueError):
    """An option or folder of a cohort is unknown or of the wrong kind; the message names those that are known."""


@dataclass(frozen=True)
class Need:
    """One file or folder of a download, so that a check can say what is missing and where to get it.

    Attributes:
        path: where it is looked for; its last part may be a pattern (`MS_CXR_Local_Alignment*.csv`), of which one file
            is enough.
        what: what it holds, in a few words.
        source: where to get it.
        required: whether `read` fails without it.
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


class DataSet(ABC):
    """One reading of a data set. Its subclasses, one per data set, state and define what differs.

    `read` takes these steps, in this order:

    1. `list_images`: the images that the tables name.
    2. `image_files`: the files on the disk, listed once; `find_files`: which of them is which image. Both are left out
       where the cohort is configured without images.
    3. `review`: what can be decided of the images only when their files are known.
    4. `label_table`, `roi_table` and `privileged_table`.

    A step sets records aside by `set_aside` and counts in `notes` what it decides. What a later step needs, such as a
    table that was read, it keeps as an attribute.

    Args:
        cohort: as configured, with a root.
        labels: the labels that are wanted. A data set ignores those that it does not know.
        survey: leave out what opens a file per record, for a check that has to be quick. The tables then lack what only
            these files hold. Most data sets open none and ignore this.
    """

    RESTRICTED: ClassVar[bool]  # whether its licence forbids passing any of it on; configure such a cohort restricted
    SOURCE: ClassVar[str]  # where to get it, for the message that a file is missing
    OPTIONS: ClassVar[Mapping[str, Any]] = {}  # the options that it knows, with their defaults
    FOLDERS: ClassVar[tuple[str, ...]] = ()  # the names of folders that may lie elsewhere than below the root
    SUFFIXES: ClassVar[tuple[str, ...]] = ()  # of the images' files, in lower case
    NAMED_BY: ClassVar[str] = "tables"  # what names the images, for the message that none of their files is there
    KEY_NAME: Literal["study_id", "image_id"] = "study_id"  # what a privileged record speaks of

    def __init__(self, cohort: Cohort, labels: Iterable[str] = (), *, survey: bool = False) -> None:
        self.cohort, self.labels, self.survey = cohort, list(labels), survey
        self.rejections = Rejections()
        self.notes: dict[str, int] = {}

    def read(self) -> CohortTables:
        """Reads the data set.

        Raises:
            FileNotFoundError: if a table or folder is missing, or every image or report.
            TableFileError: if a table cannot be read.
            ChoiceError: for an unknown option or folder, or a value that an option cannot have.
        """
        read_options(self.cohort, self.OPTIONS)
        read_folders(self.cohort, self.FOLDERS)
        images = _completed(self.list_images())
        if self.cohort.images:
            images = self.find_files(images, self.image_files()).reset_index(drop=True)
        images = self.review(images)
        labels = self.label_table(images)
        rois = self.roi_table(images)
        privileged = self.privileged_table(images)
        return CohortTables(
            image_root=self.image_root,
            images=images[list(IMAGE_COLUMNS)],
            labels=labels,
            rois=rois,
            privileged=privileged,
            rejected=self.rejections.table,
            key_name=self.KEY_NAME,
            notes={**self.notes, **self.rejections.notes},
            fields=self.fields,
        )

    # What a data set defines.

    @abstractmethod
    def needs(self) -> list[Need]:
        """The files and folders that `read` will look for, in the order in which a user would fetch them."""

    @abstractmethod
    def list_images(self) -> pd.DataFrame:
        """One row per image.

        Returns:
            image_id, patient_id, study_id, split and view, and what later steps use. `path` and `laterality` are ""
            where the table has no such column; `rows` and `columns` are <NA>, and `restricted` is False.
        """

    @abstractmethod
    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """Adds `path`, relative to the image root; sets images aside that have no file. See `match`.

        Args:
            images: rows of `list_images`.
            files: those below the folders of images.
        """

    @abstractmethod
    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """image_id and one column per label that is known: a row per image, in the order of `images`."""

    # What a data set defines if it differs from this.

    @property
    def image_root(self) -> Path:
        """The folder that paths of images start from."""
        return self.root

    @property
    def declared(self) -> tuple[Path, ...]:
        """The folders that links may lead into: the root and all that the configuration names."""
        return (self.root, *self.cohort.folders.values())

    def image_folders(self) -> list[Path]:
        """The folders with images, which are the image root or lie below it."""
        return [self.image_root]

    def image_files(self) -> Listing:
        """The files of images, with paths from the image root."""
        files = Listing(self.image_root)
        for folder in self.image_folders():
            below = self.files_below(folder, self.SUFFIXES)
            is_root = folder == self.image_root
            files += below if is_root else below.under(self.image_root, folder.relative_to(self.image_root).as_posix())
        return files

    def review(self, images: pd.DataFrame) -> pd.DataFrame:
        """Adds what the files say; sets further images aside."""
        return images

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The regions of interest on `images`."""
        return empty(ROI_COLUMNS)

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The reports or case descriptions of `images`."""
        return empty(PRIVILEGED_COLUMNS)

    @property
    def fields(self) -> Fields:
        """How the columns of case descriptions are read."""
        return Fields()

    # What data sets use.

    @property
    def root(self) -> Path:
        """The folder of the download; of a phantom, of its tree."""
        assert self.cohort.root is not None  # a phantom's is set before it is read
        return self.cohort.root

    def option(self, name: str) -> Any:
        """An option of the cohort, or its default."""
        return read_options(self.cohort, self.OPTIONS)[name]

    def choices(self, name: str, known: tuple[str, ...]) -> list[str]:
        """An option that lists one or more of `known`.

        Args:
            name: of the option.
            known: what it may list.
        """
        return among(name, self.option(name), known)

    def folder(self, name: str, default: Path | None = None) -> Path:
        """A folder that the cohort may name; else `default`, or the root.

        Args:
            name: its key in `cohort.folders`.
            default: where it lies if the cohort does not name it.
        """
        return read_folders(self.cohort, self.FOLDERS).get(name, default or self.root)

    def files_below(self, folder: Path, suffixes: tuple[str, ...]) -> Listing:
        """The files below a folder, which must be there.

        Args:
            folder: where to look.
            suffixes: of the files, in small letters.
        """
        return list_files(require_folder(folder, self.SOURCE), suffixes, self.declared)

    def split_by_hash(self, patients: pd.Series) -> pd.Series:
        """Splits along a column of patients, by the options `test_share` and `validation_share`; see `stable_share`.

        Raises:
            ChoiceError: a share is negative, or together they are not below 1.
        """
        test_share, validation_share = self.option("test_share"), self.option("validation_share")
        if not (test_share >= 0 and validation_share >= 0 and test_share + validation_share < 1):
            raise ChoiceError(
                f"options.test_share is {test_share} and options.validation_share {validation_share}; "
                "they must not be negative, and together below 1"
            )
        known = set(patients)
        held_out = stable_share(known, test_share + validation_share)  # holds those of test: the hashes are the same
        split = pd.Series("train", index=patients.index, dtype="str").mask(is_among(patients, held_out), "validate")
        return split.mask(is_among(patients, stable_share(known, test_share)), "test")

    def set_aside(self, table: pd.DataFrame, wrong: pd.Series, record: str, reason: str | pd.Series) -> pd.DataFrame:
        """Sets rows aside.

        Args:
            table: of records.
            wrong: a mask along its rows.
            record: the column that names a record.
            reason: one for all, or one per row.

        Returns:
            The rows of `table` that the mask `wrong` does not mark; see `Rejections.split_off`.
        """
        return self.rejections.split_off(table, wrong, record, reason)

    def match(self, images: pd.DataFrame, path: pd.Series, files: Listing) -> pd.DataFrame:
        """Adds `path`; sets images aside whose path is "".

        Args:
            images: with image_id.
            path: along `images`, as it is in `files`; see `Listing.locate`.
            files: those on the disk.

        Raises:
            MissingFilesError: if no image is there.
        """
        there = path != ""
        self._require_images(there.sum(), images, files)
        return self.set_aside(images.assign(path=path), ~there, "image_id", "image file is missing")

    def match_names(self, images: pd.DataFrame, candidates: Mapping[str, list[str]], files: Listing) -> pd.DataFrame:
        """Adds `path` where a name alone identifies the file of an image, at any depth.

        Of several files of one name the first is taken if the others are copies of it; they are counted. If they
        differ, nothing shows which is meant, and the image is set aside.

        Args:
            images: with image_id.
            candidates: the listed files by image_id.
            files: those on the disk.

        Raises:
            MissingFilesError: if no image is there.
        """
        there = {name: candidates[name] for name in images["image_id"] if name in candidates}
        different = {name: distinct(files.root, paths) for name, paths in there.items()}
        self._require_images(len(there), images, files)
        copies = sum(len(there[name]) - len(paths) for name, paths in different.items())
        self.rejections.count({"further_copies_of_images": copies} if copies else {}, "copies")
        count = images["image_id"].map({name: len(paths) for name, paths in different.items()}).fillna(0)
        images = images.assign(path=images["image_id"].map({name: paths[0] for name, paths in different.items()}))
        reason = (count == 0).map({True: "image file is missing", False: "several files of its name that differ"})
        return self.set_aside(images, count != 1, "image_id", reason)

    def _require_images(self, found: int, images: pd.DataFrame, files: Listing) -> None:
        missing = f"none of the {len(images)} images of the {self.NAMED_BY}"
        require_some(found or not len(images), files, missing, self.SOURCE, self.rejections)


def find_data_set(adapter: str) -> type[DataSet]:
    """The class of a data set; no other data set's module is imported."""
    return import_module(f"mmpkd.cohorts.datasets.{adapter}").DATA_SET


def _completed(images: pd.DataFrame) -> pd.DataFrame:
    size = pd.Series(pd.NA, index=images.index, dtype="Int32")
    unknown = {"path": "", "laterality": "", "rows": size, "columns": size, "restricted": False}
    return images.assign(**{name: value for name, value in unknown.items() if name not in images})


def read_options(cohort: Cohort, known: Mapping[str, Any]) -> dict[str, Any]:
    """The options: the defaults `known`, overridden by `cohort.options`.

    Args:
        cohort: whose options are read.
        known: defaults by name.

    Raises:
        ChoiceError: for an unknown option, or a value of another kind than the default.
    """
    _refuse_unknown(cohort, "options", cohort.options, known)
    for name, value in cohort.options.items():
        if not _same_kind(value, known[name]):
            raise ChoiceError(
                f"{cohort.adapter}: options.{name} is {value!r}; it must be like its default, {known[name]!r}"
            )
    return {**known, **cohort.options}


def read_folders(cohort: Cohort, known: tuple[str, ...]) -> dict[str, Path]:
    """The folders of `cohort.folders` that are read, after a check of their names.

    Args:
        cohort: whose folders are read.
        known: names that it may have.

    Raises:
        ChoiceError: for a folder that is not among `known`.
    """
    folders = {name: folder for name, folder in cohort.folders.items() if not name.startswith(LINKED)}
    _refuse_unknown(cohort, "folders", folders, (*known, LINKED))
    return folders


def among(name: str, values: list[str], known: tuple[str, ...]) -> list[str]:
    """Returns `values`.

    Args:
        name: of the option, for the message.
        values: that were given.
        known: that may be given.

    Raises:
        ChoiceError: if it is empty or one of them is not in `known`.
    """
    wrong = [value for value in values if value not in known]
    if wrong or not values:
        raise ChoiceError(f"options.{name}: {', '.join(wrong) or 'nothing chosen'}; known are {', '.join(known)}")
    return values


def _refuse_unknown(cohort: Cohort, section: str, given: Mapping[str, Any], known: Mapping | tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        listed = f"{', '.join(known) or 'none'}{did_you_mean(unknown[0], known)}"
        raise ChoiceError(f"{cohort.adapter}: unknown {section}: {', '.join(unknown)}; known are {listed}")


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, dict):  # a policy a label, or one word for all labels
        return isinstance(value, dict | str)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))
