"""Files below a root: nothing outside it is listed or named, and a column of paths is judged as each of them is."""

import logging
import os
from pathlib import Path

import pandas as pd
import pytest

from mmpkd.cohorts import listing, paths
from mmpkd.cohorts.listing import distinct, list_files
from mmpkd.cohorts.paths import existing, relative_below_all


@pytest.fixture
def root(tmp_path) -> Path:
    """A root with links of every kind, beside a folder that is none of its business."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "secret.dcm").touch()
    (root / "sub" / "Deeper").mkdir(parents=True)
    for name in ("sub/own.DCM", "sub/Deeper/b.dcm", "sub/note.txt", "plain.dcm"):
        (root / name).touch()
    (root / "out.dcm").symlink_to(outside / "deep" / "secret.dcm")
    (root / "in.dcm").symlink_to("sub/own.DCM")
    (root / "gone.dcm").symlink_to("sub/nowhere.dcm")
    (root / "loop.dcm").symlink_to("loop.dcm")
    (root / "elsewhere").symlink_to(outside)
    (root / "again").symlink_to("sub")
    (root / "up").symlink_to("..")
    (tmp_path / "root-sibling").mkdir()
    (root / "sibling").symlink_to(tmp_path / "root-sibling")
    return root


INSIDE = ["again/Deeper/b.dcm", "again/own.DCM", "in.dcm", "plain.dcm", "sub/Deeper/b.dcm", "sub/own.DCM"]


def test_links_are_followed_inside_the_root_alone(root, caplog):
    with caplog.at_level(logging.WARNING):
        listing = list_files(root, (".dcm",))
    assert listing.paths == INSIDE
    assert listing.outside == ["elsewhere", "out.dcm", "sibling", "up"] and listing.broken == 2
    assert "links_that_leave_the_declared_folders: 4, links_to_nothing: 2" in caplog.text
    assert "out.dcm" not in caplog.text
    assert distinct(root, listing.paths) == listing.paths, "empty files are no copies"


def test_links_are_followed_into_declared_folders(root, tmp_path):
    listing = list_files(root, (".dcm",), [tmp_path / "outside"])
    assert listing.paths == sorted([*INSIDE, "elsewhere/deep/secret.dcm", "out.dcm"])
    assert listing.outside == ["sibling", "up"]
    assert "(sibling, up)" in listing.remark and "folders.linked" in listing.remark
    texts = pd.Series(["elsewhere/deep/secret.dcm", "up/outside/deep/secret.dcm", "sibling/a"])
    assert relative_below_all(root, texts, [tmp_path / "outside"])[1].tolist() == [False, False, True]


def test_links_that_lead_back_or_round_and_round_end(tmp_path):
    for name in "abcdef":
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / f"{name}.dcm").touch()
        for other in "abcdef":
            (tmp_path / "root" / name / f"to_{other}").symlink_to(f"../{other}")
        (tmp_path / "root" / name / "up").symlink_to("..")
    paths = list_files(tmp_path / "root", (".dcm",)).paths
    assert len(paths) <= 6 * (1 + listing.MOST_WAYS)
    assert {"a/a.dcm", "a/to_b/b.dcm"} <= set(paths) and "a/to_a/a.dcm" not in paths
    assert not [path for path in paths if "up" in path]


def test_what_systems_put_beside_files_is_no_data(tmp_path):
    (tmp_path / "a.dcm").touch()
    for name in ("._a.dcm", ".hidden.dcm", "__MACOSX/a.dcm", ".Trash-1000/a.dcm", "@eaDir/a.dcm", "$RECYCLE.BIN/a.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list_files(tmp_path, (".dcm",))
    assert found.paths == ["a.dcm"] and found.hidden == 6 and not found.notes


def test_files_are_located_whatever_the_case_of_their_suffix(tmp_path):
    for name in ("a.DCM", "b.dcm", "b.DCM", "C.dcm"):
        (tmp_path / name).touch()
    found = list_files(tmp_path, (".dcm",)).locate(pd.Series(["a.dcm", "b.dcm", "c.dcm", "d.dcm"], index=[3, 1, 2, 0]))
    assert found.to_dict() == {3: "a.DCM", 1: "b.dcm", 2: "", 0: ""}


def test_copies_are_recognised_by_content(tmp_path):
    big = os.urandom(300_000)
    contents = {"a": big, "copy of a": big, "start alone": big[:-1] + b"x", "shorter": big[:-1], "empty": b"", "0": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert distinct(tmp_path, list(contents)) == ["a", "start alone", "shorter", "empty", "0"]
    assert distinct(tmp_path, ["a", "gone"]) == ["a", "gone"]


def test_a_table_is_found_whatever_its_case(tmp_path):
    (tmp_path / "Info.CSV").touch()
    assert existing(tmp_path / "info.csv").name == "Info.CSV"
    assert existing(tmp_path / "other.csv").name == "other.csv"
    assert existing(tmp_path / "absent" / "other.csv").name == "other.csv"
    (tmp_path / "INFO.csv").touch()
    assert existing(tmp_path / "info.csv").name == "info.csv", "two of them: neither is taken"


def test_a_root_may_itself_be_a_link(root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)
    assert list_files(link, (".dcm",)).paths == list_files(root, (".dcm",)).paths
    assert not relative_below_all(link, pd.Series(["sub/own.DCM", "in.dcm"]))[1].any()


def test_a_folder_that_cannot_be_read_is_counted(root, caplog, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("Deeper"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(listing.os, "scandir", refuse)
    assert "sub/Deeper/b.dcm" not in list_files(root, (".dcm",))
    assert "folders_that_cannot_be_read: 2" in caplog.text and "Deeper" not in caplog.text


TEXTS = {
    "plain.dcm": "plain.dcm",
    " sub/own.DCM\n": "sub/own.DCM",
    "sub\\own.DCM": "sub/own.DCM",
    "./sub//./own.DCM": "sub/own.DCM",
    "in.dcm": "in.dcm",
    "again/own.DCM": "again/own.DCM",
    "not/there/yet.dcm": "not/there/yet.dcm",
    "plain.dcm/below_a_file": "plain.dcm/below_a_file",
    "..hidden/a.dcm": "..hidden/a.dcm",
    "": None,
    "  ": None,
    ".": None,
    "/etc/passwd": None,
    "\\\\server\\share": None,
    "C:\\data\\a.dcm": None,
    "../root/plain.dcm": None,
    "sub/../../outside/deep/secret.dcm": None,
    "sub\\..\\..\\outside": None,
    "a\0b": None,
    "out.dcm": None,
    "elsewhere/deep/secret.dcm": None,
    "up/outside/deep/secret.dcm": None,
    "sibling/file.dcm": None,
    "a/" * 1500 + "b": "a/" * 1500 + "b",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:30]))
def test_a_path_is_relative_or_refused(root, text):
    relative, refused = relative_below_all(root, pd.Series([text]))
    assert relative.item() == (TEXTS[text] or "") and refused.item() == (TEXTS[text] is None)


def test_a_column_is_judged_as_each_of_its_paths(root):
    texts = pd.Series(list(TEXTS) * 2, index=range(7, 7 + 2 * len(TEXTS)))
    relative, refused = relative_below_all(root, texts)
    assert relative.index.equals(texts.index) and refused.index.equals(texts.index)
    assert refused.dtype == bool
    assert relative.tolist() == [TEXTS[text] or "" for text in texts]
    assert refused.tolist() == [TEXTS[text] is None for text in texts]


def test_an_empty_column_stays_one(root):
    relative, refused = relative_below_all(root, pd.Series([], dtype="str"))
    assert relative.empty and refused.empty and refused.dtype == bool


def test_a_folder_whose_links_cannot_be_examined_is_judged_path_by_path(root, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(paths.os, "scandir", refuse)
    _, refused = relative_below_all(root, pd.Series(["plain.dcm", "out.dcm", "elsewhere/deep/secret.dcm"]))
    assert refused.tolist() == [False, True, True]


def test_each_folder_is_read_once_for_a_long_column(root, monkeypatch):
    for folder in range(20):
        (root / "many" / str(folder)).mkdir(parents=True)
    texts = pd.Series([f"many/{row % 20}/image{row}.dcm" for row in range(400_000)])
    scan, read = os.scandir, []
    monkeypatch.setattr(paths.os, "scandir", lambda folder: read.append(folder) or scan(folder))
    relative, refused = relative_below_all(root, texts)
    assert len(read) == 22 and not refused.any() and relative.equals(texts)
