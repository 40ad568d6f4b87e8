"""What is fuzzed: how a case is made and what must hold of its result.

A check returns "" for a case that succeeds, else the class of the documented error that refuses it. It raises `Broken`
where a result is not what it should be; any other exception is a finding too.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd

from mmpkd.cohorts.datasets.mimic_cxr.studies import read_reports
from mmpkd.cohorts.datasets.open_i.reports import ReportError, has_text, read_report
from mmpkd.cohorts.listing import Listing, MissingFilesError, is_data, list_files
from mmpkd.cohorts.paths import TableFileError, read_table
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import MOST_PIXELS, RunLengths
from mmpkd.config.imaging import Breast
from mmpkd.imaging.breast import Framing, framing
from mmpkd.imaging.display import WINDOWS
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.reading import read_display, read_header, read_mask
from mmpkd.privileged.sections import KNOWN_SECTIONS, MISNAMED, SPANS, split_sections
from mmpkd.text import TextError, decode
from tests.fuzz import mutation, seeds
from tests.fuzz.encoder import MODELS, check_encoder, encoder_folders, mutated_folder
from tests.fuzz.promise import reason_class, require

SIZE = 16  # of the store's squares
SIDES = (b"\x28\x00\x10\x00", b"\x28\x00\x11\x00")  # tags of Rows and Columns
SHOWN = 1_000_000  # pixels that are looked at one by one
BREAST = Breast(crop=True, chest_wall="left", remove_labels=True)
STUDIES = (None, "50000000", *MISNAMED, *SPANS)
HEADER_WORD = re.compile(r"[A-Z()/,-]*:?")
ODD_VALUES = (
    None,
    True,
    -1,
    0,
    1,
    1.5,
    float("nan"),
    float("inf"),
    1 << 31,
    1 << 62,
    1 << 70,
    "",
    "6",
    "o" * 40,
    [],
    {},
)


@dataclass(frozen=True)
class Target:
    """One reader. `share` of all cases is its own; `make` draws a case from the corpus, `check` reads it.

    `imports` are modules that a process imports before its first case, whose time would else be that case's.
    """

    name: str
    share: float
    corpus: Callable[[], Sequence]
    make: Callable[[Random, Sequence], Any]
    check: Callable[[Random, Any, Path], str]
    imports: tuple[str, ...] = ()


def case_random(target: str, seed: int, index: int) -> Random:
    """The randomness of one case, from its name alone."""
    return Random(f"{target} {seed} {index}")


# images


def check_dicom(rng: Random, data: bytes, folder: Path) -> str:
    return _check_image(rng, data, folder / "case.dcm")


def check_picture(rng: Random, data: bytes, folder: Path) -> str:
    return _check_image(rng, data, folder / "case.png")


def _check_image(rng: Random, data: bytes, path: Path) -> str:
    """Header, display and store of an image; now and then it is a mask or a mammogram."""
    path.write_bytes(data)
    use, window, view = rng.random(), rng.choice(WINDOWS), rng.choice((0, 1, "normal"))
    header = None
    if rng.random() < 0.4:
        with suppress(UnreadableImage):
            header = read_header(path)
            require(all(isinstance(side, int) and side > 0 for side in header), "a header has rows and columns")
    try:
        if use < 0.02:
            mask = read_mask(path)
            require(mask.dtype == bool and header in (None, mask.shape), "a mask is bool and has the header's shape")
            return ""
        display = read_display(path, window, view, radiograph=use < 0.5)
    except UnreadableImage as error:
        require(str(path) not in str(error), "a reason does not name the file")
        return reason_class(error.reason)
    if all(data.count(tag) < 2 for tag in SIDES):  # else the header ends before the one that counts
        require(header in (None, display.shape), "an image has the header's shape")
    if display.shape[0] * display.shape[1] <= SHOWN:
        shown = display[:]
        require(shown.dtype == np.float32 and shown.shape == display.shape, "an image is float32 of its shape")
        require(shown.min() >= 0 and shown.max() <= 1, "an image is shown within 0 and 1")  # not so if it holds a NaN
    framed = framing(display, BREAST) if use < 0.07 else Framing()
    geometry = Geometry.fit(*display.shape, SIZE, use < 0.7, framed.crop, framed.flip)
    square = geometry.image_to_store(display)
    require(square.dtype == np.uint8 and square.shape == (SIZE, SIZE), "the store takes uint8 squares")
    return ""


# texts


def check_sections(rng: Random, report: str, folder: Path) -> str:
    """Nothing is invented, and nothing is lost but headers."""
    study = rng.choice(STUDIES)
    sections = split_sections(report, study)
    require(all(text and text == " ".join(text.split()) for text in sections.values()), "sections are single-spaced")
    require(list(sections) == list(dict.fromkeys(sections)) and "" not in sections.values(), "sections have a name")
    span = SPANS.get(study)
    if span and "remainder" in sections:
        kept = "".join("".join(sections.values()).split())
        require(kept == "".join(report.split()), "a report that is cut by offsets loses nothing")
        return ""
    words = Counter(" ".join(sections.values()).split())
    given = Counter(report.split())
    if not span:
        require(words <= given, "no word is invented")
        require(all(HEADER_WORD.fullmatch(word) for word in given - words), "no word is lost but those of headers")
    unknown = set(sections) - {*KNOWN_SECTIONS, "remainder"}
    require(all(re.fullmatch(r"[a-z()/,-][a-z ()/,-]*|", name) for name in unknown), "other names are headers")
    return ""


def check_mimic_report(rng: Random, data: bytes, folder: Path) -> str:
    """A report's file, as the adapter reads it beside a whole one."""
    paths = [f"files/p10/p10000001/s5000000{number}.txt" for number in (1, 2)]
    (folder / paths[0]).parent.mkdir(parents=True, exist_ok=True)
    (folder / paths[0]).write_bytes(data)
    (folder / paths[1]).write_text("FINDINGS: whole")
    studies = ["50000001", "50000002"]
    images = pd.DataFrame({"study_id": studies, "patient_id": ["10000001"] * 2, "split": ["train"] * 2})
    rejections = Rejections()
    table = read_reports(folder, Listing(folder, paths), images, rejections, survey=False)
    rejected = rejections.table
    require(len(table) + len(rejected) == 2 and studies[1] in set(table["record_id"]), "reports are kept or set aside")
    require(table["report"].str.strip().ne("").all(), "a report that is kept has text")
    return reason_class(rejected["reason"].iloc[0]) if len(rejected) else ""


