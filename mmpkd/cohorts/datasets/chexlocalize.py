"""CheXlocalize: radiologists' outlines of ten findings on CheXpert's validation and test sets, for evaluation alone.

Access: https://aimi.stanford.edu/datasets/chexlocalize (registration). The download holds the images and labels too.
Licence: Stanford University Dataset Research Use Agreement: non-commercial research; none of it may be passed on.
Citation: Saporta et al., "Benchmarking saliency methods for chest X-ray interpretation", Nature Machine Intelligence 4
    (2022), doi:10.1038/s42256-022-00536-x; Irvin et al., "CheXpert", AAAI 2019 (arXiv:1901.07031).

Layout below root:
    CheXpert/{val,test}/patient64541/study1/view1_frontal.jpg               (folder `chexpert`)
    CheXpert/{val,test}_labels.csv
    CheXlocalize/gt_{annotations,segmentations}_{val,test}.json             (folder `outlines`)
A CheXpert-v1.0 download, small or not, does as folder `chexpert` for the validation set: its names are valid.csv and
valid/. File names and contents as in https://github.com/rajpurkarlab/cheXlocalize (README.md, sample/).

Yields frontal radiographs, labels under CheXpert's names, and the outlines (see `mmpkd.cohorts.chexlocalize_outlines`),
each a polygon, or a mask as run lengths. There are no reports, so there is no privileged table.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    sets: the published sets that are taken, val or test; test alone, as in the paper, unless it says otherwise.
    views: frontal, lateral; frontal alone, as in training, unless it says otherwise.

Traps: Lung Opacity is called `Airspace Opacity` in the outlines. The Path column starts with a folder that is not that
of the images (`CheXpert-v1.0/valid/...` for `val/...`), so only its last three parts count. The labels are those of a
panel of radiologists, none uncertain or blank; if there are any, they are masked and counted. A study's label need not
show in each of its views, and one image of the test set has positive labels and no outline at all: positive labels
without outline are counted. Outlines were drawn at full size: the store scales them where the images are smaller.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import Need, among, declared_folders, read_folders, read_options
from mmpkd.cohorts.chexlocalize_outlines import NAMES, read_outlines
from mmpkd.cohorts.listing import Listing, list_files, with_files
from mmpkd.cohorts.paths import existing, read_table, relative_below_all, require_folder
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.tables import IMAGE_COLUMNS, ROI_COLUMNS, CohortTables
from mmpkd.config.cohorts import Cohort

RESTRICTED = True
OPTIONS = {"sets": ["test"], "views": ["frontal"]}
FOLDERS = ("chexpert", "outlines")
SETS = {"val": ("val_labels.csv", "valid.csv"), "test": ("test_labels.csv",)}  # the names that its table may have
IMAGE_FOLDERS = {"val": ("val", "valid"), "test": ("test",)}
VIEWS = ("frontal", "lateral")
SOURCE = "CheXlocalize is at https://aimi.stanford.edu/datasets/chexlocalize (registration)"
IMAGE_PATH = (
    r"(?:^|/)(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<name>view\d+_(?P<side>frontal|lateral))\.(?i:jpg)$"
)
# The findings that were outlined where they were present.
OUTLINED = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Lung Lesion",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumothorax",
    "Support Devices",
)


def needs(cohort: Cohort) -> list[Need]:
    """See `mmpkd.cohorts.base`. Raises ChoiceError for an unknown option, folder or set."""
    chexpert, outlines = _folders(cohort)
    wanted = []
    for name in among("sets", read_options(cohort, OPTIONS)["sets"], tuple(SETS)):
        wanted.append(Need(_first_there(chexpert, SETS[name]), f"CheXpert labels, {name} set", SOURCE))
        if cohort.images:
            wanted.append(Need(_first_there(chexpert, IMAGE_FOLDERS[name]), f"images, {name} set", SOURCE))
        wanted.append(Need(outlines / f"gt_*_{name}.json", f"outlines, {name} set", SOURCE))
    return wanted


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads CheXlocalize below `cohort.root`; `labels` are CheXpert names.

    `survey` changes nothing, for nothing is opened image by image.

    Raises:
        FileNotFoundError: if a table, the outlines, or every image is missing.
        TableFileError: if a file cannot be read.
        ChoiceError: for an unknown option, folder, set or view.
    """
    options = read_options(cohort, OPTIONS)
    sets = among("sets", options["sets"], tuple(SETS))
    views = among("views", options["views"], VIEWS)
    chexpert, folder = _folders(cohort)
    rejections = Rejections()
    declared = declared_folders(cohort)
    images = pd.concat([_listed_images(chexpert, name, declared, rejections) for name in sets], ignore_index=True)
    images = rejections.split_off(images, images.duplicated("image_id"), "image_id", "second row of an image")
    images = rejections.split_off(images, ~images["side"].isin(views), "image_id", "view is not one of options.views")
    images = _with_files(images, chexpert, cohort, sets, rejections)
    known = [label for label in labels if label in images]
    images, notes = _with_labels(images, known, rejections)
    outlines = pd.concat([read_outlines(folder, name, SOURCE) for name in sets], ignore_index=True)
    images = _with_sizes(images, outlines)
    rois, roi_notes = _rois(outlines, images, known, rejections)
    return CohortTables(
        image_root=chexpert,
        images=images[list(IMAGE_COLUMNS)],
        labels=images[["image_id", *known]],
        rois=rois,
        rejected=rejections.table,
        notes={**notes, **roi_notes, **rejections.notes},
    )


