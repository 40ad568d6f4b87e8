"""NIH ChestX-ray14: frontal chest radiographs with mined labels and 984 hand-drawn boxes, for evaluation alone.

Access: NIH Clinical Center, open. https://nihcc.app.box.com/v/ChestXray-NIHCC
Licence: free use; name the NIH Clinical Center as the provider, cite the paper, link the download site.
Citation: Wang et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised
    Classification and Localization of Common Thorax Diseases", CVPR 2017 (arXiv:1705.02315).

Layout below root:
    Data_Entry_2017_v2020.csv or Data_Entry_2017.csv                                               (folder `tables`)
    BBox_List_2017.csv                                                                             (folder `tables`)
    test_list.txt, train_val_list.txt                 where the option `sets` asks for `test`      (folder `tables`)
    images_001/images/00000001_000.png ... images_012/images/, or images/00000001_000.png          (folder `images`)
A table may be gzipped. Images are found by their names at any depth; the last Data_Entry table by name is read.

Yields images with their labels under CheXpert's names (`SOURCES` tells which) and the boxes. Reports were not
published, so there is no privileged table. The first eight digits of an image's name are the patient.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    sets: which images are taken: `boxed` (the 880 with a box of any finding), `test` (the official test set), or both
        (the union). Default: `boxed`. Students never learn from this cohort, so that no test set has to be held out,
        and only these images have an ROI; the labels of the others were mined from reports, with many mistakes
        (Oakden-Rayner, "Exploring large-scale public medical image datasets", 2020). But every boxed image has a
        finding, so that AUROC on them says how a finding is told from other findings, not from health.
    infiltration_is_lung_opacity: whether Infiltration counts as Lung Opacity. CheXpert has no name for it, so by
        default it is left out, 123 boxes with it.

Traps: the header `Bbox [x,y,w,h],,,` of the boxes splits into four columns and three empty ones, and the box table says
Infiltrate where the other says Infiltration. `OriginalImage[Width,Height]` splits into two columns, and is the size
before the release: every PNG, and so every box, is on 1024 x 1024 pixels (a copy at another size does as well: boxes
are scaled when images are stored). 519 PNGs are not grey but have further channels. A finding that was boxed counts as
present, whatever the mined labels say. RSNA's pneumonia challenge is drawn from the same images (`rsna_pneumonia`): the
two cohorts are no independent evidence.

The header variants, the folders and the further channels are as public code and scans of the data report them; the box
table was read row by row in the original.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import Need, among, declared_folders, read_folders, read_options
from mmpkd.cohorts.listing import key, list_files, with_named_files
from mmpkd.cohorts.paths import TableFileError, existing, read_table, require_folder, snake_case, tables_like
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import IMAGE_COLUMNS, CohortTables, is_among
from mmpkd.config.cohorts import Cohort
from mmpkd.text import TextError, read_text

RESTRICTED = False
OPTIONS = {"sets": ["boxed"], "infiltration_is_lung_opacity": False}
FOLDERS = ("tables", "images")
SETS = ("boxed", "test")
SIDE = 1024  # pixels of every image of the release
SOURCE = "ChestX-ray14 is at https://nihcc.app.box.com/v/ChestXray-NIHCC (open)"
IMAGE_TABLE, BOX_TABLE = "Data_Entry_2017*.csv*", "BBox_List_2017*.csv*"
IMAGE_NAME = r"\d{8}_\d{3}\.png"
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "No Finding",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
# A finding's name, however it is spelt, to the one above.
SPELLINGS = {snake_case(name): name for name in FINDINGS} | {"infiltrate": "Infiltration"}
# CheXpert's name: the findings that mean it; several are united. Emphysema, Fibrosis and Hernia have none.
SOURCES = {
    "Atelectasis": ["Atelectasis"],
    "Cardiomegaly": ["Cardiomegaly"],
    "Consolidation": ["Consolidation"],
    "Edema": ["Edema"],
    "Lung Lesion": ["Mass", "Nodule"],
    "No Finding": ["No Finding"],
    "Pleural Effusion": ["Effusion"],
    "Pleural Other": ["Pleural_Thickening"],
    "Pneumonia": ["Pneumonia"],
    "Pneumothorax": ["Pneumothorax"],
}


def needs(cohort: Cohort) -> list[Need]:
    """The two tables, the list of the test set where it is asked for, and the folder of images."""
    sets, folder = read_options(cohort, OPTIONS)["sets"], _table_folder(cohort)
    wanted = [
        Need(folder / IMAGE_TABLE, "labels and views of the images", SOURCE),
        Need(folder / BOX_TABLE, "boxes", SOURCE),
    ]
    if "test" in sets:
        wanted.append(Need(folder / "test_list.txt", "names of the official test set", SOURCE))
    return [*wanted, Need(_image_root(cohort), "images", SOURCE)] if cohort.images else wanted


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads ChestX-ray14 below `cohort.root`; `labels` are CheXpert names, those of `SOURCES` are known to it.

    No file is opened a record, so that `survey` changes nothing.

    Raises:
        FileNotFoundError: if a table, or every image, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder or set.
    """
    options, folder = read_options(cohort, OPTIONS), _table_folder(cohort)
    sets = among("sets", options["sets"], SETS)
    sources = dict(SOURCES) | ({"Lung Opacity": ["Infiltration"]} if options["infiltration_is_lung_opacity"] else {})
    known = [label for label in labels if label in sources]
    rejections = Rejections()
    boxes = _boxes(folder, rejections)
    listed = _listed_images(folder, rejections)
    boxes = rejections.split_off(
        boxes, ~is_among(boxes["image_id"], listed["image_id"]), "image_id", "box on an image that the table lacks"
    )
    official = is_among(listed["image_id"], _official_test(folder, required="test" in sets))
    boxed = is_among(listed["image_id"], boxes["image_id"])
    taken = (boxed & ("boxed" in sets)) | (official & ("test" in sets))
    images = _with_files(listed[taken], cohort, rejections)
    table, contradicted = _labels(images, boxes, {label: sources[label] for label in known})
    rois, notes = _rois(boxes, images, set(listed.loc[~taken, "image_id"]), sources, known, rejections)
    return CohortTables(
        image_root=_image_root(cohort),
        images=images[list(IMAGE_COLUMNS)],
        labels=table,
        rois=rois,
        rejected=rejections.table,
        notes={
            "images_not_in_the_chosen_sets": int((~taken).sum()),
            "boxed_images_in_the_official_test_set": int((boxed & official).sum()),
            "labels_present_by_a_box_alone": contradicted,
            **notes,
            **rejections.notes,
        },
    )


