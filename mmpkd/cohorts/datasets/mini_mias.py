"""mini-MIAS: 322 digitised film mammograms with circles around abnormalities, open to all, to train with tables.

Access: http://peipa.essex.ac.uk/info/mias.html (mini-MIAS, 0.1 GB). https://www.repository.cam.ac.uk/handle/1810/250394
    (MIAS) has the films at full resolution under other names.
Licence: its own, `Licence.txt`: for research, to be cited, not to be sold. The Cambridge repository has MIAS under
    CC BY 2.0 UK.
Citation: Suckling et al., "The Mammographic Image Analysis Society Digital Mammogram Database", Excerpta Medica,
    International Congress Series 1069:375-378 (1994).

Layout below root:
    Info.txt                        the table, below a text that explains it                        (folder `tables`)
    mdb001.pgm ... mdb322.pgm       1024 x 1024 pixels of 8 bits, at any depth                      (folder `images`)

Yields a row per film, a circle per abnormality as a polygon, and a privileged record per film: the tissue (F fatty, G
fatty-glandular, D dense-glandular) and the classes of its abnormalities (CALC, CIRC, SPIC, MISC, ARCH, ASYM; NORM for
none), joined by hyphens. Severity is the label `malignant` and no part of a record. Labels: malignant, abnormal, mass
(CIRC, SPIC, MISC) and calcification (CALC). A circle counts for each label that its abnormality has. All but
`malignant` follow from the record, so that a teacher knows them for certain.

Films 2k - 1 and 2k are the right and the left breast of patient k, both in the oblique view.

Split: none is published. Patients go to test, validate or train by a hash of the identifier.

Options:
    test_share, validation_share: shares of the patients.

Traps: the origin of the circles is the bottom left corner. Whether rows count from 0 or 1 is not said: a centre is the
middle of a pixel counted from 0 here, which is right to one pixel (0.2 mm). Four abnormalities have no circle, three of
them because calcifications are spread over the film (`*NOTE 3*`): their labels count, and they have no ROI. Seven films
have several rows; one of them, mdb144, is benign and malignant. Films show letters, labels and tape beside the breast,
which `domains.<domain>.breast` can remove. Another copy of the table lists mdb212 and mdb214 as normal.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.listing import Listing, key
from mmpkd.cohorts.paths import TableFileError, existing
from mmpkd.cohorts.tables import ROI_COLUMNS
from mmpkd.text import TextError, read_text

SIDE = 1024  # pixels of every film
TABLE = "Info.txt"
FILM = re.compile(r"mdb\d{3}")
TISSUES, SEVERITIES = ("F", "G", "D"), ("B", "M")
NORMAL = "NORM"
MASSES = ("CIRC", "SPIC", "MISC")
CLASSES = (NORMAL, *MASSES, "CALC", "ARCH", "ASYM")
LABELS = ("malignant", "abnormal", "mass", "calcification")
CORNERS = 64  # of the polygon that a circle becomes: 0.2 % smaller


class MiniMias(DataSet):
    """mini-MIAS below the cohort's root; its labels are `LABELS`."""

    RESTRICTED = False
    SOURCE = "mini-MIAS is at http://peipa.essex.ac.uk/info/mias.html (open)"
    OPTIONS = {"test_share": 0.2, "validation_share": 0.1}
    FOLDERS = ("tables", "images")
    SUFFIXES = (".pgm",)
    KEY_NAME = "image_id"

    def needs(self) -> list[Need]:
        """The table and the folder of films."""
        wanted = [Need(self.folder("tables") / TABLE, "films and their abnormalities", self.SOURCE)]
        return [*wanted, Need(self.image_root, "films", self.SOURCE)] if self.cohort.images else wanted

    @property
    def image_root(self) -> Path:
        """The folder with films at any depth."""
        return self.folder("images")

    def list_images(self) -> pd.DataFrame:
        """The films of the table, with their tissue; `self.found` has a row per abnormality."""
        rows = self._rows()
        films = rows.drop_duplicates("image_id")
        self.found = rows[rows["class"] != NORMAL]
        number = films["image_id"].str[3:].astype(int)
        patient = ((number + 1) // 2).map("patient{:03d}".format)
        films = films.assign(
            patient_id=patient,
            study_id=patient,
            view="MLO",
            laterality=(number % 2).map({1: "RIGHT", 0: "LEFT"}),
            rows=SIDE,
            columns=SIDE,
        )
        return films.assign(split=self.split_by_hash(films["patient_id"]))

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The identifier is the file's name, in whatever folder."""
        names = pd.Series([key(path).rpartition("/")[2].removesuffix(".pgm") for path in files], dtype="str")
        candidates = pd.Series(files.paths, dtype="str").groupby(names).agg(list).to_dict()
        self.notes["films_without_a_row"] = len(set(candidates) - set(images["image_id"]))
        return self.match_names(images, candidates, files)

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """1 where any abnormality of the film has the label, else 0."""
        table = images[["image_id"]].copy()
        for label in self._known:
            having = self.found.loc[_has(self.found, label), "image_id"]
            table[label] = images["image_id"].isin(having).astype("float64")
        return table

    def roi_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """A polygon per circle and label."""
        found = self.found[self.found["image_id"].isin(images["image_id"])]
        silent = found["circle"].str.startswith("*") | (found["circle"] == "")
        self.notes["abnormalities_without_a_circle"] = int(silent.sum())
        found = found[~silent].assign(polygon=found["circle"].map(_polygon))
        wrong = found["polygon"] == ""
        found = self.set_aside(found, wrong, "image_id", f"circle in {TABLE} is not x, y and a positive radius")
        rois = pd.concat([found[_has(found, label)].assign(label=label) for label in self._known] or [found[:0]])
        number = rois.groupby("image_id").cumcount().add(1).astype(str)
        empty = {"x0": None, "y0": None, "x1": None, "y1": None, "mask_path": ""}
        return rois.assign(roi_id=rois["image_id"] + "_" + number, kind="polygon", **empty).reindex(columns=ROI_COLUMNS)

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """A record per film. Sides stay out: `describe_case` would compare descriptors that these records lack."""
        classes = self.found.groupby("image_id")["class"].agg(lambda names: "-".join(sorted(set(names))))
        records = images[["image_id", "patient_id", "split", "tissue"]].rename(columns={"image_id": "record_id"})
        abnormality = records["record_id"].map(classes).fillna(NORMAL)
        return records.assign(key=records["record_id"], abnormality=abnormality)

    @property
    def _known(self) -> list[str]:
        return [label for label in self.labels if label in LABELS]

    def _rows(self) -> pd.DataFrame:
        """One row per abnormality or normal film: image_id, tissue, class, severity, and the circle as text.

        Raises:
            FileNotFoundError: the table is not there.
            TableFileError: it is no text, or no line of it begins with the name of a film.
        """
        path = existing(self.folder("tables") / TABLE)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; {self.SOURCE}")
        try:
            lines = [line.split(maxsplit=4) for line in read_text(path).content.splitlines()]
        except TextError as error:
            raise TableFileError(f"{path}: {error}; download it again: {self.SOURCE}") from error
        lines = [(line + [""] * 5)[:5] for line in lines if line and FILM.fullmatch(line[0])]
        if not lines:
            raise TableFileError(f"{path}: no line begins with a film such as mdb001; download it again: {self.SOURCE}")
        rows = pd.DataFrame(lines, columns=["image_id", "tissue", "class", "severity", "circle"], dtype="str")
        rows["circle"] = rows["circle"].str.strip()
        severe = rows["severity"].isin(SEVERITIES) == (rows["class"] != NORMAL)
        known = rows["tissue"].isin(TISSUES) & rows["class"].isin(CLASSES) & severe
        known = known.groupby(rows["image_id"]).transform("all")  # or the film's labels would lack one
        reason = f"film with a row of {TABLE} whose tissue, class or severity is unknown"
        return self.set_aside(rows, ~known, "image_id", reason)


def _has(found: pd.DataFrame, label: str) -> pd.Series:
    """Which abnormalities have a label."""
    if label == "malignant":
        return found["severity"] == "M"
    classes = {"abnormal": CLASSES, "mass": MASSES, "calcification": ("CALC",)}
    return found["class"].isin(classes[label])


def _polygon(circle: str) -> str:
    """The circle `x y radius`, counted from the bottom left pixel, as JSON; "" if it is none."""
    try:
        x, y, radius = (int(word) for word in circle.split())
    except ValueError:
        return ""
    if radius <= 0:
        return ""
    angles = np.arange(CORNERS) * 2 * np.pi / CORNERS
    points = np.stack([x + 0.5 + radius * np.cos(angles), SIDE - 0.5 - y + radius * np.sin(angles)], axis=1)
    return json.dumps(points.round(2).tolist())


DATA_SET = MiniMias
