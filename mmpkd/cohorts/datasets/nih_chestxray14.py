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

Yields images with their labels under CheXpert's names (see `SOURCES`) and the boxes. The download has 112,120
images of 30,805 patients. Mass and Nodule are Lung Lesion, Pleural_Thickening is Pleural Other; Emphysema, Fibrosis and
Hernia are left out. Reports were not published, so there is no privileged table. The first eight digits of an image's
name are the patient.

Split: an external cohort is evaluated whole, so every image that is taken has the split `test`.

Options:
    sets: which images are taken: `boxed` (the 880 with a box of any finding), `test` (the official test set), or both
        (the union). Default: `boxed`. Students never learn from this cohort, so that no test set has to be held out,
        and only these images have an ROI; the labels of the others were mined from reports, with many mistakes
        (Oakden-Rayner, "Exploring large-scale public medical image datasets", 2020). But every boxed image has a
        finding, so that AUROC on them measures how a finding is distinguished from other findings, not from health.
    partial_download: whether a part of the images was downloaded on purpose. Those that are not there are then counted,
        like those of other sets, and are no fault of the download. Default: false.
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

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.listing import Listing, key
from mmpkd.cohorts.paths import TableFileError, existing, read_table, snake_case, tables_like
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import is_among
from mmpkd.text import TextError, read_text

SETS = ("boxed", "test")
SIDE = 1024  # pixels of every image of the release
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