def _table_folder(cohort: Cohort) -> Path:
    return read_folders(cohort, FOLDERS).get("tables", cohort.root)


def _image_root(cohort: Cohort) -> Path:
    return read_folders(cohort, FOLDERS).get("images", cohort.root)


def _last(folder: Path, pattern: str) -> Path:
    """The last table of that name pattern; where there is none, the path that the error will name."""
    return max(tables_like(folder, pattern), default=folder / pattern.replace("*", ""))


def _listed_images(folder: Path, rejections: Rejections) -> pd.DataFrame:
    """One row an image: image_id, patient_id, view and the set of its `findings`."""
    table = read_table(
        _last(folder, IMAGE_TABLE), ["image_index", "finding_labels", "patient_id", "view_position"], SOURCE
    )
    malformed = ~table["image_index"].str.fullmatch(IMAGE_NAME)
    table = rejections.split_off(table, malformed, "image_index", "malformed name of an image in the table of images")
    table = table.assign(image_id=table["image_index"].str.removesuffix(".png"))
    table = rejections.split_off(table, table.duplicated("image_id"), "image_id", "second row of an image")
    patient = table["image_id"].str[:8]
    other = pd.to_numeric(table["patient_id"], errors="coerce") != pd.to_numeric(patient)
    table = rejections.split_off(table.assign(patient_id=patient), other, "image_id", "patient is not that of its name")
    cells = table["finding_labels"]
    table = table.assign(findings=cells.map({cell: _parse(cell) for cell in cells.unique()}))
    unknown = table["findings"].isna()
    table = rejections.split_off(table, unknown, "image_id", "finding that ChestX-ray14 does not know")
    view = table["view_position"].str.upper()
    return table.assign(view=view.where(view.isin(["PA", "AP"]), "frontal"))


def _parse(cell: str) -> frozenset[str] | None:
    """The findings of a cell such as `Effusion|Mass`, None if one of them is not known."""
    names = [SPELLINGS.get(snake_case(name)) for name in cell.split("|")]
    return None if None in names else frozenset(names)


