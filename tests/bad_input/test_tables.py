"""Broken tables and files of a download: a copy of a phantom tree is broken in one place, and read by its adapter."""

import csv
import gzip
import shutil
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import pytest
import yaml

from mmpkd.cli import main
from mmpkd.cohorts.rejections import refuse_too_many
from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.phantom.write import write_tree
from tests import cohorts
from tests.bad_input.catalogue import Outcome, accepted, hold, over, set_aside, stops

CHEST = ["Atelectasis", "Consolidation", "Pneumothorax"]
BREAST = ["malignant", "mass", "calcification"]
SPLIT, METADATA, CHEXPERT = (f"mimic-cxr-2.0.0-{name}.csv.gz" for name in ("split", "metadata", "chexpert"))
BOXES = "ms-cxr/MS_CXR_Local_Alignment_v1.1.0.csv"
MASSES = "mass_case_description_train_set.csv"
READINGS = "annotations/image_labels_test.csv"
HTML = b"<!DOCTYPE html>\n<html><body><h1>403 Forbidden</h1></body></html>\n"


@dataclass(frozen=True)
class Tree:
    """A whole tree, and what its adapter makes of it."""

    adapter: str
    labels: list[str]
    root: Path
    images: int
    rejected: tuple[str, ...]


def read(adapter, labels, root, limit=0.5, **choices):
    """As the rule `cohort` reads it, with its limit of rejected records."""
    cohort = Cohort(adapter=adapter, root=root, rejected_limit=limit, **choices)
    tables = cohorts.read(cohort, labels)
    refuse_too_many(tables.rejected["reason"], tables.kept, cohort.rejected_limit)
    return tables


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    made = {}
    for adapter, labels, patients in (("mimic_cxr", CHEST, 12), ("cbis_ddsm", BREAST, 8), ("vindr_cxr", CHEST, 10)):
        root = tmp_path_factory.mktemp(adapter)
        write_tree(adapter, Phantom(patients=patients, seed=1), root)
        tables = read(adapter, labels, root)
        made[adapter] = Tree(adapter, labels, root, len(tables.images), tuple(tables.rejected["reason"]))
    return made


# What breaks a file of the tree.


