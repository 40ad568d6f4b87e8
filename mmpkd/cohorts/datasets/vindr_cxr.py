"""VinDr-CXR: chest radiographs of two hospitals in Hanoi with radiologists' labels and boxes, for evaluation alone.

Access: PhysioNet, credentialed account with training and a signed data use agreement.
    https://physionet.org/content/vindr-cxr/
Licence: PhysioNet Credentialed Health Data License 1.5.0. None of it may be passed on.
Citation: Nguyen et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations", Scientific Data
    9:429 (2022).

Layout below root:
    {train,test}/<image_id>.dicom
    annotations/image_labels_{train,test}.csv, annotations/annotations_{train,test}.csv   (folder `annotations`)

Yields PA radiographs, image labels and boxes under CheXpert's names (see `SOURCES`). Those of the 3,000 test
images are a consensus of five radiologists. Each of the 15,000 training images was read by three: a label is that of
the majority, and the boxes are those of the radiologists who agree with it. There are no reports, so there is no
privileged table.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    splits: the published sets that are taken, train or test; images of the others are left out and counted.

Traps: no patient identifier is published, so each image counts as a patient of its own, and intervals by patient are
intervals by image. The tables do not state the size of an image. Infiltration, ILD and the like have no CheXpert name
and are left out, their boxes too. Kaggle's VinBigData competition distributes the same images, also as .dicom, but with
other tables (train.csv for its training images, no labels for the others): that download is not read.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.listing import Listing
from mmpkd.cohorts.paths import existing, read_table, snake_case
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import is_among

OFFICIAL = ("train", "test")
# CheXpert's name: the names of VinDr-CXR that mean it; several are united.
SOURCES = {
    "Atelectasis": ["Atelectasis"],
    "Cardiomegaly": ["Cardiomegaly"],
    "Consolidation": ["Consolidation"],
    "Edema": ["Edema"],
    "Fracture": ["Rib fracture", "Clavicle fracture"],
    "Lung Lesion": ["Nodule/Mass"],
    "Lung Opacity": ["Lung Opacity"],
    "No Finding": ["No finding"],
    "Pleural Effusion": ["Pleural effusion"],
    "Pleural Other": ["Pleural thickening"],
    "Pneumonia": ["Pneumonia"],
    "Pneumothorax": ["Pneumothorax"],
}


class VindrCxr(DataSet):
    """VinDr-CXR below the cohort's root; its labels are those of `SOURCES`."""

    RESTRICTED = True
    SOURCE = "VinDr-CXR is at https://physionet.org/content/vindr-cxr/ (credentialed)"
    OPTIONS = {"splits": ["test"]}
    FOLDERS = ("annotations",)
    SUFFIXES = (".dicom",)

    def needs(self) -> list[Need]:
        """The two tables of each set that is taken, and its folder of images."""
        wanted = []
        for split in self.option("splits"):
            wanted.append(Need(self._table("image_labels", split), f"labels of the {split} set", self.SOURCE))
            wanted.append(Need(self._table("annotations", split), f"boxes of the {split} set", self.SOURCE))
            if self.cohort.images:
                wanted.append(Need(self.root / split, f"images of the {split} set", self.SOURCE))
        return wanted

    def list_images(self) -> pd.DataFrame:
        """The images of the sets that are taken, with their labels."""
        self.splits = self.choices("splits", OFFICIAL)
        self.known = [label for label in self.labels if label in SOURCES]
        images = pd.concat([self._image_labels(split) for split in self.splits], ignore_index=True)
        images = self.set_aside(images, images.duplicated("image_id"), "image_id", "image stands in two published sets")
        return images.assign(patient_id=images["image_id"], study_id=images["image_id"], split="test", view="PA")

    def image_folders(self) -> list[Path]:
        """A folder per published set."""
        return [self.root / split for split in self.splits]

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The identifier is the file's name."""
        path = images["official_set"] + "/" + images["image_id"] + ".dicom"
        return self.match(images, files.locate(path), files)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The labels were listed with the images."""
        return images[["image_id", *self.known]]

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The boxes that agree with the image's label; those that do not are counted."""
        columns = ["image_id", "class_name", "x_min", "y_min", "x_max", "y_max"]
        tables = [read_table(self._table("annotations", split), columns, self.SOURCE) for split in self.splits]
        boxes = pd.concat(tables, ignore_index=True)
        boxes = boxes.rename(columns={"x_min": "x0", "y_min": "y0", "x_max": "x1", "y_max": "y1"})
        names = {snake_case(name): label for label in self.known for name in SOURCES[label] if label != "No Finding"}
        boxes["label"] = boxes["class_name"].map(lambda text: names.get(snake_case(text)))
        boxes = boxes.dropna(subset="label")
        orphans = ~is_among(boxes["image_id"], images["image_id"])
        boxes = self.set_aside(boxes, orphans, "image_id", "box on an image that was left out")
        agreed = images[["image_id", "rows", "columns", *self.known]]
        agreed = agreed.melt(["image_id", "rows", "columns"], var_name="label")
        boxes = boxes.merge(agreed, on=["image_id", "label"], how="left")
        outvoted = boxes["value"] != 1
        rois = box_rois(boxes[~outvoted], self.rejections)
        self.notes["boxes_outvoted_by_the_image_label"] = int(outvoted.sum())
        for split in sorted(set(OFFICIAL) - set(self.splits)):
            path = existing(self._table("image_labels", split))
            left_out = read_table(path, ["image_id"], self.SOURCE)["image_id"].nunique() if path.is_file() else 0
            self.notes[f"images_of_official_{split}_set_left_out"] = left_out
        return rois

    def _table(self, name: str, split: str) -> Path:
        return self.folder("annotations", self.root / "annotations") / f"{name}_{split}.csv"

    def _image_labels(self, split: str) -> pd.DataFrame:
        """One row per image of a published set: image_id, official_set and the labels, by majority of its readers."""
        path = self._table("image_labels", split)
        names = {label: [snake_case(name) for name in SOURCES[label]] for label in self.known}
        columns = [name for sources in names.values() for name in sources]
        table = read_table(path, ["image_id", *columns], self.SOURCE)
        malformed = ~table["image_id"].str.fullmatch(r"[\w-]+")
        table = self.set_aside(table, malformed, "image_id", f"malformed identifier in {path.name}")
        values = table[columns].apply(pd.to_numeric, errors="coerce")
        wrong = ~values.isin([0, 1]).all(axis=1)
        table = self.set_aside(table, wrong, "image_id", f"label in {path.name} is neither 0 nor 1")
        reading = pd.DataFrame({label: values.loc[table.index, names[label]].max(axis=1) for label in self.known})
        reading = reading.reindex(table.index)
        share = reading.groupby(table["image_id"]).mean().reindex(table["image_id"].unique())
        return (share > 0.5).astype("float64").rename_axis("image_id").reset_index().assign(official_set=split)


DATA_SET = VindrCxr
