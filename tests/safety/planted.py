"""What must stay secret, planted in every file of a fabricated download; and the search for it in what was written."""

import base64
import gzip
import re
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword

NAME = "Zebulon^Quagmire"
SENTENCE = "Mr. Zebulon Quagmire fell off his penny-farthing."
WORDS = ("Zebulon", "Quagmire", "penny-farthing", "ZQ-4711")


def break_window(dataset: Dataset) -> None:
    """Puts the name where a number is expected, so that pydicom quotes it in its error."""
    for keyword in ("WindowCenter", "WindowWidth"):
        dataset.pop(keyword, None)
        dataset.add_new(tag_for_keyword(keyword), "LO", NAME)


def plant(tree: Path) -> None:
    """Gives every file of a MIMIC-CXR tree a secret, and breaks some so that messages may show it."""
    plant_images(sorted((tree / "files").rglob("*.dcm")))
    reports = sorted((tree / "files").rglob("*.txt"))
    for index, path in enumerate(reports):
        path.write_text(path.read_text() + f"\n {SENTENCE}\n")
        if index % 10 == 1:
            path.write_bytes(f"%PDF-1.4 FINDINGS: {SENTENCE}\n".encode())
        elif index % 10 == 2:
            path.unlink()
            path.mkdir()
    plant_cell(tree / "mimic-cxr-2.0.0-chexpert.csv.gz", "Atelectasis", 3)
    plant_cell(tree / "mimic-cxr-2.0.0-metadata.csv.gz", "ViewPosition", 5)
    plant_cell(tree / "mimic-cxr-2.0.0-metadata.csv.gz", "PerformedProcedureStepDescription", slice(None))


def plant_images(images: Iterable[Path]) -> None:
    """Names the patient in the header of each DICOM file; of twelve, one each is broken in four ways."""
    for index, path in enumerate(images):
        try:
            dataset = dcmread(path)
        except Exception:  # the phantom's own truncated file
            continue
        dataset.PatientName, dataset.PatientID = NAME, "ZQ-4711"
        if index % 12 == 1:
            break_window(dataset)
        dataset.save_as(path)
        if index % 12 == 2:
            path.write_bytes(NAME.encode() * 40)
        elif index % 12 == 3:
            path.write_bytes(path.read_bytes()[:-200])
        elif index % 12 == 4:
            path.unlink()
            path.mkdir()


def plant_cell(path: Path, column: str, rows: int | slice) -> None:
    """Puts the name into a column of a packed table."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[rows, column] = NAME
    path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))


def identifiers(table: Path, *columns: str) -> set[str]:
    """Every identifier in the columns of a table."""
    values = pd.read_csv(table, dtype=str)
    found = {value for column in columns for value in values[column]}
    assert len(found) > 10 and min(map(len, found)) >= 8
    return found


def secrets_in(text: str, secrets: set[str]) -> list[str]:
    """The secrets that stand in `text`, in capitals or not; a number only as a whole one, for digits are everywhere."""
    text = text.lower()
    numbers = set(re.findall(r"(?<![\da-f.])\d+(?![\da-f])", text))
    return sorted(secret for secret in secrets if (secret in numbers if secret.isdigit() else secret.lower() in text))


def readable(path: Path) -> str:
    """All the text that somebody with tools could find in a file: packed, drawn or in its metadata."""
    content = path.read_bytes()
    text = content.decode("latin-1")
    if path.suffix == ".pdf":
        text += _of_pdf(content)
    elif path.suffix == ".png":
        text += _of_picture(content)
    elif path.suffix == ".html":
        for payload in re.findall(r"[A-Za-z0-9+/]{64,}={0,2}", text):
            text += _of_picture(base64.b64decode(payload + "=" * (-len(payload) % 4)))
    return text


def _of_pdf(content: bytes) -> str:
    """Its streams unpacked, and the words that it draws, letter by letter and with two bytes each."""
    text = ""
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        try:
            text += zlib.decompressobj().decompress(stream).decode("latin-1") + "\n"
        except zlib.error:  # not packed: it was searched as it is
            continue
    lines = re.findall(r"\[([^\]]*)\]\s*TJ|(\([^)]*\))\s*Tj", text)
    drawn = ["".join(re.findall(r"\(([^)]*)\)", "".join(line))).replace("\0", "") for line in lines]
    return "\n".join([text, *drawn])


def _of_picture(content: bytes) -> str:
    """The bytes as they are, and what the chunks of a PNG file say beside the pixels."""
    text = content.decode("latin-1")
    if content.startswith(b"\x89PNG"):
        with Image.open(BytesIO(content)) as picture:
            picture.load()
            text += "\n".join(f"{key}: {value}" for key, value in picture.info.items())
    return text