def check_xml(rng: Random, data: bytes, folder: Path) -> str:
    path = folder / "1.xml"
    path.write_bytes(data)
    try:
        report = read_report(path)
    except ReportError as error:
        return reason_class(str(error))
    require(re.fullmatch(r"CXR\d+", report.study_id), "a study has an identifier")
    require(all(re.fullmatch(r"CXR\d+_[\w-]+", name) for name, _ in report.images), "images are named by their study")
    require(all(term == " ".join(term.split()) != "" for term in report.terms), "terms have words")
    sections = split_sections(report.text)
    require(not has_text(report) or {"findings", "impression"} & set(sections), "a report with findings shows them")
    return ""


def check_table(rng: Random, data: bytes, folder: Path) -> str:
    path = folder / rng.choice(("table.csv", "table.csv", "table.csv.gz"))
    path.write_bytes(data)
    try:
        table = read_table(path, seeds.TABLE_COLUMNS, "elsewhere", optional=["further"])
    except TableFileError as error:
        return reason_class(str(error).removeprefix(f"{path}: "))
    require({*seeds.TABLE_COLUMNS} <= {*table.columns} <= {*seeds.TABLE_COLUMNS, "further"}, "the columns are there")
    cells = [cell for name in table for cell in table[name]]
    require(all(isinstance(cell, str) and cell == cell.strip() for cell in cells), "cells are stripped text")
    return ""


# run lengths


def make_run_lengths(rng: Random, corpus: Sequence[dict]) -> Any:
    """A mapping with other sides, runs, characters or kinds of value."""
    mask = {key: list(value) if isinstance(value, list) else value for key, value in rng.choice(corpus).items()}
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = rng.choice(("size", "counts", "counts"))
        value = mask.get(key)
        if rng.random() < 0.1:
            mask[key] = rng.choice(ODD_VALUES)
        elif isinstance(value, list) and value:
            value[rng.randrange(len(value))] = rng.choice((*ODD_VALUES, rng.randrange(20), rng.randrange(20)))
        elif isinstance(value, str):
            place = rng.randrange(len(value) + 1)
            value = value[:place] + chr(rng.randrange(44, 116)) * rng.choice((0, 1, 1, 20)) + value[place + 1 :]
            mask[key] = value
        elif key in mask and rng.random() < 0.3:
            del mask[key]
    return mask


def check_run_lengths(rng: Random, mask: Any, folder: Path) -> str:
    try:
        lengths = RunLengths.from_coco(mask)
    except ValueError as error:
        return reason_class(str(error))
    require(1 <= lengths.rows * lengths.columns <= MOST_PIXELS, "a mask has no more pixels than an image")
    if lengths.rows * lengths.columns <= SHOWN:
        drawn = lengths.mask()
        require(drawn.dtype == bool and drawn.shape == (lengths.rows, lengths.columns), "a mask has its size")
        require(drawn.sum() == lengths.area, "a mask has its area")
    return ""


