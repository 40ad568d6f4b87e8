"""mini-MIAS: a small fabricated tree with the dirt of the real one."""

import json

import numpy as np
import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.listing import MissingFilesError
from mmpkd.cohorts.paths import TableFileError
from mmpkd.config.cohorts import Cohort
from mmpkd.privileged.records import build
from tests import cohorts

LABELS = ["malignant", "abnormal", "mass", "calcification"]
TEXT = """              MAMMOGRAPHIC IMAGE ANALYSIS SOCIETY
4th column: Severity of abnormality;
                B - Benign

mdb001 G CIRC B 535 425 197
mdb002 D NORM\x20
mdb003 F MISC B 233 994 29
mdb003 F MISC M 313 540 27
mdb004 D CALC M *NOTE 3*\x20
mdb005 G SPIC M
mdb006 F ARCH B 10 x 5
mdb007 X CIRC B 1 2 3
mdb007 F CIRC B 1 2 3
mdb008 F NORM
"""
PLACES = ["mdb001.pgm", "mdb002.PGM", "all/mdb003.pgm", "mdb004.pgm", "mdb005.pgm", "mdb006.pgm", "mdb099.pgm"]


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "Info.txt").write_text(TEXT, newline="\r\n")
    for place in PLACES:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    return tmp_path


def read(root, labels=LABELS, **further):
    return cohorts.read(Cohort(adapter="mini_mias", root=root, **further), labels)


def test_odd_and_even_films_are_the_breasts_of_one_patient(tree):
    images = read(tree).images
    assert images["image_id"].tolist() == [f"mdb00{number}" for number in range(1, 7)]
    assert images["patient_id"].tolist() == [f"patient00{number}" for number in (1, 1, 2, 2, 3, 3)]
    assert images["laterality"].tolist() == ["RIGHT", "LEFT"] * 3 and set(images["view"]) == {"MLO"}
    assert set(images["rows"]) == set(images["columns"]) == {1024} and not images["restricted"].any()
    assert images.groupby("patient_id")["split"].nunique().max() == 1
    assert images["path"].tolist() == PLACES[:6]


def test_labels_are_those_of_any_abnormality(tree):
    assert read(tree).labels[LABELS].to_numpy().tolist() == [
        [0, 1, 1, 0],
        [0, 0, 0, 0],
        [1, 1, 1, 0],  # one of two is malignant
        [1, 1, 0, 1],  # without a circle
        [1, 1, 1, 0],  # likewise, and without a note
        [0, 1, 0, 0],
    ]
    assert read(tree, ["mass", "Edema"]).label_names == ["mass"]


def test_circles_begin_at_the_bottom_left(tree):
    rois = read(tree).rois
    assert rois[["image_id", "label"]].to_numpy().tolist() == [
        ["mdb003", "malignant"],
        *([name, label] for label in ("abnormal", "mass") for name in ("mdb001", "mdb003", "mdb003")),
    ]
    points = np.array(json.loads(rois["polygon"].iloc[0]))
    np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], [[286.5, 456.5], [340.5, 510.5]])
    assert rois["roi_id"].is_unique and set(rois["kind"]) == {"polygon"}
    assert read(tree, []).rois.empty


def test_what_is_left_out_is_named(tree):
    tables = read(tree)
    assert tables.notes == {"films_without_a_row": 1, "abnormalities_without_a_circle": 2}
    assert sorted(tables.rejected.itertuples(index=False, name=None)) == [
        ("mdb006", "circle in Info.txt is not x, y and a positive radius"),
        *[("mdb007", "film with a row of Info.txt whose tissue, class or severity is unknown")] * 2,
        ("mdb008", "image file is missing"),
    ]


def test_a_record_describes_a_film_and_does_not_reveal_the_severity(tree):
    records = build(read(tree), "tabular", ["malignant", "abnormal"]).set_index("key")
    assert records["tissue"].tolist() == ["G", "D", "F", "D", "G", "F"]
    assert records["abnormality"].tolist() == ["CIRC", "NORM", "MISC", "CALC", "SPIC", "ARCH"]
    assert records["target_malignant"].tolist() == [0, 0, 1, 1, 1, 0]
    assert not {"severity", "laterality", "B", "M"} & {*records.columns, *records["abnormality"], *records["tissue"]}


def test_the_shares_are_options(tree):
    shares = {"test_share": 0.0, "validation_share": 0.0}
    assert set(read(tree, options=shares).images["split"]) == {"train"}
    with pytest.raises(ChoiceError, match="test_share is 0.9 .* together below 1"):
        read(tree, options={"test_share": 0.9})


def test_mistakes_are_named(tree, tmp_path_factory):
    with pytest.raises(FileNotFoundError, match=r"Info\.txt: no such file; mini-MIAS is at http"):
        read(tree, folders={"tables": tmp_path_factory.mktemp("none")})
    with pytest.raises(MissingFilesError, match="holds none of the 7 images of the tables; mini-MIAS is at http"):
        read(tree, folders={"images": tmp_path_factory.mktemp("films")})
    assert len(read(tree, images=False).images) == 7
    (tree / "Info.txt").write_text("<html>")
    with pytest.raises(TableFileError, match=r"Info\.txt: no line begins with a film such as mdb001; download it"):
        read(tree)
    (tree / "Info.txt").write_bytes(b"%PDF-1.4 \0\0")
    with pytest.raises(TableFileError, match=r"Info\.txt: .*; download it again"):
        read(tree)
    wanted = cohorts.needs(Cohort(adapter="mini_mias", root=tree))
    assert [need.path.name for need in wanted] == ["Info.txt", tree.name] and all(need.found for need in wanted)