def _boxes(folder: Path, rejections: Rejections) -> pd.DataFrame:
    """One row a box: image_id, finding and the corners, as text or numbers."""
    table = read_table(
        _last(folder, BOX_TABLE), ["image_index", "finding_label", "bbox_[x", "y", "w", "h]"], SOURCE
    ).rename(columns={"bbox_[x": "x0", "y": "y0", "w": "width", "h]": "height"})
    table["finding"] = table["finding_label"].map(lambda text: SPELLINGS.get(snake_case(text)))
    unknown = table["finding"].isna()
    table = rejections.split_off(table, unknown, "image_index", "box of a finding that ChestX-ray14 does not know")
    numbers = table[["x0", "y0", "width", "height"]].apply(pd.to_numeric, errors="coerce")
    return table.assign(
        image_id=table["image_index"].str.removesuffix(".png"),
        x0=numbers["x0"],
        y0=numbers["y0"],
        x1=numbers["x0"] + numbers["width"],
        y1=numbers["y0"] + numbers["height"],
        rows=SIDE,
        columns=SIDE,
    )


def _official_test(folder: Path, required: bool) -> set[str]:
    """The images of the official test set; none if its list is not there and not required.

    Raises:
        FileNotFoundError: if the list is required and not there.
        TableFileError: if it is no list of image names.
    """
    path = existing(folder / "test_list.txt")
    if not path.is_file():
        if required:
            raise FileNotFoundError(f"{path}: no such file; {SOURCE}")
        return set()
    try:
        names = pd.Series(read_text(path).content.split(), dtype="str")
    except TextError as error:
        raise TableFileError(f"{path}: {error}; download it again: {SOURCE}") from error
    if not len(names) or not names.str.fullmatch(IMAGE_NAME).all():
        raise TableFileError(f"{path}: not a list of image names; download it again: {SOURCE}")
    return set(names.str.removesuffix(".png"))


def _with_files(images: pd.DataFrame, cohort: Cohort, rejections: Rejections) -> pd.DataFrame:
    """Adds the further columns of images; sets those aside that are not on the disk."""
    images = images.assign(
        study_id=images["image_id"], split="test", path="", laterality="", rows=SIDE, columns=SIDE
    ).reset_index(drop=True)
    if not cohort.images:
        return images
    root = _image_root(cohort)
    files = list_files(require_folder(root, SOURCE), (".png",), declared_folders(cohort))
    names = pd.Series([key(path).rpartition("/")[2].removesuffix(".png") for path in files], dtype="str")
    candidates = pd.Series(files.paths, dtype="str").groupby(names).agg(list).to_dict()
    return with_named_files(images, candidates, files, "tables", SOURCE, rejections).reset_index(drop=True)


def _labels(images: pd.DataFrame, boxes: pd.DataFrame, sources: dict[str, list[str]]) -> tuple[pd.DataFrame, int]:
    """1 where a finding of the label was mined or boxed, else 0; and how many a box alone made present."""
    table, contradicted = images[["image_id"]].copy(), 0
    for label, names in sources.items():
        mined = images["findings"].map(lambda findings, names=names: not findings.isdisjoint(names)).astype(bool)
        boxed = is_among(images["image_id"], boxes.loc[boxes["finding"].isin(names), "image_id"])
        table[label] = (mined | boxed).astype("float64")
        contradicted += int((boxed & ~mined).sum())
    if "No Finding" in table:  # what is boxed is a finding
        table.loc[is_among(images["image_id"], boxes["image_id"]), "No Finding"] = 0.0
    return table, contradicted


def _rois(
    boxes: pd.DataFrame,
    images: pd.DataFrame,
    not_taken: set[str],
    sources: dict[str, list[str]],
    known: list[str],
    rejections: Rejections,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The boxes of the labels `known` on `images`, and the count of boxes of other labels on them."""
    names = {finding: label for label, findings in sources.items() for finding in findings}
    boxes = boxes[~is_among(boxes["image_id"], not_taken)].assign(label=lambda rows: rows["finding"].map(names))
    orphans = ~is_among(boxes["image_id"], images["image_id"])
    boxes = rejections.split_off(boxes, orphans, "image_id", "box on an image that was left out")
    requested = boxes["label"].isin(known)
    return box_rois(boxes[requested], rejections), {"boxes_of_other_labels": int((~requested).sum())}