def report_bytes() -> list[bytes]:
    return [text.encode() for text in seeds.report_texts()]


def run_lengths() -> tuple[dict, ...]:
    return seeds.RUN_LENGTHS


def text_bytes() -> list[bytes]:
    """Reports and tables in every encoding that is read."""
    texts = [*seeds.report_texts()[::4], seeds.CSV]
    marked = [text.encode(encoding) for text in texts for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]
    return marked + [text.encode("cp1252", "replace") for text in texts]


def check_text(rng: Random, data: bytes, folder: Path) -> str:
    """A file of text in any encoding."""
    try:
        text = decode(data)
    except TextError as error:
        return reason_class(str(error))
    require("\r" not in text.content, "lines end alike")
    if text.encoding == "utf-8":
        plain = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        require(text.content == plain.replace("\r\n", "\n").replace("\r", "\n"), "UTF-8 is read as it is")
    require(decode(text.content.encode()).content == text.content or "\ufeff" in text.content[:1], "it is read again")
    return ""


def tree_names() -> tuple[str, ...]:
    return (
        "a",
        "b",
        "p10",
        "1-1.dcm",
        "1-1.DCM",
        "._1-1.dcm",
        ".hidden",
        "__MACOSX",
        "x.Dcm",
        "note.txt",
        "é.dcm",
        "@eaDir",
    )


def make_tree(rng: Random, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Up to 25 files, folders and links: kind, path and target, below `root` or beside it."""
    paths = ["root", "disk"]
    made = []
    for _ in range(rng.randrange(1, 25)):
        path = f"{rng.choice(paths)}/{rng.choice(names)}"
        kind = rng.choice(("file", "file", "folder", "folder", "link", "copy"))
        made.append((kind, path, rng.choice([*paths, "/", ".", "..", path, "nowhere"])))
        paths += [path] * (kind in ("folder", "link"))
    return made


def check_listing(rng: Random, made: list[tuple[str, str, str]], folder: Path) -> str:
    """Whatever the tree: each listed file is data, can be read, and lies in a declared folder."""
    base = Path(mkdtemp(dir=folder))
    for kind, path, target in [("folder", "root", ""), ("folder", "disk", ""), *made]:
        place = base / path
        with suppress(OSError):
            if kind == "folder":
                place.mkdir()
            elif kind == "link":
                place.symlink_to(target if target.startswith(("/", ".")) else base / target)
            else:
                place.write_bytes(b"same" if kind == "copy" else path.encode())
    declared = [base / "disk"] if rng.random() < 0.5 else []
    try:
        found = list_files(base / "root", (".dcm",), declared)
        inside = [str(place.resolve()) + "/" for place in (base / "root", *declared)]
        require(found.paths == sorted(set(found.paths)), "sorted, and each once")
        for path in found:
            place = base / "root" / path
            require(place.is_file() and path.lower().endswith(".dcm"), "a file of the suffix")
            require(all(is_data(part) for part in path.split("/")), "nothing hidden")
            require(f"{place.resolve()}/".startswith(tuple(inside)), "in a declared folder")
        plain = {str(place.relative_to(base / "root")) for place in (base / "root").rglob("*.dcm") if place.is_file()}
        seen = {path for path in plain if all(map(is_data, path.split("/")))}
        links = [place for place in (base / "root").rglob("*") if place.is_symlink()]
        require(links or seen <= set(found.paths), "without links nothing is passed over")
        wanted = pd.Series([path[:-4] + ".dcm" for path in found], dtype="str")
        require((found.locate(wanted) != "").all(), "a suffix of another case is found")
    except MissingFilesError as error:
        return reason_class(str(error))
    finally:
        rmtree(base, ignore_errors=True)
    return "" if len(found) else "no file"


TARGETS = {
    target.name: target
    for target in (
        Target("dicom", 0.25, seeds.dicom_files, mutation.mutated_dicom, check_dicom),
        Target("picture", 0.02, seeds.pictures, mutation.mutated_bytes, check_picture),
        Target("sections", 0.394, seeds.report_texts, mutation.mutated_text, check_sections),
        Target("run_lengths", 0.2, run_lengths, make_run_lengths, check_run_lengths),
        Target("xml", 0.069, seeds.xml_reports, mutation.mutated_bytes, check_xml),
        Target("table", 0.01, seeds.csv_files, mutation.mutated_bytes, check_table),
        Target("mimic_report", 0.001, report_bytes, mutation.mutated_bytes, check_mimic_report),
        Target("text", 0.05, text_bytes, mutation.mutated_bytes, check_text),
        Target("listing", 0.005, tree_names, make_tree, check_listing),
        Target("encoder", 0.001, encoder_folders, mutated_folder, check_encoder, MODELS),
    )
}
