"""Your own images: a folder of pictures or DICOM files and a spreadsheet, without a line of code.

Access, licence and citation: yours to know. Set `restricted: true` where no picture may be shown in the report.

Layout below root; everything but images.csv is optional, and `mmpkd init` writes a first version:
    images.csv          path, and where known image, patient, study, split, view, laterality; labels as further columns
    labels.csv          image, and labels as further columns
    rois.csv            image, label, and x0, y0, x1, y1 or x, y, width, height (boxes), x, y, radius (circles, about
                        their centre), polygon (x y x y ...), or mask (a file; x, y: where a cropped one begins)
    annotations.json    boxes, polygons and run lengths in COCO's format
    masks/<label>/      <image>.png, or <image>_1.png, <image>_2.png; of a study with one label also masks/<image>.png
    reports/            <study>.txt, a text per study
    records.csv         image, study or patient, and a column `report`, or fields of a case description
Tables have commas, semicolons or tabs. Names of columns ignore case; `patient_id` is `patient`. An image is named by
its identifier, its path or its file's name. Paths start from root. Pixels count from the top left corner of the image.

Images: DICOM, PNG, JPEG or TIFF, one row each. Without an identifier it is the file's name without suffix. Without a
study the image is the study, without a patient the study is the patient, and the counted decisions say so.

Labels are the columns that the study names in `labels` and `regions`: 1, 0, or empty where it is not known. Other
columns are not read; one that is spelt nearly like a label or a column that is missing is refused. A mask may also be
named in a column `mask` of images.csv, several with semicolons between them, where the study has one label.

Split: train, validate or test as stated; other patients are divided by a hash of the identifier, so that the choice is
the same everywhere and stays when patients are added.

Privileged data: with the option `fields`, case descriptions; else the first there is of reports/, a column `report` in
records.csv or images.csv, and the further columns of records.csv as case descriptions. The fields of images.csv are
those of `fields`, and then each image has a record of its own. A column is numbers if every filled cell is one; else
it holds categories, several of them with semicolons between.

Options:
    test_share, validation_share: shares of the patients whose split is not stated.
    fields: columns of the case description; empty: all of records.csv.
    ordered: fields with an order: `{age: 0 to 120}`, off which a number is missing, or `{size: small < large}`.
    applies: fields that may not apply: `{menopause: sex = F}` where they do.
    withheld: columns that no teacher may see, because they reveal the label.

What contradicts itself stops the run with file, row, column and fix: an identifier or file in two rows, a patient in
two splits or a study of two patients, a label that is not 1, 0 or empty. A row whose file is missing or whose region
cannot be drawn is set aside. Sizes of masks are compared with their images' headers, in a survey too: a mask of another
size is scaled if its sides have the same ratio, and set aside otherwise, unless x and y say where it was cropped. What
reaches out of its image is cut off and counted; what lies outside is set aside.

Traps: without `patient`, two images of a patient may stand in training and test; such images are counted. A field that
reveals the label makes the teacher an oracle: withhold it.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from pathlib import PurePosixPath

import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.datasets.own.description import describe, read_texts
from mmpkd.cohorts.datasets.own.regions import (
    FORMS,
    Place,
    Region,
    RegionError,
    coco_regions,
    mask_regions,
    shape_of_row,
)
from mmpkd.cohorts.datasets.own.sheet import Sheet, count, read_sheet, rows_text
from mmpkd.cohorts.headers import try_header
from mmpkd.cohorts.listing import Listing, key
from mmpkd.cohorts.paths import TableFileError, existing, relative_below_all, snake_case
from mmpkd.cohorts.tables import PRIVILEGED_COLUMNS, ROI_COLUMNS, Fields, empty, is_among

IDENTITY = ("path", "image", "patient", "study", "split", "view", "laterality")
IMAGE_COLUMNS = (*IDENTITY, "mask", "report")  # that images.csv may have beside labels and fields
ROI_SHEET_COLUMNS = ("image", "label", *dict.fromkeys(column for form in FORMS.values() for column in form))
SPLITS = {"training": "train", "val": "validate", "valid": "validate", "validation": "validate"}
SPLITS |= {name: name for name in ("train", "validate", "test", "")}
SIDES = {"L": "LEFT", "R": "RIGHT"}
SAME_ASPECT = 0.01  # relative difference up to which a mask of another size is scaled, as when images are stored
SIMILAR_LABEL = 0.85  # of a name to that of a label, above which it is taken for a misspelling
MASKS = "masks"  # the folder


class Own(DataSet):
    """Images and tables below the cohort's root; its labels are the columns of that name."""

    RESTRICTED = False
    SOURCE = "`mmpkd init FOLDER --images GLOB` writes it, and docs/tutorial.md says how to fill it in"
    OPTIONS = {"test_share": 0.2, "validation_share": 0.1, "fields": [], "ordered": {}, "applies": {}, "withheld": []}
    SUFFIXES = ("",)  # a DICOM file may have any
    NAMED_BY = "table images.csv"

    def needs(self) -> list[Need]:
        """images.csv; the others add to it."""
        further = {
            "labels.csv": "labels that are not in images.csv",
            "rois.csv": "boxes, polygons, circles and masks",
            "annotations.json": "regions in COCO's format",
            "masks": "masks by the names of their images",
            "reports": "a text per study",
            "records.csv": "texts or case descriptions",
        }
        source = "see the section of own data in docs/data.md"
        optional = [Need(self.root / name, what, source, required=False) for name, what in further.items()]
        return [Need(self.root / "images.csv", "the images", self.SOURCE), *optional]

    def list_images(self) -> pd.DataFrame:
        """The rows of images.csv, with the row as index; what is not stated is derived and counted."""
        self.sheets: dict[str, Sheet] = {}
        sheet = self._sheet("images.csv")
        if sheet is None:
            raise FileNotFoundError(f"{self.root / 'images.csv'}: no such file; {self.SOURCE}")
        sheet.first_of("path")
        sheet.refuse_misspelt(IMAGE_COLUMNS, map(snake_case, [*self.labels, *self.option("fields")]))
        cells = {name: sheet.cells.get(name, "") for name in IDENTITY}
        images = pd.DataFrame(cells, index=sheet.cells.index, dtype="str")
        sheet.refuse(images["path"] == "", "path", "name the file of the image")
        images = images.rename(columns={name: f"{name}_id" for name in ("image", "patient", "study")})
        images["relative"], refused = relative_below_all(self.image_root, images.pop("path"), self.declared)
        fix = "it leaves the folder of images.csv; copy the file there"
        images = self._drop(images, refused, "images.csv", "path", fix)
        self._identify(sheet, images)
        images["split"] = self._splits(sheet, images)
        self.listed = images
        return images.assign(
            view=images["view"].str.upper(),
            laterality=images["laterality"].str.upper().replace(SIDES),
        )

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The paths as they are on the disk."""
        self.files = files
        images = images.assign(path=files.locate(images["relative"]))
        missing = images["path"] == ""
        self._require_images(int((~missing).sum()), images, files)
        fix = "there is no such file; correct the path, which starts from the folder of images.csv, or copy the file"
        return self._drop(images, missing, "images.csv", "path", fix)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The labels that are columns of images.csv or labels.csv."""
        table, found = images[["image_id"]].copy(), {}
        for name in ("images.csv", "labels.csv"):
            sheet = self._sheet(name)
            if sheet is None:
                continue
            columns = {label: snake_case(label) for label in self.labels if snake_case(label) in sheet.cells}
            image = self._images_of(sheet) if name == "labels.csv" else self.listed["image_id"]
            for label, column in columns.items():
                if label in found:
                    raise TableFileError(f"{sheet.path}, row 1: column {column} is in images.csv too; remove one")
                values = pd.to_numeric(sheet.cells[column], errors="coerce").astype("float64")
                sheet.refuse((sheet.cells[column] != "") & ~values.isin([0, 1]), column, "must be 1, 0 or empty")
                found[label] = images["image_id"].map(values[image.index].set_axis(image.to_numpy()))
            self._refuse_misspelt(sheet, [label for label in self.labels if label not in found])
        return table.assign(**{label: found[label] for label in self.labels if label in found})

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The regions of all sources, those of one image numbered in this order."""
        if not self.cohort.images:
            return empty(ROI_COLUMNS)
        self.faults: dict[tuple[str, str, str], list[int | str]] = {}
        self.sizes: dict[str, tuple[int, int] | None] = {}
        path = images.set_index("image_id")["path"].to_dict()
        rows = []
        for region in self._regions():
            try:
                if (row := self._row(region, path)) is not None:
                    rows.append(row)
            except RegionError as error:
                self._fault(region.place, error)
        for (source, column, fix), places in self.faults.items():
            of_files = source == MASKS  # each region of the others is a row
            where = count(len(places), "file") if of_files else f"{rows_text(places)}{column and f', column {column}'}"
            self.rejections.add(
                [f"{source}, {'file' if of_files else 'row'} {place}" for place in places],
                f"ROI: {source}, {where}: {fix}",
            )
        table = pd.DataFrame(rows, columns=list(ROI_COLUMNS)[1:])
        number = table.groupby("image_id").cumcount().add(1).astype(str)
        return table.assign(roi_id=table["image_id"] + "_" + number)[list(ROI_COLUMNS)]

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """Texts or case descriptions, by the rules at the top of this module."""
        records, folder = self._sheet("records.csv"), existing(self.root / "reports")
        chosen = self.option("fields")
        if not chosen and folder.is_dir():
            return read_texts(self.files_below(folder, (".txt",)), images, self.rejections, self.notes)
        if records is not None and not chosen:
            records.refuse_misspelt(["report"])
        sheets = [sheet for sheet in (records, self._sheet("images.csv")) if sheet is not None]
        sheet = next((sheet for sheet in sheets if sheet.is_filled("report")), None)
        if not chosen and sheet is not None:
            table = self._keyed(sheet, images, "study_id").join(sheet.cells["report"])
            table = table[table["report"] != ""].drop_duplicates(["key", "report"])
            self.notes["studies_without_a_text"] = images["study_id"].nunique() - table["key"].nunique()
            sheet.refuse(table["key"].duplicated(), "report", "another row has another text of this study; join them")
            return table.assign(record_id=table["key"])[[*PRIVILEGED_COLUMNS, "report"]]
        sheet = records
        if chosen and (records is None or snake_case(chosen[0]) not in records.cells):
            sheet = self._sheet("images.csv")
        if sheet is None:
            return empty(PRIVILEGED_COLUMNS)
        labels = [snake_case(label) for label in self.labels]
        table, self._fields = describe(sheet, chosen, labels, self.cohort.options, self.notes)
        by_study = sheet.path.name == "records.csv" and not {"image", "path"} & set(sheet.cells)
        self.KEY_NAME = "study_id" if by_study else "image_id"
        keyed = self._keyed(sheet, images, self.KEY_NAME)
        number = keyed.groupby("key").cumcount().add(1).astype(str)
        return keyed.assign(record_id=keyed["key"] + "_" + number).join(table)

    @property
    def fields(self) -> Fields:
        """What the options say of the case descriptions."""
        return getattr(self, "_fields", Fields())

    def _sheet(self, name: str) -> Sheet | None:
        path = existing(self.root / name)
        if name not in self.sheets and path.is_file():
            self.sheets[name] = read_sheet(path)
            if self.sheets[name].encoding not in ("utf-8", "utf-16-le", "utf-16-be"):
                self.notes[f"{name}_is_not_UTF-8_and_was_read_as_Latin-1"] = 1
        return self.sheets.get(name)

    def _drop(self, table: pd.DataFrame, wrong: pd.Series, source: str, column: str, fix: str) -> pd.DataFrame:
        """Sets rows aside whose index is the row of a sheet; the reason names the rows."""
        place = pd.Series([f"{source}, row {row}" for row in table.index], index=table.index, dtype="str")
        reason = f"{source}, {rows_text(table.index[wrong])}, column {column}: {fix}"
        return self.set_aside(table.assign(place=place), wrong, "place", reason)

    def _identify(self, sheet: Sheet, images: pd.DataFrame) -> None:
        """Fills in identifiers that are not stated; refuses those that stand in two rows, or contradict each other."""
        stated = images["image_id"] != ""
        stem = images["relative"].map(lambda path: PurePosixPath(path).stem)
        images["image_id"] = images["image_id"].where(stated, stem)
        again = images["relative"].duplicated()
        sheet.refuse(again, "path", "the file is in an earlier row; one row per image is expected")
        again = images["image_id"].duplicated()
        sheet.refuse(again & stated, "image", "the identifier is in an earlier row; each image needs one of its own")
        fix = "a file of this name is in an earlier row; add a column image with an identifier for each row"
        sheet.refuse(again, "path", fix)
        for column, source in (("study", "image"), ("patient", "study")):
            unknown = images[f"{column}_id"] == ""
            images[f"{column}_id"] = images[f"{column}_id"].mask(unknown, images[f"{source}_id"])
            self.notes[f"images_without_a_{column}_whose_{source}_counts_as_one"] = int(unknown.sum())
        other = images["patient_id"] != images.groupby("study_id")["patient_id"].transform("first")
        fix = "the study has another patient in an earlier row; give each study an identifier of its own"
        sheet.refuse(other, "study", fix)

    def _splits(self, sheet: Sheet, images: pd.DataFrame) -> pd.Series:
        """The split of each image's patient, as stated or by a hash."""
        stated = images["split"].str.lower().map(SPLITS)
        sheet.refuse(stated.isna(), "split", "must be train, validate, test or empty")
        first = stated.where(stated != "").groupby(images["patient_id"]).transform("first")
        other = (stated != "") & (stated != first)
        sheet.refuse(other, "split", "its patient is in another split in an earlier row; a patient can be in one alone")
        hashed = first.isna()
        self.notes["patients_divided_by_a_hash"] = images.loc[hashed, "patient_id"].nunique()
        return first.mask(hashed, self.split_by_hash(images["patient_id"])).astype("str")

    @cached_property
    def _known(self) -> dict[str, str]:
        """The images by all that they may be called: the identifier first, then the path, the file, its stem."""
        path = self.listed["relative"].map(PurePosixPath)
        names = {"stem": path.map(lambda one: one.stem), "name": path.map(lambda one: one.name)}
        known: dict[str, str] = {}
        for called in (names["stem"], names["name"], self.listed["relative"], self.listed["image_id"]):
            alone = ~called.duplicated(keep=False)
            known |= dict(zip(called[alone], self.listed.loc[alone, "image_id"], strict=True))
        return known

    def _images_of(self, sheet: Sheet) -> pd.Series:
        """The image that each row speaks of; rows of unknown images are set aside, second rows of one refused."""
        column = sheet.first_of("image", "path")
        image = sheet.cells[column].map(_slashes).map(self._known)
        self._drop(sheet.cells, image.isna(), sheet.path.name, column, "images.csv has no such image; correct the name")
        image = image.dropna()
        sheet.refuse(image.duplicated(), column, "the image is in an earlier row; one row per image is expected")
        return image

    def _refuse_misspelt(self, sheet: Sheet, missing: list[str]) -> None:
        """Refuses a column that is nearly called like a label that no column has."""
        known = {*IMAGE_COLUMNS, *map(snake_case, [*self.labels, *self.option("fields")])}
        for label in missing:
            if close := get_close_matches(snake_case(label), [*set(sheet.cells) - known], 1, SIMILAR_LABEL):
                raise TableFileError(
                    f"{sheet.path}, row 1: column {close[0]} is no label of the study, and {label} has no column; "
                    "rename the one or the other"
                )

    def _regions(self) -> Iterator[Region]:
        """The regions of rois.csv, annotations.json, the column mask of images.csv, and the folder masks."""
        sheet = self._sheet("rois.csv")
        if sheet is not None:
            column = sheet.first_of("image", "path")
            sheet.refuse_misspelt(ROI_SHEET_COLUMNS, ["path"])
            for row, cells in zip(sheet.cells.index, sheet.cells.to_dict("records"), strict=True):
                place = "rois.csv", row
                try:
                    yield Region(place, cells[column], cells.get("label") or None, **shape_of_row(cells))
                except RegionError as error:
                    self._fault(place, error)
        coco = existing(self.root / "annotations.json")
        if coco.is_file():
            yield from coco_regions(coco, self._fault)
        sheet = self._sheet("images.csv")
        masks = {} if sheet is None else sheet.cells.get("mask", {})
        for row, image in self.listed["image_id"].items():
            for path in filter(None, map(str.strip, masks.get(row, "").split(";"))):
                yield Region(("images.csv", row), image, None, kind="mask", mask_path=path)
        yield from mask_regions(MASKS, self.files.paths, self._known)

    def _fault(self, place: Place, error: RegionError) -> None:
        source, row_or_file = place
        self.faults.setdefault((source, error.column, error.fix), []).append(row_or_file)

    def _row(self, region: Region, path: dict[str, str]) -> tuple | None:
        """A row of the table of regions without its identifier; None for another label.

        Raises:
            RegionError: its image, label or mask is not known, or was drawn on an image of another size.
        """
        named = _slashes(region.image)
        image_id = self._known.get(named) or self._known.get(PurePosixPath(named).name)
        if image_id is None:
            raise RegionError("image", "images.csv has no such image; correct the name")
        if image_id not in path:
            raise RegionError("", "the image was set aside, and its region with it")
        labels = {snake_case(label): label for label in self.labels}
        if region.label is None and len(labels) != 1:
            raise RegionError("label", "is needed, because the study has several; a mask can be in masks/<label>/")
        label = self.labels[0] if region.label is None else labels.get(snake_case(region.label))
        if label is None:
            if close := get_close_matches(snake_case(str(region.label)), labels, 1, SIMILAR_LABEL):
                raise RegionError(
                    "label", f"{region.label} is no label of the study; write {labels[close[0]]} if that is meant"
                )
            self.notes["regions_of_other_labels"] = self.notes.get("regions_of_other_labels", 0) + 1
            return None
        mask_path = self._mask(region, path[image_id])
        self._look_where_it_lies(region, path[image_id])
        corners = (None if pd.isna(number) else number for number in region.corners)
        return image_id, label, region.kind, *corners, region.polygon, mask_path

    def _look_where_it_lies(self, region: Region, image: str) -> None:
        """Counts a box or polygon that reaches out of its image, and refuses one that lies outside."""
        span = region.span
        size = None if span is None else self._size(image)
        if span is None or size is None:
            return
        (left, top, right, bottom), (rows, columns) = span, size
        if right <= 0 or bottom <= 0 or left >= columns or top >= rows:
            raise RegionError("", "it lies outside its image; pixels count from the top left corner of the image")
        if left < 0 or top < 0 or right > columns or bottom > rows:
            name = "regions_that_reach_out_of_their_image_and_are_cut_off"
            self.notes[name] = self.notes.get(name, 0) + 1

    def _mask(self, region: Region, image: str) -> str:
        """The file of a mask, "" for another form; compares the size that a region was drawn on with its image's."""
        drawn, mask_path = region.drawn, ""
        if region.kind == "mask":
            stated = PurePosixPath(_slashes(region.mask_path)).as_posix()
            mask_path = self._places.get(stated) or self._places.get(key(stated), "")
            if not mask_path:
                raise RegionError("mask", "there is no such file below the folder of images.csv; correct the path")
            is_cropped = not pd.isna(region.corners[0])
            drawn = None if is_cropped else self._size(mask_path)
        size = None if drawn is None else self._size(image)
        if drawn is not None and size is not None and not _fits(region.kind, drawn, size):
            raise RegionError(
                "mask" if region.kind == "mask" else "size",
                f"drawn on {drawn[0]} x {drawn[1]} pixels (rows x columns), but its image has {size[0]} x {size[1]}; "
                "export it at that size, or give a cropped mask in rois.csv with x and y",
            )
        return mask_path

    @cached_property
    def _places(self) -> dict[str, str]:
        """The files below the root by their paths, and by those with the suffix in lower case."""
        return {key(path): path for path in self.files} | {path: path for path in self.files}

    def _size(self, path: str) -> tuple[int, int] | None:
        """Rows and columns of a file below the root, None if they cannot be read."""
        if path not in self.sizes:
            header = try_header(self.image_root / path)
            self.sizes[path] = None if header is None else (header.rows, header.columns)
        return self.sizes[path]

    def _keyed(self, sheet: Sheet, images: pd.DataFrame, spoken_of: str) -> pd.DataFrame:
        """Rows of a sheet with the key, patient and split of what they speak of; others are set aside.

        A row of a patient counts for each study. The index is that of the sheet.
        """
        if sheet.path.name == "images.csv":
            named, reference = "image_id", self.listed["image_id"]
        else:
            column = sheet.first_of("image", "path", "study", "patient")
            named = f"{'image' if column == 'path' else column}_id"
            cells = sheet.cells[column]
            reference = cells.map(_slashes).map(self._known).fillna("") if named == "image_id" else cells
            unknown = ~is_among(reference, self.listed[named])
            self._drop(sheet.cells, unknown, sheet.path.name, column, f"images.csv has no such {column}; correct it")
            reference = reference[~unknown]
        units = images.drop_duplicates([named, spoken_of])[[*dict.fromkeys([named, spoken_of, "patient_id", "split"])]]
        units = units.assign(reference=units[named], key=units[spoken_of])[["reference", "key", "patient_id", "split"]]
        rows = reference.rename("reference").rename_axis("row").reset_index().merge(units, on="reference", how="left")
        rows = rows.set_index("row")
        left_out = rows["key"].isna()
        if sheet.path.name != "images.csv":  # there, the image was set aside itself
            self._drop(rows, left_out, sheet.path.name, column, "the image was set aside, and its record with it")
        return rows.loc[~left_out, ["key", "patient_id", "split"]]


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _fits(kind: str, drawn: tuple[int, int], image: tuple[int, int]) -> bool:
    """Whether a region drawn on `drawn` rows and columns can be shown on an image of that size; masks are scaled."""
    if kind not in ("mask", "rle"):
        return drawn == image
    return min(*drawn, *image) > 0 and abs(drawn[1] * image[0] / (drawn[0] * image[1]) - 1) < SAME_ASPECT


DATA_SET = Own
