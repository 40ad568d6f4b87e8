"""CBIS-DDSM: digitised film mammograms with lesion masks, pathology and case descriptions.

Access: The Cancer Imaging Archive, open. https://www.cancerimagingarchive.net/collection/cbis-ddsm/
    A manifest for the NBIA Data Retriever (164 GB), and four CSV files beside it.
Licence: CC BY 3.0: cite the paper and the collection's DOI.
Citation: Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis research",
    Scientific Data 4:170177 (2017).

Layouts below root, recognised by what is on the disk (the two of DICOM may be mixed):
    {mass,calc}_case_description_{train,test}_set.csv                                    (folder `tables`; or in csv/)
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/                                             (folder `images`)
        08-07-2016-DDSM-29304/1.000000-full mammogram images-17430/1-1.dcm               as the NBIA downloader names it
        <study UID>/<series UID>/000000.dcm                                              older, as the tables quote it
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_1/<...>/                                     crop and mask of lesion 1
    jpeg/<series UID>/1-249.jpg and csv/dicom_info.csv                                   JPEG export that Kaggle offers
DICOM files are found by the name of the mammogram's or lesion's folder, at any depth and whatever is below it. Where a
mammogram's folder holds several, the file or the series that the table quotes decides. The JPEG export
(kaggle.com/datasets/awsaf49/cbis-ddsm-breast-cancer-image-dataset) is read where `images` has a folder `jpeg`; its
dicom_info.csv says which mammogram or lesion (`PatientID`) a picture (`image_path`) belongs to. These two columns and
the folders are as public code reads them (google-deepmind/dm_nevis), not seen in the original. The export is lossy and
has 8 bits: prefer DICOM.

Yields a row per image: `P_00001_LEFT_CC`, the folder's name without Mass- or Calc- and the set. 71 of the 3,103 folders
repeat a mammogram of the other kind; it is one image here, its file that of the mass folder where there are two: 3,032
images. A study is a patient's breast. Labels: malignant (any lesion of the image is), mass, calcification. A mask a
lesion, labelled with its kind, and once more with `malignant` if it is. A privileged record a lesion (3,568 rows), its
columns named alike for both kinds, with its own targets and `official_set`, the set of its table (train or test).

Several lesions with different pathology: an image is malignant if any of its lesions is, and its ROI labelled
`malignant` are those of the malignant lesions alone.

Mask and crop are distinguished by the header (the mask has 8 bits and the mammogram's size), and in case of doubt by
the pixels (a mask has two values). With `survey` no image is opened: rows and columns stay unknown, and each lesion is
listed with the first of its files, be it crop or mask.

Split: 31 patients stand in the train set of one kind and the test set of the other: they go to test. There is no
published validation set.

Options:
    validation_share: share of the training patients that validate, chosen by a hash of the identifier.

Traps: some crops and masks are swapped, in the tables and in the series' names. Some masks differ in size from their
mammogram: they are scaled, or set aside when images are stored if the aspect differs by 1 % or more. The density is
`breast_density` in the tables of masses and `breast density` in those of calcifications. `assessment` leaks the
pathology: withhold it from the teacher (`exclude`). BENIGN_WITHOUT_CALLBACK is benign. Path cells end in line breaks. A
path that is absolute, climbs with `..` or leaves the images' folder through a link is refused with its row.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from mmpkd.cohorts.base import ChoiceError, DataSet, Need
from mmpkd.cohorts.datasets.cbis_ddsm.files import (
    PICTURES,
    Header,
    NotFoundError,
    choose_mammogram,
    choose_mask,
    exported_files,
    files_by_folder,
    try_header,
)
from mmpkd.cohorts.listing import Listing, MissingFilesError, distinct
from mmpkd.cohorts.paths import read_table, relative_below_all
from mmpkd.cohorts.tables import ROI_COLUMNS, Fields, empty, resolve, stable_share
from mmpkd.logs import progress

LABELS = ("malignant", "mass", "calcification")
PATHS = ["image_file_path", "roi_mask_file_path"]
MALIGNANT = {"MALIGNANT": 1.0, "BENIGN": 0.0, "BENIGN_WITHOUT_CALLBACK": 0.0}
COLUMNS = [
    "patient_id",
    "breast_density",
    "left_or_right_breast",
    "image_view",
    "abnormality_id",
    "assessment",
    "pathology",
    "subtlety",
    *PATHS,
]
DESCRIPTORS = {"mass": ["mass_shape", "mass_margins"], "calc": ["calc_type", "calc_distribution"]}
METADATA = [
    "breast_density",
    "laterality",
    "view",
    "abnormality_id",
    "mass_shape",
    "mass_margins",
    "calc_type",
    "calc_distribution",
    "assessment",
    "subtlety",
    "pathology",
]
FIELDS = Fields(
    # ACR breast density, subtlety, and the BI-RADS assessment, whose 0 ("incomplete") is off the scale.
    numbers={"breast_density": (1, 4), "subtlety": (1, 5), "assessment": (1, 5), "abnormality_id": None},
    applies={name: ("subset", subset) for subset, names in DESCRIPTORS.items() for name in names},
    withheld=("pathology",),
    spellings={"LUCENT_CENTERED": "LUCENT_CENTER"},
    lesions=True,
)
MAMMOGRAM = r"^(?P<mammogram>(?:Mass|Calc)-(?:Training|Test)_(?P<image_id>P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)))/"
LESION = r"^((?:Mass|Calc)-(?:Training|Test)_P_\d+_(?:LEFT|RIGHT)_(?:CC|MLO)_\d+)/"


class CbisDdsm(DataSet):
    """CBIS-DDSM below the cohort's root; its labels are malignant, mass and calcification."""

    RESTRICTED = False
    SOURCE = "CBIS-DDSM is at https://www.cancerimagingarchive.net/collection/cbis-ddsm/ (open)"
    OPTIONS = {"validation_share": 0.15}
    FOLDERS = ("tables", "images")
    KEY_NAME = "image_id"

    def needs(self) -> list[Need]:
        """The four tables and the folder of images."""
        tables = [
            Need(path, f"descriptions of the {subset} cases, {official_set} set", self.SOURCE)
            for path, subset, official_set in self._tables()
        ]
        if not self.cohort.images:
            return tables
        if self._is_exported:
            return [*tables, Need(self._contents, "what each picture of the JPEG export shows", self.SOURCE)]
        return [*tables, Need(self.image_root, "mammograms, crops and masks", self.SOURCE)]

    @property
    def image_root(self) -> Path:
        """The folder with the folders of mammograms and lesions, at any depth, or with the JPEG export."""
        below = self.root / "CBIS-DDSM"
        return self.folder("images", below if below.is_dir() else None)

    def list_images(self) -> pd.DataFrame:
        """The mammograms of the lesions, in the order of the tables."""
        self.lesions = self._split(self._lesions())
        images = self.lesions.drop_duplicates("image_id")[["image_id", "patient_id", "split", "view", "laterality"]]
        return images.assign(study_id=images["patient_id"] + "_" + images["laterality"])

    def image_files(self) -> Listing:
        """DICOM files, or those of the JPEG export where there is one; `self.files` has them by folder."""
        if self._is_exported:
            contents = read_table(self._contents, ["patientid", "image_path"], self.SOURCE)
            listed = self.files_below(self.image_root / "jpeg", PICTURES).under(self.image_root, "jpeg")
            self.files = exported_files(contents, listed)
        else:
            listed = self.files_below(self.image_root, (".dcm",))
            self.files = files_by_folder(listed)
        return listed

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """Adds path, rows and columns; sets images aside whose mammogram is missing or no image that can be read."""
        root, mammograms = self.image_root, self.lesions["mammogram"]
        self.rejections.count(files.notes, root)
        if (len(mammograms) or files.remark) and not any(name in self.files for name in mammograms):
            raise MissingFilesError(
                f"{root}: holds no folder of the {mammograms.nunique()} mammograms of the tables; "
                f"{files.remark or f'set folders.images. {self.SOURCE}'}; {self.rejections.summary}"
            )
        # Mass before Calc
        folders = self.lesions.drop_duplicates("mammogram").sort_values("mammogram", ascending=False)
        candidates = {
            image_id: list(zip(group["mammogram"], group["image_file_path"], strict=True))
            for image_id, group in folders.groupby("image_id")
        }
        found, reasons = {}, {}
        for image_id in progress(images["image_id"], "mammograms", unit="image"):
            folder, quoted = next((one for one in candidates[image_id] if one[0] in self.files), ("", ""))
            try:
                path = choose_mammogram(distinct(root, self.files.get(folder, [])), quoted)
                found[image_id] = self._mammogram(path)
            except NotFoundError as reason:
                reasons[image_id] = str(reason)
        self.rejections.add(reasons, reasons.values())
        images = images[images["image_id"].isin(found)].copy()
        columns = ["path", "rows", "columns"]
        rows = [found[image_id] for image_id in images["image_id"]]
        images[columns] = pd.DataFrame(rows, columns=columns, index=images.index, dtype=object)
        return images

    def review(self, images: pd.DataFrame) -> pd.DataFrame:
        """Sets the lesions of other images aside, and those without a mask."""
        if self.cohort.images:
            orphans = ~self.lesions["image_id"].isin(images["image_id"])
            reason = "lesion of a mammogram that was left out"
            self.lesions = self.set_aside(self.lesions, orphans, "record_id", reason)
            self.masks = self._masks(images)
        subsets = self.lesions.groupby("image_id")["subset"].nunique()
        self.notes["images_in_mass_and_calcification_tables"] = int((subsets > 1).sum())
        return images

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """A label of any lesion is one of its image."""
        targets = self.lesions.groupby("image_id")[[f"target_{label}" for label in self._known]].max()
        targets.columns = self._known
        return targets.reindex(images["image_id"]).reset_index()

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """A row a lesion that has a mask, and label: its kind, and malignant if it is."""
        if not self.cohort.images or not self._known:
            return empty(ROI_COLUMNS)
        lesions = self.lesions[["record_id", "image_id"]]
        parts = [lesions[self.lesions[f"target_{label}"] == 1].assign(label=label) for label in self._known]
        rois = pd.concat(parts, ignore_index=True)
        rois = rois[rois["record_id"].isin(self.masks)]
        return rois.assign(
            roi_id=rois["record_id"] + "_" + rois["label"],
            kind="mask",
            mask_path=rois["record_id"].map(self.masks),
            polygon="",
            **dict.fromkeys(("x0", "y0", "x1", "y1"), float("nan")),
        )[list(ROI_COLUMNS)]

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """One row a lesion."""
        columns = ["record_id", "image_id", "patient_id", "split", "subset", "official_set", *METADATA]
        targets = [f"target_{label}" for label in LABELS]
        return self.lesions[columns + targets].rename(columns={"image_id": "key"})

    @property
    def fields(self) -> Fields:
        """How the case descriptions are read."""
        return FIELDS

    @property
    def _known(self) -> list[str]:
        return [label for label in LABELS if label in self.labels]

    @property
    def _is_exported(self) -> bool:
        return (self.image_root / "jpeg").is_dir()

    @property
    def _contents(self) -> Path:
        return self.image_root / "csv" / "dicom_info.csv"

    def _tables(self) -> list[tuple[Path, str, str]]:
        """Each table's path, kind and official set."""
        below = self.root / "csv"
        folder = self.folder("tables", below if below.is_dir() else None)
        return [
            (folder / f"{subset}_case_description_{official_set}_set.csv", subset, official_set)
            for subset in DESCRIPTORS
            for official_set in ("train", "test")
        ]

    def _lesions(self) -> pd.DataFrame:
        """One row a lesion of the four tables: their columns, record_id, image_id, subset, official_set, targets."""
        parts = [
            read_table(path, COLUMNS + DESCRIPTORS[subset], self.SOURCE).assign(
                subset=subset, official_set=official_set
            )
            for path, subset, official_set in self._tables()
        ]
        lesions = pd.concat(parts, ignore_index=True).fillna("")
        lesions = lesions.rename(columns={"left_or_right_breast": "laterality", "image_view": "view"})
        stated = lesions["patient_id"] + "_" + lesions["laterality"] + "_" + lesions["view"]
        lesions["stated"] = stated + ", lesion " + lesions["abnormality_id"]
        for column in PATHS:
            lesions[column], refused = relative_below_all(self.image_root, lesions[column], self.declared)
            lesions = self.set_aside(lesions, refused, "stated", f"{column} does not stay below the images' folder")
        lesions = lesions.join(lesions["image_file_path"].str.extract(MAMMOGRAM))
        lesions["record_id"] = lesions["roi_mask_file_path"].str.extract(LESION, expand=False)
        unnamed = lesions["image_id"].isna() | lesions["record_id"].isna()
        lesions = self.set_aside(lesions, unnamed, "stated", "its paths name no mammogram or no lesion")
        other = lesions["image_id"] != stated[lesions.index]
        lesions = self.set_aside(lesions, other, "record_id", "its paths name another patient, breast or view")
        unknown = ~lesions["pathology"].isin(MALIGNANT)
        lesions = self.set_aside(lesions, unknown, "record_id", "pathology is missing or not known")
        repeated = lesions.duplicated("record_id")
        lesions = self.set_aside(lesions, repeated, "record_id", "second row of a lesion")
        return lesions.assign(
            target_malignant=lesions["pathology"].map(MALIGNANT),
            target_mass=(lesions["subset"] == "mass").astype("float64"),
            target_calcification=(lesions["subset"] == "calc").astype("float64"),
        )

    def _split(self, lesions: pd.DataFrame) -> pd.DataFrame:
        """Resolves patients of both official sets, and lets a share of the training patients validate."""
        share = self.option("validation_share")
        if not 0 <= share < 1:
            raise ChoiceError(f"options.validation_share is {share}; it must be at least 0 and below 1")
        lesions, moved = resolve(lesions.assign(split=lesions["official_set"]))
        training = lesions.loc[lesions["split"] == "train", "patient_id"].unique()
        chosen = stable_share(training, share)
        lesions["split"] = lesions["split"].mask(lesions["patient_id"].isin(chosen), "validate")
        self.notes |= moved | {"patients_validating": len(chosen)}
        return lesions

    def _mammogram(self, path: str) -> tuple[str, Any, Any]:
        """Path, rows and columns of a mammogram. Raises NotFoundError if it cannot be read."""
        if self.survey:
            return path, pd.NA, pd.NA
        header = try_header(self.image_root / path)
        if header is None:
            raise NotFoundError("mammogram is no readable image")
        return path, header.rows, header.columns

    def _masks(self, images: pd.DataFrame) -> dict[str, str]:
        """The mask of each lesion (in a survey, any of its files). Lesions without one are set aside."""
        root, sizes = self.image_root, {}
        if not self.survey:
            sizes = {row.image_id: Header(row.rows, row.columns, 16) for row in images.itertuples()}
        masks, reasons = {}, {}
        pairs = list(zip(self.lesions["record_id"], self.lesions["image_id"], strict=True))
        for record_id, image_id in progress(pairs, "masks", unit="lesion"):
            try:
                masks[record_id] = choose_mask(root, self.files.get(record_id, []), sizes.get(image_id))
            except NotFoundError as reason:
                reasons[record_id] = f"ROI: {reason}"
        self.rejections.add(reasons, reasons.values())
        return masks


DATA_SET = CbisDdsm
