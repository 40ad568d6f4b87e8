"""Whole files or none."""

import errno
import os

import numpy as np
import pytest

from mmpkd.files import StorageError, atomic, blame_storage, read_npz, write_npz, write_text


def test_an_error_leaves_neither_file_nor_litter(tmp_path):
    with pytest.raises(RuntimeError), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_what_was_there(tmp_path):
    write_text("old", tmp_path / "a.txt")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"


def test_objects_are_refused_in_both_directions(tmp_path):
    with pytest.raises(ValueError, match="[Oo]bject"):
        write_npz({"a": np.array([{"x": 1}], dtype=object)}, tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_npz(tmp_path / "b.npz")


@pytest.mark.parametrize("name", ["EIO", "ESTALE", "ETIMEDOUT", "EMFILE"])
def test_a_fault_of_the_storage_is_not_the_files(name):
    number = getattr(errno, name)
    with pytest.raises(StorageError, match="run the study again") as caught:
        blame_storage(OSError(number, os.strerror(number), "/data/p10000032.dcm"))
    assert "p10000032" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "no"), PermissionError(13, "no"), ValueError("no"), OSError("no")]
)
def test_what_the_file_itself_lacks_is_not_the_storages(error):
    blame_storage(error)