def _folders(cohort: Cohort) -> tuple[Path, Path]:
    """Where the images and labels are, and where the outlines are."""
    folders = read_folders(cohort, FOLDERS)
    return folders.get("chexpert", cohort.root / "CheXpert"), folders.get("outlines", cohort.root / "CheXlocalize")


def _first_there(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of `names` that is in `folder`; the first of all where none is."""
    return next((path for name in names if (path := existing(folder / name)).exists()), folder / names[0])


def _listed_images(chexpert: Path, name: str, declared: tuple[Path, ...], rejections: Rejections) -> pd.DataFrame:
    """One row an image of a published set, with its labels as text, under CheXpert's names."""
    path = _first_there(chexpert, SETS[name])
    table = read_table(path, ["path"], SOURCE, optional=["ap/pa", *NAMES]).rename(columns=NAMES)
    relative, refused = relative_below_all(chexpert, table["path"], declared)
    table = rejections.split_off(table.assign(relative=relative), refused, "path", f"path in {path.name} is refused")
    parts = table["relative"].str.extract(IMAGE_PATH)
    table = rejections.split_off(table, parts["name"].isna(), "path", f"path in {path.name} is not CheXpert's")
    parts = parts.loc[table.index]
    study = parts["patient"] + "_" + parts["study"]
    folder = _first_there(chexpert, IMAGE_FOLDERS[name]).name
    position = table.get("ap/pa", pd.Series("", index=table.index)).str.upper()
    size = pd.Series(pd.NA, index=table.index, dtype="Int32")
    return table.drop(columns=["relative", "ap/pa"], errors="ignore").assign(
        image_id=study + "_" + parts["name"],
        patient_id=parts["patient"],
        study_id=study,
        side=parts["side"],
        split="test",
        path=f"{folder}/" + parts["patient"] + "/" + parts["study"] + "/" + parts["name"] + ".jpg",
        view=position.where(position.isin(["AP", "PA"]) & (parts["side"] == "frontal"), parts["side"]),
        laterality="",
        rows=size,
        columns=size,
    )


def _with_files(
    images: pd.DataFrame, chexpert: Path, cohort: Cohort, sets: list[str], rejections: Rejections
) -> pd.DataFrame:
    """Sets images aside that are not on the disk. Without images in the cohort, paths are empty."""
    if not cohort.images:
        return images.assign(path="")
    files = Listing(chexpert)
    for name in sets:
        folder = require_folder(_first_there(chexpert, IMAGE_FOLDERS[name]), SOURCE)
        files += list_files(folder, (".jpg",), (chexpert, *declared_folders(cohort))).under(chexpert, folder.name)
    return with_files(images, images["path"], files, "tables", SOURCE, rejections)


def _with_labels(
    images: pd.DataFrame, labels: list[str], rejections: Rejections
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Labels as 1, 0 and NaN; sets images with another one aside, and counts those that are masked."""
    text = images[labels].fillna("")  # a label that one set's table lacks is unknown there
    values = text.apply(pd.to_numeric, errors="coerce")
    wrong = (~values.isin([1, 0, -1]) & (text != "")).any(axis=1)
    images = images.assign(**values.where(values.isin([1, 0])))
    images = rejections.split_off(images, wrong, "image_id", "label is not 1, 0, -1 or blank")
    return images, {"labels_masked_as_uncertain_or_blank": int(images[labels].isna().to_numpy().sum())}


def _with_sizes(images: pd.DataFrame, outlines: pd.DataFrame) -> pd.DataFrame:
    """Fills in rows and columns of images that the outlines tell the size of."""
    sizes = outlines.dropna(subset=["rows", "columns"]).drop_duplicates("image_id").set_index("image_id")
    return images.assign(**{name: images["image_id"].map(sizes[name]).astype("Int32") for name in ("rows", "columns")})


def _rois(
    outlines: pd.DataFrame, images: pd.DataFrame, labels: list[str], rejections: Rejections
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The outlines of `labels` on `images`, each an ROI, and what was left out without being wrong."""
    outlines = rejections.split_off(
        outlines, outlines["label"] == "", "image_id", "outline of a finding that is no CheXpert label"
    )
    requested = outlines["label"].isin(labels)
    rois = outlines[requested]
    rois = rejections.split_off(
        rois, ~rois["image_id"].isin(images["image_id"]), "image_id", "outline on an image that was left out"
    )
    rois = rejections.split_off(rois, rois["fault"] != "", "image_id", rois["fault"])
    judged = images[["image_id", *labels]].melt("image_id", var_name="label", value_name="present")
    rois = rois.merge(judged, on=["image_id", "label"], how="left")
    rois = rejections.split_off(
        rois, rois["present"] == 0, "image_id", "outline of a finding that its image's label denies"
    )
    rois = rois.drop_duplicates(["image_id", "label", "polygon"])
    number = rois.groupby("image_id").cumcount().add(1).astype(str)
    rois = rois.assign(roi_id=rois["image_id"] + "_" + number, mask_path="", x0=None, y0=None, x1=None, y1=None)
    positive = judged[(judged["present"] == 1) & judged["label"].isin(OUTLINED)]
    outlined = positive.merge(rois[["image_id", "label"]].drop_duplicates(), on=["image_id", "label"])
    return rois[list(ROI_COLUMNS)], {
        "outlines_of_other_labels": int((~requested).sum()),
        "positive_labels_without_outline": len(positive) - len(outlined),
    }