def content(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def rewrite(path, data):
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def changed(name, change):
    """The whole text of a table goes through `change`, as bytes."""
    return lambda root: rewrite(root / name, change(content(root / name)))


def raw(name, data):
    """The file itself, packed or not, becomes `data` (or what `data` makes of it)."""
    return lambda root: (root / name).write_bytes(data((root / name).read_bytes()) if callable(data) else data)


def replaced(name, old, new, count=-1):
    """Text of a table is replaced; it must be there."""

    def change(data):
        assert old.encode() in data, f"{name} holds no {old}"
        return data.replace(old.encode(), new.encode(), count)

    return changed(name, change)


def rows_changed(name, change):
    """The rows of a table, each a list of cells, go through `change`; the first is the header."""

    def breaks(data):
        text = StringIO(newline="")
        rows = list(csv.reader(StringIO(data.decode(), newline="")))
        csv.writer(text, lineterminator="\n").writerows(change(rows))
        return text.getvalue().encode()

    return changed(name, breaks)


def cell(name, column, value, row=0):
    """One cell of a table becomes `value`."""

    def change(rows):
        rows[1 + row][rows[0].index(column)] = value
        return rows

    return rows_changed(name, change)


def column(name, title, value):
    """Each cell of a column becomes `value`."""

    def change(rows):
        place = rows[0].index(title)
        return [rows[0], *([*row[:place], value, *row[place + 1 :]] for row in rows[1:])]

    return rows_changed(name, change)


def first_row_twice(name):
    return rows_changed(name, lambda rows: [*rows[:2], *rows[1:]])


def header_only(data):
    return data.splitlines()[0] + b"\n"


def without(name):
    return lambda root: (root / name).unlink()


def a_folder_instead(name):
    def breaks(root):
        (root / name).unlink()
        (root / name).mkdir()

    return breaks


def first(root, pattern):
    return next(path for path in sorted(root.rglob(pattern)) if path.is_file())


def file_gone(pattern, share=None):
    """The first file of a pattern is deleted, or a share of them."""

    def breaks(root):
        files = sorted(path for path in root.rglob(pattern) if path.is_file())
        for path in files[: 1 if share is None else round(share * len(files))]:
            path.unlink()

    return breaks


def report(data):
    """The first report of the tree becomes `data`."""
    return lambda root: first(root, "s*.txt").write_bytes(data)


def same(tables, tree):
    """Nothing was lost: as many images as the whole tree has."""
    return len(tables.images) == tree.images


def one_class(tables, tree):
    known = tables.labels[tables.images["split"] == "train"]
    return same(tables, tree) and bool((known[CHEST] == 0).all(axis=None))


def long_report(tables, _):
    return tables.privileged["report"].str.len().max() > 1_000_000


def reversed_columns(data):
    return b"\n".join(b",".join(line.split(b",")[::-1]) for line in data.splitlines())


def broken_coco(root):
    (root / "ms-cxr" / "MS_CXR_Local_Alignment_v9.json").write_text("{")


UNREADABLE = "not a readable CSV file"
MIMIC_CXR = [
    stops("table missing", without(SPLIT), SPLIT, "no such file", "physionet"),
    stops("folder in place of a table", a_folder_instead(SPLIT), SPLIT, "no such file"),
    stops("column missing", replaced(SPLIT, ",split", ",part"), SPLIT, "column(s) split missing"),
    stops("column of a label missing", replaced(CHEXPERT, "Atelectasis", "X"), CHEXPERT, "atelectasis missing"),
    stops("column twice", replaced(SPLIT, "subject_id", "Study ID"), SPLIT, "subject_id missing"),
    stops("wrong separator", replaced(SPLIT, ",", ";"), SPLIT, "missing", "another version"),
    stops("zero bytes", raw(SPLIT, b""), SPLIT, UNREADABLE),
    stops("zero bytes, packed", changed(SPLIT, lambda _: b""), SPLIT, UNREADABLE),
    stops("header alone", changed(SPLIT, header_only), "no record is left"),
    stops("HTML error page", raw(SPLIT, HTML), SPLIT, UNREADABLE, "download it again"),
    stops("HTML error page, packed", changed(SPLIT, lambda _: HTML), SPLIT, "missing", "another version"),
    stops("truncated download", raw(SPLIT, lambda data: data[: len(data) // 2]), SPLIT, UNREADABLE),
    stops("quotation that never ends", replaced(METADATA, "CHEST", '"CHEST', 1), METADATA, UNREADABLE),
    stops("all rejected", column(METADATA, "ViewPosition", "LATERAL"), "no record is left", "view LATERAL"),
    stops("wrong name of a split everywhere", column(SPLIT, "split", "val"), "no record is left", "split table"),
    stops("no image at all", file_gone("*.dcm", 1.0), "holds none of the", "images"),
    stops("most images missing", file_gone("*.dcm", 0.85), "rejected_limit", "0.5", "x image file is missing"),
    stops("no report at all", file_gone("s*.txt", 1.0), "holds no report"),
    stops("boxes of zero bytes", raw(BOXES, b""), BOXES, UNREADABLE),
    stops("boxes in JSON that is none", broken_coco, "v9.json", "not the COCO file", "download it again"),
    set_aside("duplicate id", first_row_twice(SPLIT), "second row of an image in the split table"),
    set_aside("wrong name of a split", cell(SPLIT, "split", "val", row=1), "malformed identifier or split"),
    set_aside("empty identifier", cell(SPLIT, "dicom_id", "", row=1), "malformed identifier or split"),
    set_aside("identifier that climbs", cell(SPLIT, "dicom_id", "../../x", row=1), "malformed identifier or split"),
    set_aside("short row", cell(SPLIT, "split", "", row=1), "malformed identifier or split"),
    set_aside("report empty", report(b""), "report is empty"),
    set_aside("report binary", report(bytes(range(128, 256)) * 9), "report cannot be read"),
    set_aside("report missing", file_gone("s*.txt"), "report is missing"),
    set_aside("box of no number", cell(BOXES, "x", "left"), "box whose corners are not numbers"),
    set_aside("box of zero area", cell(BOXES, "w", "0"), "box without area inside its image"),
    set_aside("box outside", cell(BOXES, "x", "99999"), "box without area inside its image"),
    set_aside("box of an unknown label", cell(BOXES, "category_name", "Bones"), "no CheXpert label"),
    set_aside("box for an image of another size", cell(BOXES, "image_width", "7"), "an image of another size"),
    accepted("byte-order mark", changed(SPLIT, lambda data: b"\xef\xbb\xbf" + data), same),
    accepted("Latin-1", changed(METADATA, lambda data: data.replace(b"CHEST", b"T\xf3rax")), same),
    accepted("UTF-16", changed(SPLIT, lambda data: data.decode().encode("utf-16")), same),
    accepted("CRLF", replaced(SPLIT, "\n", "\r\n"), same),
    accepted("CR alone", replaced(SPLIT, "\n", "\r"), same),
    accepted("blank lines", replaced(SPLIT, "\n", "\n\n"), same),
    accepted("other case and blanks in names", replaced(SPLIT, "study_id", " Study ID "), same),
    accepted("columns in another order", changed(SPLIT, reversed_columns), same),
    accepted("one class only", replaced(CHEXPERT, "1.0", "0.0"), one_class),
    accepted("absurd size in a table", cell(METADATA, "Rows", "1e30", row=1), same),
    accepted("infinite size in a table", cell(METADATA, "Rows", "inf", row=1), same),
    accepted("size that is a word", cell(METADATA, "Rows", "many", row=1), same),
    accepted("report of 1 MB", report(b"clear lungs " * 90_000), long_report),
]
CBIS_DDSM = [
    stops("table missing", without(MASSES), MASSES, "no such file", "cancerimagingarchive"),
    stops("column missing", replaced(MASSES, "pathology", "outcome"), MASSES, "pathology missing"),
    stops(
        "no pathology anywhere",
        lambda root: [column(t.name, "pathology", "?")(root) for t in root.glob("*.csv")],
        "no record is left",
        "pathology is missing",
    ),
    set_aside("unknown pathology", cell(MASSES, "pathology", "UNSURE"), "pathology is missing or not known"),
    set_aside("absolute path", cell(MASSES, "image file path", "/etc/passwd"), "does not stay below"),
    set_aside("path that climbs", cell(MASSES, "image file path", "../../x.dcm"), "does not stay below"),
    set_aside("path of another patient", cell(MASSES, "patient_id", "P_99999"), "another patient, breast or view"),
    set_aside("duplicate lesion", first_row_twice(MASSES), "second row of a lesion"),
    accepted("CRLF", replaced(MASSES, "\n", "\r\n"), same),
    accepted("byte-order mark", changed(MASSES, lambda data: b"\xef\xbb\xbf" + data), same),
    accepted("score off its scale", cell(MASSES, "assessment", "77"), same),
]
VINDR_CXR = [
    stops("zero bytes", raw(READINGS, b""), READINGS, UNREADABLE),
    stops("column missing", replaced(READINGS, "Atelectasis", "X"), READINGS, "atelectasis missing"),
    stops("all labels words", column(READINGS, "Atelectasis", "yes"), "no record is left", "is neither 0 nor 1"),
    stops("images missing", file_gone("*.dicom", 1.0), "holds none of the"),
    set_aside("label that is 2", cell(READINGS, "Pneumothorax", "2", row=1), "is neither 0 nor 1", count=1),
    set_aside("malformed identifier", cell(READINGS, "image_id", "a/b", row=1), "malformed identifier"),
    accepted("CRLF", replaced(READINGS, "\n", "\r\n"), same),
]
CHOICES = [
    stops("unknown option", {"options": {"uncertian": "ones"}}, "unknown options: uncertian", "known are"),
    stops("option of a wrong type", {"options": {"reports": "yes"}}, "options.reports", "like its default"),
    stops("unknown policy", {"options": {"uncertain": "maybe"}}, "options.uncertain", "known are ones, zeros, ignore"),
    stops("unknown folder", {"folders": {"labels": "x"}}, "unknown folders: labels", "known are tables"),
    stops("folder without tables", {"folders": {"tables": "/nonexistent"}}, "no such file", "physionet"),
    stops("limit of zero", {"limit": 0.0, "share": 0.2}, "more than the share of 0", "image file is missing"),
]


def identifiers(root):
    """The names of patients, studies and images, which no message tells."""
    names = [part for path in root.rglob("*.dcm") for part in path.relative_to(root / "files").with_suffix("").parts]
    return frozenset(name.lstrip("ps") for name in names if len(name) > 4)


def broken_copy(tree, case, folder):
    root = folder / "tree"
    shutil.copytree(tree.root, root)
    case.breaks(root)
    return root


def outcome(tree, root, **choices):
    tables = read(tree.adapter, tree.labels, root, **choices)
    further = list(tables.rejected["reason"])
    for reason in tree.rejected:  # what the phantom's own dirt leaves out
        further.remove(reason)
    return Outcome((tables, tree), tuple(further))


def hold_tables(case, tree, folder, secrets=frozenset()):
    root = broken_copy(tree, case, folder)
    check = case.check and (lambda result: case.check(*result))
    hold(replace(case, check=check), lambda: outcome(tree, root), secrets)


@over(MIMIC_CXR)
def test_mimic_cxr(case, trees, tmp_path):
    tree = trees["mimic_cxr"]
    hold_tables(case, tree, tmp_path, identifiers(tree.root))


@over(CBIS_DDSM)
def test_cbis_ddsm(case, trees, tmp_path):
    hold_tables(case, trees["cbis_ddsm"], tmp_path)


@over(VINDR_CXR)
def test_vindr_cxr(case, trees, tmp_path):
    hold_tables(case, trees["vindr_cxr"], tmp_path)


@over(CHOICES)
def test_choices(case, trees, tmp_path):
    tree, choices = trees["mimic_cxr"], dict(case.breaks)
    share = choices.pop("share", 0)
    root = broken_copy(tree, replace(case, breaks=file_gone("*.dcm", share)), tmp_path)
    hold(case, lambda: outcome(tree, root, **choices))


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (file_gone("*.dcm", 0.85), ["rejected_limit", "x image file is missing"]),
        (replaced(CHEXPERT, "1.0", "0.0"), ["no image of mimic_cxr in train has"]),
        (raw(SPLIT, HTML), [SPLIT, UNREADABLE]),
    ],
    ids=["most images missing", "one class only", "HTML error page"],
)
def test_the_check_says_so_before_the_run_and_ends_with_code_1(breaks, words, trees, tmp_path, capsys):
    root = tmp_path / "tree"
    shutil.copytree(trees["mimic_cxr"].root, root)
    breaks(root)
    overlay = tmp_path / "overlay.yaml"
    cohort = {"phantom": None, "root": str(root), "restricted": True, "options": {"expert_test_labels": False}}
    overlay.write_text(yaml.safe_dump({"cohorts": {"mimic_cxr": cohort}}))
    assert main(["check", str(overlay)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert [word for word in words if word not in told] == []
