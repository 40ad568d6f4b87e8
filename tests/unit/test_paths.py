"""Files below a root: nothing outside it is listed or named, and a column of paths is judged as each of them is."""

import logging
import os
from pathlib import Path

import pandas as pd
import pytest

from mmpkd.cohorts import paths
from mmpkd.cohorts.paths import list_files, relative_below_all


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


def test_files_are_listed_once_and_only_below_the_root(root, caplog):
    with caplog.at_level(logging.WARNING):
        assert list_files(root, (".dcm",)) == ["in.dcm", "plain.dcm", "sub/Deeper/b.dcm", "sub/own.DCM"]
    assert "0 folders cannot be read and 1 links leave the root" in caplog.text
    assert "out.dcm" not in caplog.text


def test_a_root_may_itself_be_a_link(root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)
    assert list_files(link, (".dcm",)) == list_files(root, (".dcm",))
    assert not relative_below_all(link, pd.Series(["sub/own.DCM", "in.dcm"]))[1].any()


def test_a_folder_that_cannot_be_read_is_counted(root, caplog, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("Deeper"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(paths.os, "scandir", refuse)
    assert "sub/Deeper/b.dcm" not in list_files(root, (".dcm",))
    assert "1 folders cannot be read" in caplog.text and "Deeper" not in caplog.text


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


def test_a_folder_whose_links_cannot_be_told_is_judged_path_by_path(root, monkeypatch):
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
