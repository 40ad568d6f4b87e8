"""Splits, label policies, paths, choices, boxes and rejections: what all adapters share."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmpkd.cohorts.base import ChoiceError, among, read_folders, read_options
from mmpkd.cohorts.label_policy import BLANK, UNCERTAIN, apply_policy, policy_table
from mmpkd.cohorts.listing import list_files
from mmpkd.cohorts.paths import TableFileError, read_table, relative_below_all
from mmpkd.cohorts.rejections import Rejections
from mmpkd.cohorts.rois import box_rois
from mmpkd.cohorts.tables import SPLITS, TableError, resolve, stable_share
from mmpkd.config.cohorts import Cohort

ROWS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(SPLITS)), max_size=20)


def frame(rows):
    return pd.DataFrame(rows, columns=["patient_id", "split"], dtype="str")


def test_the_most_held_out_split_wins():
    images = frame([("a", "train"), ("a", "validate"), ("b", "test"), ("b", "train"), ("c", "train")])
    resolved, counts = resolve(images)
    assert list(resolved["split"]) == ["validate", "validate", "test", "test", "train"]
    assert counts == {"patients_in_several_splits": 2, "patients_held_out": 0, "rows_moved": 2}
    assert list(images["split"]) == ["train", "validate", "test", "train", "train"]  # the argument is left as it was


def test_held_out_patients_go_to_test():
    resolved, counts = resolve(frame([("a", "train"), ("a", "train"), ("b", "test"), ("c", "train")]), {"a", "b"})
    assert list(resolved["split"]) == ["test", "test", "test", "train"]
    assert counts == {"patients_in_several_splits": 0, "patients_held_out": 1, "rows_moved": 2}


@settings(deadline=None)
@given(ROWS, st.sets(st.sampled_from("abcde")))
def test_no_patient_stands_in_two_splits_and_nobody_leaves_test(rows, held_out):
    images = frame(rows)
    resolved, counts = resolve(images, held_out)
    assert list(resolved["patient_id"]) == list(images["patient_id"])
    assert (resolved.groupby("patient_id")["split"].nunique() <= 1).all()
    before, after = images["split"].map(SPLITS.index), resolved["split"].map(SPLITS.index)
    assert (after >= before).all()
    assert counts["rows_moved"] == (before != after).sum()
    assert set(resolved.loc[resolved["patient_id"].isin(held_out), "split"]) <= {"test"}
    again, none_moved = resolve(resolved, held_out)
    assert again.equals(resolved) and none_moved["rows_moved"] == 0


def test_a_split_of_another_name_is_refused():
    with pytest.raises(TableError, match="1 values of split"):
        resolve(frame([("a", "val")]))


def test_the_stable_share_is_a_share_that_depends_on_the_patient_alone():
    patients = [f"P_{number:05d}" for number in range(4000)]
    chosen = stable_share(patients, 0.15)
    assert abs(len(chosen) / 4000 - 0.15) < 0.02
    assert stable_share(patients[:100], 0.15) == chosen & set(patients[:100])
    assert stable_share(patients, 0.1) < chosen
    assert stable_share(patients, 0) == set()
    assert stable_share(patients, 1) == set(patients)


def test_policies_decide_uncertain_and_blank_label_by_label():
    given_labels = pd.DataFrame({"Atelectasis": [1, 0, -1, np.nan], "Pneumothorax": [1, 0, -1, np.nan]}, dtype=float)
    uncertain = policy_table("uncertain", {}, UNCERTAIN)
    blank = policy_table("blank", {"Pneumothorax": "ignore"}, BLANK)
    decided = apply_policy(given_labels, uncertain, blank)
    assert decided["Atelectasis"].tolist() == [1, 0, 1, 0]
    assert decided["Pneumothorax"].tolist()[:3] == [1, 0, 0]
    assert np.isnan(decided["Pneumothorax"][3])


def test_one_word_is_the_policy_of_all_labels():
    assert set(policy_table("uncertain", "ignore", UNCERTAIN).values()) == {"ignore"}


@pytest.mark.parametrize("given_policy", ["maybe", {"Atelectasis": "maybe"}, {"Atelectesis": "ones"}])
def test_an_unknown_policy_or_label_is_refused(given_policy):
    with pytest.raises(ChoiceError, match=r"options\.uncertain: unknown .*known are"):
        policy_table("uncertain", given_policy, UNCERTAIN)


def test_choices_are_checked_by_name_and_kind(tmp_path):
    known = {"share": 0.1, "sets": ["test"], "strict": True, "policy": {"a": "ones"}}
    cohort = Cohort(adapter="x", root=tmp_path, options={"share": 1, "policy": "zeros"})
    assert read_options(cohort, known) == {"share": 1, "sets": ["test"], "strict": True, "policy": "zeros"}
    for wrong in ({"shar": 0.2}, {"share": "a"}, {"share": True}, {"strict": 1}, {"sets": "test"}):
        with pytest.raises(ChoiceError, match="x: "):
            read_options(Cohort(adapter="x", root=tmp_path, options=wrong), known)
    with pytest.raises(ChoiceError, match="unknown folders: there; known are tables"):
        read_folders(Cohort(adapter="x", root=tmp_path, folders={"there": tmp_path}), ("tables",))
    with pytest.raises(ChoiceError, match="val; known are train, test"):
        among("splits", ["val"], ("train", "test"))
    with pytest.raises(ChoiceError, match="nothing chosen"):
        among("splits", [], ("train", "test"))


@pytest.mark.parametrize("text", ["", "  ", "/etc/passwd", "../up", "a/../../up", "C:\\data", "a\\..\\..\\up"])
def test_paths_that_leave_the_root_are_refused(tmp_path, text):
    assert relative_below_all(tmp_path, pd.Series([text]))[1].all()


def test_paths_below_the_root_are_cleaned(tmp_path):
    paths, refused = relative_below_all(tmp_path, pd.Series(["a/b.dcm\n", "a\\b.dcm"]))
    assert paths.tolist() == ["a/b.dcm", "a/b.dcm"] and not refused.any()


def test_links_that_leave_the_root_are_refused_and_not_listed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (root / "sub").mkdir(parents=True)
    (outside / "secret.dcm").touch()
    (root / "sub" / "own.DCM").touch()
    (root / "note.txt").touch()
    (root / "link.dcm").symlink_to(outside / "secret.dcm")
    (root / "inner.dcm").symlink_to(root / "sub" / "own.DCM")
    (root / "folder").symlink_to(outside)
    assert list_files(root, (".dcm",)).paths == ["inner.dcm", "sub/own.DCM"]
    assert relative_below_all(root, pd.Series(["link.dcm", "folder/secret.dcm"]))[1].all()


def test_a_table_with_a_byte_order_mark_line_breaks_and_another_spelling_is_read(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfBreast density,image file path,more\r\n3,"a/b.dcm\r\n",x\r\nNA,,y\r\n')
    table = read_table(path, ["breast_density", "image_file_path"], "from here")
    assert table.to_dict("list") == {"breast_density": ["3", "NA"], "image_file_path": ["a/b.dcm", ""]}


def test_a_gzipped_table_is_read(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert read_table(path, ["a"], "from here", optional=["b", "c"]).to_dict("list") == {"a": ["1"], "b": ["2"]}


def test_table_errors_name_the_file_the_fault_and_the_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv: no such file; from here"):
        read_table(tmp_path / "absent.csv", ["a"], "from here")
    faults = {"missing.csv": (b"a\n1\n", "column.s. b missing"), "twice.csv": (b"a,b,B\n1,2,3\n", "column.s. b twice")}
    broken = gzip.compress(b"a,b\n" + bytes(range(48, 58)) * 50)[:-12]
    faults |= {"empty.csv": (b"", "not a readable"), "cut.csv.gz": (broken, "not a readable")}
    faults |= {
        "binary.csv": (b"a,b\n" + b"\xe4" * 40, "not a readable"),
        "plain.csv.gz": (b"a,b\n", "not a readable"),
    }
    for name, (content, fault) in faults.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TableFileError, match=rf"{name}: {fault}.*from here"):
            read_table(tmp_path / name, ["a", "b"], "from here")


def test_boxes_are_clipped_counted_once_and_set_aside_without_area():
    boxes = pd.DataFrame(
        [
            ("i", "a", "-2", "3", "12", "8"),  # sticks out to the left and right
            ("i", "a", "-1", "3", "10", "8"),  # the same once clipped
            ("i", "b", "0", "3", "10", "8"),  # another label
            ("i", "a", "20", "3", "30", "8"),  # outside
            ("j", "a", "", "3", "30", "8"),  # no number
            ("j", "a", "5", "3", "4000", "8"),  # the image's size is not known
        ],
        columns=["image_id", "label", "x0", "y0", "x1", "y1"],
    ).assign(rows=pd.array([6, 6, 6, 6, pd.NA, pd.NA], "Int32"), columns=pd.array([10] * 4 + [pd.NA] * 2, "Int32"))
    rejections = Rejections()
    rois = box_rois(boxes, rejections)
    assert list(rois["roi_id"]) == ["i_1", "i_2", "j_1"]
    assert rois[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[0, 3, 10, 6], [0, 3, 10, 6], [5, 3, 4000, 8]]
    assert list(rejections.table["record"]) == ["j", "i"]
    assert list(rejections.table["reason"]) == [
        "box whose corners are not numbers",
        "box without area inside its image",
    ]


def test_rejections_take_one_reason_or_many():
    rejections = Rejections()
    table = pd.DataFrame({"name": ["p", "q", "r"], "why": ["one", "two", "three"]})
    kept = rejections.split_off(table, table["name"] != "q", "name", table["why"])
    rejections.add(["s"], "missing")
    rejections.add([], "nothing")
    assert list(kept["name"]) == ["q"]
    assert rejections.table.to_numpy().tolist() == [["p", "one"], ["r", "three"], ["s", "missing"]]
