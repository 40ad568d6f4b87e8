"""A fabricated MIMIC-CXR tree of any size, to measure how a catalogue of it grows; there is nothing to learn from it.

Names, folders, tables and proportions are those of the data set: 227,835 studies and 65,379 patients to 377,110 images,
one image in three lateral, and a box of MS-CXR on one in 360. All DICOM files are names (hard links) of a few files of
16 x 16 pixels, and so are all reports, so that 377,110 images take about 1 GB, nearly all of it folders.
"""

import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmpkd.cohorts.label_policy import CHEXPERT_LABELS
from mmpkd.phantom.mimic_cxr_tree import METADATA_COLUMNS, MS_CXR_COLUMNS
from mmpkd.phantom.write import stable_uid, write_dicom

IMAGES, STUDIES, PATIENTS = 377_110, 227_835, 65_379  # of MIMIC-CXR
BOX_EVERY = 360
SIDE = 16  # pixels of an image
LINKS = 30_000  # names of one file; ext4 allows 65,000
VIEWS = ("PA", "AP", "LATERAL")
REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  Fabricated for a benchmark of file handling.

 FINDINGS:  This report has the length of a usual one, and says nothing of a patient. The number of its characters is
 what counts here, for the catalogue holds the text of every report while it is made. Sections begin as they do in the
 data set: with one space, their name in capitals, and a colon. Further words follow to fill the space that findings of
 lung, pleura, heart, mediastinum and bones would take in a report of some six hundred characters.

 IMPRESSION:  No statement is made.
"""


def write_tree(images: int, folder: Path) -> None:
    """Writes a tree of so many images to `folder`, which must not hold one yet."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(images)
    study = [number * STUDIES // IMAGES for number in numbers]
    patient = [number * PATIENTS // STUDIES for number in study]
    identifiers = [_identifier(number) for number in numbers]
    subjects = [_subject(number, patient[-1] + 1) for number in patient]
    studies = [50_000_000 + number for number in study]
    _write_files(folder, identifiers, studies, subjects)
    keys = list(zip(identifiers, subjects, studies, strict=True))
    split = ((i, s, p, _split(n)) for (i, p, s), n in zip(keys, patient, strict=True))
    _write_table(folder / "mimic-cxr-2.0.0-split.csv.gz", ["dicom_id", "study_id", "subject_id", "split"], split)
    metadata = ((*key, *_details(number)) for number, key in enumerate(keys))
    _write_table(folder / "mimic-cxr-2.0.0-metadata.csv.gz", METADATA_COLUMNS, metadata)
    by_study = {study_id: subject for _, subject, study_id in keys}
    _write_table(
        folder / "mimic-cxr-2.0.0-chexpert.csv.gz", ["subject_id", "study_id", *CHEXPERT_LABELS], _labels(by_study)
    )
    boxes = (_box(*keys[number]) for number in numbers[1::BOX_EVERY])  # numbers of frontal images with a stated view
    (folder / "ms-cxr").mkdir()
    _write_table(folder / "ms-cxr/MS_CXR_Local_Alignment_v1.1.0.csv", MS_CXR_COLUMNS, boxes)


def _identifier(number: int) -> str:
    """Five groups of eight hexadecimal digits, in no order; the odd factor keeps them apart."""
    return f"{number * 2_654_435_761 % 2**32:08x}-0a1b2c3d-4e5f6071-8293a4b5-c6d7e8f9"


def _subject(number: int, patients: int) -> int:
    """Spread over the ten folders p10 to p19."""
    return 10_000_000 + number * (9_999_999 // patients)


def _split(patient: int) -> str:
    return {1: "validate", 2: "test"}.get(patient % 100, "train")


def _folder(subject: int, study: int) -> str:
    return f"files/p{subject // 1_000_000}/p{subject}/s{study}"


def _details(number: int) -> tuple:
    """The columns of the metadata table after the three identifiers; one view in 24 is not stated."""
    view = "" if number % 24 == 0 else VIEWS[number % 3]
    procedure = "CHEST (PA AND LAT)"
    return (procedure, view, SIDE, SIDE, 21_500_101, 93_000.0, procedure, "", "Erect")


def _box(identifier: str, subject: int, study: int) -> tuple:
    path = f"{_folder(subject, study)}/{identifier}.jpg"
    return (identifier, "Cardiomegaly", "fabricated", path, 2, 2, 8, 8, SIDE, SIDE, "test")


def _labels(subject_of: dict[int, int]) -> Iterator[tuple]:
    """A row per study, with the cells of CheXpert: present, absent, uncertain or mostly blank."""
    rng = np.random.default_rng(0)
    size = (len(subject_of), len(CHEXPERT_LABELS))
    cells = rng.choice(["1.0", "0.0", "-1.0", ""], size=size, p=[0.2, 0.1, 0.05, 0.65])
    for (study, subject), row in zip(subject_of.items(), cells, strict=True):
        yield (subject, study, *row)


def _write_files(folder: Path, identifiers: list[str], studies: list[int], subjects: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
    elements = {"SOPInstanceUID": stable_uid("scale"), "PatientID": "0"}
    last = None
    for number, (identifier, study, subject) in enumerate(zip(identifiers, studies, subjects, strict=True)):
        if number % LINKS == 0:
            image, report = folder / f"image{number}.bin", folder / f"report{number}.bin"
            write_dicom(
                image,
                pixels,
                modality="DX",
                photometric="MONOCHROME2",
                bits_stored=12,
                transfer_syntax="explicit",
                elements=elements,
            )
            report.write_text(REPORT, encoding="utf-8")
        place = f"{folder}/{_folder(subject, study)}"
        if study != last:
            os.makedirs(place)
            os.link(report, f"{place}.txt")
            last = study
        os.link(image, f"{place}/{identifier}.dcm")


def _write_table(path: Path, columns: list[str], rows: Iterator[tuple]) -> None:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