class NihChestXray14(DataSet):
    """ChestX-ray14 below the cohort's root; its labels are those of `SOURCES`."""

    RESTRICTED = False
    SOURCE = "ChestX-ray14 is at https://nihcc.app.box.com/v/ChestXray-NIHCC (open)"
    OPTIONS = {"sets": ["boxed"], "partial_download": False, "infiltration_is_lung_opacity": False}
    FOLDERS = ("tables", "images")
    SUFFIXES = (".png",)

    def needs(self) -> list[Need]:
        """The two tables, the list of the test set where it is asked for, and the folder of images."""
        folder = self.folder("tables")
        wanted = [
            Need(folder / IMAGE_TABLE, "labels and views of the images", self.SOURCE),
            Need(folder / BOX_TABLE, "boxes", self.SOURCE),
        ]
        if "test" in self.option("sets"):
            wanted.append(Need(folder / "test_list.txt", "names of the official test set", self.SOURCE))
        return [*wanted, Need(self.image_root, "images", self.SOURCE)] if self.cohort.images else wanted

    @property
    def image_root(self) -> Path:
        """The folder with images at any depth."""
        return self.folder("images")

    def list_images(self) -> pd.DataFrame:
        """The images of the sets that are taken, with the set of their `findings`."""
        sets = self.choices("sets", SETS)
        boxes = self._boxes()
        listed = self._listed_images()
        unlisted = ~is_among(boxes["image_id"], listed["image_id"])
        self.boxes = self.set_aside(boxes, unlisted, "image_id", "box on an image that the table lacks")
        official = is_among(listed["image_id"], self._official_test(required="test" in sets))
        boxed = is_among(listed["image_id"], self.boxes["image_id"])
        taken = (boxed & ("boxed" in sets)) | (official & ("test" in sets))
        self.not_taken = set(listed.loc[~taken, "image_id"])
        self.notes["images_not_in_the_chosen_sets"] = int((~taken).sum())
        self.notes["boxed_images_in_the_official_test_set"] = int((boxed & official).sum())
        images = listed[taken]
        return images.assign(study_id=images["image_id"], split="test", rows=SIDE, columns=SIDE)

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The identifier is the file's name, in whatever folder."""
        names = pd.Series([key(path).rpartition("/")[2].removesuffix(".png") for path in files], dtype="str")
        candidates = pd.Series(files.paths, dtype="str").groupby(names).agg(list).to_dict()
        there = is_among(images["image_id"], candidates)
        if self.option("partial_download") and there.any():
            self.not_taken |= set(images.loc[~there, "image_id"])
            self.notes["images_not_downloaded"] = int((~there).sum())
            images = images[there]
        return self.match_names(images, candidates, files)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """1 where a finding of the label was mined or boxed, else 0; what a box alone made present is counted."""
        table, contradicted = images[["image_id"]].copy(), 0
        for label in self._known:
            names = self._sources[label]
            mined = images["findings"].map(lambda findings, names=names: not findings.isdisjoint(names)).astype(bool)
            boxed = is_among(images["image_id"], self.boxes.loc[self.boxes["finding"].isin(names), "image_id"])
            table[label] = (mined | boxed).astype("float64")
            contradicted += int((boxed & ~mined).sum())
        if "No Finding" in table:  # what is boxed is a finding
            table.loc[is_among(images["image_id"], self.boxes["image_id"]), "No Finding"] = 0.0
        self.notes["labels_present_by_a_box_alone"] = contradicted
        return table

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The boxes of known labels; those of other labels are counted."""
        names = {finding: label for label, findings in self._sources.items() for finding in findings}
        boxes = self.boxes[~is_among(self.boxes["image_id"], self.not_taken)]
        boxes = boxes.assign(label=boxes["finding"].map(names))
        orphans = ~is_among(boxes["image_id"], images["image_id"])
        boxes = self.set_aside(boxes, orphans, "image_id", "box on an image that was left out")
        requested = boxes["label"].isin(self._known)
        self.notes["boxes_of_other_labels"] = int((~requested).sum())
        return box_rois(boxes[requested], self.rejections)

    @property
    def _sources(self) -> dict[str, list[str]]:
        infiltration = {"Lung Opacity": ["Infiltration"]} if self.option("infiltration_is_lung_opacity") else {}
        return SOURCES | infiltration

    @property
    def _known(self) -> list[str]:
        return [label for label in self.labels if label in self._sources]

    def _table(self, pattern: str, columns: list[str]) -> pd.DataFrame:
        """The last table of that name pattern; where there is none, the error names the shortest of the names."""
        folder = self.folder("tables")
        path = max(tables_like(folder, pattern), default=folder / pattern.replace("*", ""))
        return read_table(path, columns, self.SOURCE)

    def _listed_images(self) -> pd.DataFrame:
        """One row per image: image_id, patient_id, view and the set of its `findings`."""
        table = self._table(IMAGE_TABLE, ["image_index", "finding_labels", "patient_id", "view_position"])
        malformed = ~table["image_index"].str.fullmatch(IMAGE_NAME)
        table = self.set_aside(table, malformed, "image_index", "malformed name of an image in the table of images")
        table = table.assign(image_id=table["image_index"].str.removesuffix(".png"))
        table = self.set_aside(table, table.duplicated("image_id"), "image_id", "second row of an image")
        patient = table["image_id"].str[:8]
        other = pd.to_numeric(table["patient_id"], errors="coerce") != pd.to_numeric(patient)
        table = self.set_aside(table.assign(patient_id=patient), other, "image_id", "patient is not that of its name")
        cells = table["finding_labels"]
        table = table.assign(findings=cells.map({cell: _parse(cell) for cell in cells.unique()}))
        unknown = table["findings"].isna()
        table = self.set_aside(table, unknown, "image_id", "finding that ChestX-ray14 does not know")
        view = table["view_position"].str.upper()
        return table.assign(view=view.where(view.isin(["PA", "AP"]), "frontal"))

    def _boxes(self) -> pd.DataFrame:
        """One row a box: image_id, finding and the corners, as text or numbers."""
        table = self._table(BOX_TABLE, ["image_index", "finding_label", "bbox_[x", "y", "w", "h]"])
        table = table.rename(columns={"bbox_[x": "x0", "y": "y0", "w": "width", "h]": "height"})
        table["finding"] = table["finding_label"].map(lambda text: SPELLINGS.get(snake_case(text)))
        unknown = table["finding"].isna()
        table = self.set_aside(table, unknown, "image_index", "box of a finding that ChestX-ray14 does not know")
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

    def _official_test(self, required: bool) -> set[str]:
        """The images of the official test set; none if its list is not there and not required.

        Raises:
            FileNotFoundError: if the list is required and not there.
            TableFileError: if it is no list of image names.
        """
        path = existing(self.folder("tables") / "test_list.txt")
        if not path.is_file():
            if required:
                raise FileNotFoundError(f"{path}: no such file; {self.SOURCE}")
            return set()
        try:
            names = pd.Series(read_text(path).content.split(), dtype="str")
        except TextError as error:
            raise TableFileError(f"{path}: {error}; download it again: {self.SOURCE}") from error
        if not len(names) or not names.str.fullmatch(IMAGE_NAME).all():
            raise TableFileError(f"{path}: not a list of image names; download it again: {self.SOURCE}")
        return set(names.str.removesuffix(".png"))


def _parse(cell: str) -> frozenset[str] | None:
    """The findings of a cell such as `Effusion|Mass`, None if one of them is not known."""
    names = [SPELLINGS.get(snake_case(name)) for name in cell.split("|")]
    known = frozenset(name for name in names if name is not None)
    return None if None in names else known


DATA_SET = NihChestXray14
