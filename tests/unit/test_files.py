"""Whole files or none."""

import numpy as np
import pytest

from mmpkd.files import atomic, read_npz, write_npz, write_text


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
