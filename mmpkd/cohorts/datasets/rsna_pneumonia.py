"""RSNA Pneumonia Detection Challenge: frontal chest radiographs with boxes of lung opacities, for evaluation alone.

Access: Kaggle, after its rules are accepted. https://www.kaggle.com/c/rsna-pneumonia-detection-challenge
    The table of NIH images: https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018
Licence: the rules of the competition; the images are those of the NIH Clinical Center, to be named as their provider.
Citation: Shih et al., "Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert Annotations of
    Possible Pneumonia", Radiology: Artificial Intelligence 1(1):e180041 (2019), doi:10.1148/ryai.2019180041; and
    Wang et al., CVPR 2017, for the images.

Layout below root:
    stage_2_train_labels.csv                            patientId, x, y, width, height, Target: a row a box
    stage_2_detailed_class_info.csv                     patientId, class                                     (optional)
    pneumonia-challenge-dataset-mappings_2018.json      which image of ChestX-ray14 each one is              (optional)
    stage_2_train_images/<patientId>.dcm                                                          (folder `images`)
Labels of the stage-2 test images were not published: they are not read.

Yields 26,684 images, 6,012 of them with boxes, the label Lung Opacity (`Target`) and its boxes; with the table of
classes also No Finding (class `Normal`). There are no reports, so there is no privileged table.

Why Lung Opacity: the readers boxed opacities that may be pneumonia and called the class `Lung Opacity`; whether an
opacity is pneumonia takes more than the image. A negative has no such opacity, but the class `No Lung Opacity / Not
Normal` holds other findings, some of which CheXpert would call an opacity.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    sets: which images are taken: `boxed` (those with an opacity), `unboxed`, or both. Default: both.
    target_labels: what `Target` and its boxes are called: Lung Opacity, Pneumonia, or both. Default: Lung Opacity. The
        domain's labels must contain the name, or nothing is scored.

Traps: every image is one of NIH ChestX-ray14 (`nih_chestxray14`): the two cohorts are no independent evidence.
`patientId` names an image, not a patient. With the table of NIH images, the patient is the NIH's; without it each image
counts as a patient of its own, and intervals by patient are intervals by image. An image with several opacities has
several rows, in the table of classes too. Images and boxes are on 1024 x 1024 pixels. The view (PA, AP) stands in the
headers alone, which are not opened.

The columns and classes are as public code reads them (microsoft/InnerEye-DeepLearning, mlmed/torchxrayvision); the
licence text and the original files were not seen.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.listing import Listing
from mmpkd.cohorts.paths import TableFileError, existing, read_json, read_table
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import is_among

SETS = ("boxed", "unboxed")
TARGET_LABELS = ("Lung Opacity", "Pneumonia")
SIDE = 1024  # pixels of every image of the challenge
MAPPING_SOURCE = (
    "the table of NIH images is at "
    "https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018 (open)"
)
LABEL_TABLE, CLASS_TABLE = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
NO_FINDING = {"normal": 1.0, "no lung opacity / not normal": 0.0, "lung opacity": 0.0}  # by class


class RsnaPneumonia(DataSet):
    """The challenge's training set below the cohort's root; its labels are the `target_labels` and No Finding."""

    RESTRICTED = False
    SOURCE = "RSNA's challenge is at https://www.kaggle.com/c/rsna-pneumonia-detection-challenge (Kaggle account)"
    OPTIONS = {"sets": ["boxed", "unboxed"], "target_labels": ["Lung Opacity"]}
    FOLDERS = ("images",)
    SUFFIXES = (".dcm",)
    NAMED_BY = "table"

    def needs(self) -> list[Need]:
        """The table of boxes, the folder of images, and the two tables that add to them."""
        root = self.root
        wanted = [Need(root / LABEL_TABLE, "targets and boxes", self.SOURCE)]
        if self.cohort.images:
            wanted.append(Need(self.image_root, "images", self.SOURCE))
        return [
            *wanted,
            Need(root / CLASS_TABLE, "classes, for the label No Finding", self.SOURCE, required=False),
            Need(root / MAPPING, "images of ChestX-ray14, for patients", MAPPING_SOURCE, required=False),
        ]

    @property
    def image_root(self) -> Path:
        """The folder of the training images."""
        return self.folder("images", self.root / "stage_2_train_images")

    def list_images(self) -> pd.DataFrame:
        """The images of the sets that are taken, with their target."""
        sets = self.choices("sets", SETS)
        self.meant = self.choices("target_labels", TARGET_LABELS)
        rows = self._rows()
        listed = rows.groupby("image_id", sort=False, as_index=False)["target"].first()
        taken = listed["target"].map({1.0: "boxed", 0.0: "unboxed"}).isin(sets)
        self.boxes = rows[~is_among(rows["image_id"], listed.loc[~taken, "image_id"])]
        self.notes["images_not_in_the_chosen_sets"] = int((~taken).sum())
        images = listed[taken]
        return images.assign(study_id=images["image_id"], split="test", view="frontal", rows=SIDE, columns=SIDE)

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The identifier is the file's name."""
        return self.match(images, files.locate(images["image_id"] + ".dcm"), files)

    def review(self, images: pd.DataFrame) -> pd.DataFrame:
        """Adds `patient_id`: the NIH's where it is known, else the image.

        Raises:
            TableFileError: if the table of NIH images is not what it should be.
        """
        path = existing(self.root / MAPPING)
        names = {}
        if path.is_file():
            try:
                names = {str(entry["subset_img_id"]): str(entry["img_id"]) for entry in read_json(path)}
            except (ValueError, TypeError, KeyError) as error:
                raise TableFileError(f"{path}: no list of subset_img_id and img_id; {MAPPING_SOURCE}") from error
        patient = images["image_id"].map(names).astype("str").str.extract(r"^(\d{8})_\d{3}\.png$", expand=False)
        self.notes["images_with_a_patient_of_the_nih"] = int(patient.notna().sum())
        return images.assign(patient_id=patient.fillna(images["image_id"]))

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The target under its names, and No Finding where the table of classes is there."""
        classes = self._classes()
        known = [*self.meant, *([] if classes is None else ["No Finding"])]
        table = images[["image_id"]].copy()
        for label in [label for label in self.labels if label in known]:
            is_target = label in self.meant
            table[label] = images["target"] if is_target else images["image_id"].map(classes).astype("float64")
        return table

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The boxes, once for each name of the target that is wanted."""
        drawn = (self.boxes["target"] == 1) | self.boxes[["x0", "y0", "x1", "y1"]].notna().any(axis=1)
        size = images[["image_id", "rows", "columns"]]
        boxes = self.boxes[drawn].merge(size, on="image_id", how="left", indicator=True)
        boxes = self.set_aside(boxes, boxes["_merge"] != "both", "image_id", "box on an image that was left out")
        boxes = self.set_aside(boxes, boxes["target"] != 1, "image_id", "box on an image whose Target is 0")
        parts = [boxes.assign(label=label) for label in self.labels if label in self.meant]
        return box_rois(pd.concat(parts) if parts else boxes.iloc[:0].assign(label=""), self.rejections)

    def _rows(self) -> pd.DataFrame:
        """One row a box, or an image without one: image_id, target and the corners."""
        columns = ["patientid", "x", "y", "width", "height", "target"]
        rows = read_table(self.root / LABEL_TABLE, columns, self.SOURCE)
        rows = rows.rename(columns={"patientid": "image_id"})
        # Identifiers become names of files, so they may hold nothing but what the challenge's hold.
        malformed = ~rows["image_id"].str.fullmatch(r"[\w-]+")
        rows = self.set_aside(rows, malformed, "image_id", "malformed identifier")
        rows = rows.assign(target=pd.to_numeric(rows["target"], errors="coerce"))
        unread = ~rows["target"].isin([0, 1])
        rows = self.set_aside(rows, unread, "image_id", "Target is neither 0 nor 1")
        mixed = rows.groupby("image_id")["target"].transform("nunique") > 1
        rows = self.set_aside(rows, mixed, "image_id", "Target is 1 in one row of the image and 0 in another")
        numbers = rows[["x", "y", "width", "height"]].apply(pd.to_numeric, errors="coerce")
        return rows.assign(
            x0=numbers["x"], y0=numbers["y"], x1=numbers["x"] + numbers["width"], y1=numbers["y"] + numbers["height"]
        )

    def _classes(self) -> pd.Series | None:
        """No Finding by image: 1, 0, or NaN where the classes contradict each other; None without the table."""
        path = existing(self.root / CLASS_TABLE)
        if not path.is_file():
            return None
        table = read_table(path, ["patientid", "class"], self.SOURCE)
        values = table["class"].str.lower().map(NO_FINDING).groupby(table["patientid"])
        return values.first().where((values.nunique() == 1) & (values.count() == values.size()))


DATA_SET = RsnaPneumonia
