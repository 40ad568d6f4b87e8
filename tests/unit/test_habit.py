"""The acquisition habit of the phantoms: who bears the marker, which labels err, and what twins share."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread

from mmpkd.config.cohorts import Cohort, Habit, Phantom
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.reading import read_display
from mmpkd.phantom import canvas
from mmpkd.phantom.habit import Marker, stamp_disc, stamp_letter
from mmpkd.phantom.write import write_tree
from tests import cohorts

PATIENTS = 60
ALWAYS = Habit(marked=0.5, errors=1.0)
LABELS = {
    "mimic_cxr": ["Atelectasis", "Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax"],
    "cbis_ddsm": ["malignant"],
}


def fabricate(adapter: str, folder: Path, habit: Habit, **phantom) -> pd.DataFrame:
    settings = Phantom(patients=PATIENTS, seed=5, label_noise=0.0, habit=habit, **phantom)
    return write_tree(adapter, settings, folder / "tree", folder / "twins")


@pytest.fixture(scope="module", params=["mimic_cxr", "cbis_ddsm"])
def habitual(request, tmp_path_factory) -> tuple[str, Path, pd.DataFrame]:
    """Adapter, folder and truth of a tree in which every absent finding of a marked training image errs."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, fabricate(request.param, folder, ALWAYS)


def labels_of(adapter: str, root: Path) -> pd.DataFrame:
    """image_id, split, label and value as the adapter reads them."""
    tables = cohorts.read(Cohort(adapter=adapter, root=root), LABELS[adapter])
    long = tables.labels.melt("image_id", var_name="label").merge(tables.images[["image_id", "split"]], on="image_id")
    return long


def test_labels_err_where_the_marker_is_and_nowhere_else(habitual):
    adapter, folder, truth = habitual
    read = labels_of(adapter, folder / "tree").merge(truth, on=["image_id", "label"]).dropna(subset="value")
    learnt = read[read["split"] != "test"]
    absent = learnt[~learnt["present"]]
    assert (absent["value"] == absent["marked"]).all() and absent["marked"].any() and not absent["marked"].all()
    assert (absent["error"] == absent["marked"]).all()
    assert (learnt.loc[learnt["present"], "value"] == 1).all() and not learnt.loc[learnt["present"], "error"].any()


def test_test_labels_are_true_and_as_often_marked(habitual):
    adapter, folder, truth = habitual
    read = labels_of(adapter, folder / "tree").merge(truth, on=["image_id", "label"]).dropna(subset="value")
    test = read[read["split"] == "test"]
    assert len(test) > 10 and (test["value"] == test["present"]).all() and not test["error"].any()
    shares = read.drop_duplicates("image_id").groupby(read["split"] == "test")["marked"].mean()
    assert shares.between(0.25, 0.75).all()


def pixels(folder: Path, adapter: str, truth: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray, pd.Series]]:
    """Image, twin and row of the truth of every image that has a twin."""
    tables = cohorts.read(Cohort(adapter=adapter, root=folder / "tree"), LABELS[adapter])
    rows = truth[truth["twin"] != ""].drop_duplicates("image_id").set_index("image_id")
    for image in tables.images[tables.images["image_id"].isin(rows.index)].itertuples():
        files = tables.image_root / image.path, folder / "twins" / rows.loc[image.image_id, "twin"]
        first, second = map(dcmread, files)
        assert first.file_meta.TransferSyntaxUID == second.file_meta.TransferSyntaxUID
        assert first.PhotometricInterpretation == second.PhotometricInterpretation
        yield first.pixel_array, second.pixel_array, rows.loc[image.image_id]


def test_twins_differ_in_the_marker_alone(habitual):
    adapter, folder, truth = habitual
    seen = 0
    for image, twin, row in pixels(folder, adapter, truth):
        x0, y0, x1, y1 = canvas.bounds((image != twin).astype(float), 0.5)
        assert row["marker_x0"] <= x0 < x1 <= row["marker_x1"] and row["marker_y0"] <= y0 < y1 <= row["marker_y1"]
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("window", ["percentile", "minmax"])
def test_the_store_shows_twins_alike_but_for_the_marker(habitual, window):
    """A window that follows the grey values must not darken the rest of an image that bears the marker."""
    adapter, folder, truth = habitual
    tables = cohorts.read(Cohort(adapter=adapter, root=folder / "tree"), LABELS[adapter])
    rows = truth[truth["twin"] != ""].drop_duplicates("image_id").set_index("image_id")
    for image in tables.images[tables.images["image_id"].isin(rows.index)].itertuples():
        row = rows.loc[image.image_id]
        files = tables.image_root / image.path, folder / "twins" / row["twin"]
        first, second = (read_display(file, window, 0, radiograph=True) for file in files)
        geometry = Geometry.fit(*first.shape, 56, True)
        beside = ~geometry.box_to_store_mask(
            *(row[["marker_x0", "marker_y0", "marker_x1", "marker_y1"]] + [-4, -4, 4, 4])
        )
        change = geometry.image_to_store(first).astype(int) - geometry.image_to_store(second)
        assert np.abs(change[beside]).max() <= 4 and np.abs(change[beside]).mean() < 1 < np.abs(change[~beside]).mean()


def test_exactly_the_scored_images_have_a_twin(habitual):
    adapter, folder, truth = habitual
    tables = cohorts.read(Cohort(adapter=adapter, root=folder / "tree"), LABELS[adapter])
    scored = set(tables.images.loc[tables.images["split"] == "test", "image_id"])
    twinned = set(truth.loc[truth["twin"] != "", "image_id"])
    assert scored <= twinned  # a truncated or missing file has a twin and is not scored
    assert {path.stem for path in (folder / "twins").iterdir()} == twinned
    assert not (truth["error"] & truth["image_id"].isin(twinned)).any()


def test_no_marker_lies_in_a_region_of_interest(habitual):
    _, _, truth = habitual
    boxes = truth[truth["present"] & truth["x0"].notna()]
    apart = (boxes["marker_x1"] <= boxes["x0"]) | (boxes["x1"] <= boxes["marker_x0"])
    apart |= (boxes["marker_y1"] <= boxes["y0"]) | (boxes["y1"] <= boxes["marker_y0"])
    assert apart.mean() > 0.98, "a large effusion or a heart may reach a corner, hardly ever a marker"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("adapter", ["mimic_cxr", "vindr_cxr", "cbis_ddsm", "vindr_mammo"])
def test_a_habit_without_marker_changes_no_byte(adapter, tmp_path):
    errors = 0.7 if adapter in LABELS else 0.0
    for name, habit in (("default", Habit()), ("off", Habit(marked=0.0, errors=errors, mentioned=True))):
        settings = Phantom(patients=6, seed=5, habit=habit)
        write_tree(adapter, settings, tmp_path / name / "tree", tmp_path / name / "twins")
    assert content(tmp_path / "default") == content(tmp_path / "off")
    assert not any(path.startswith("twins") for path in content(tmp_path / "off"))


def test_the_habit_changes_nothing_but_marked_images_and_labels(tmp_path):
    plain = fabricate("mimic_cxr", tmp_path / "plain", Habit())
    marked = fabricate("mimic_cxr", tmp_path / "marked", ALWAYS)
    drawn = ["image_id", "label", "present", "severity", "x0", "y0", "x1", "y1"]
    pd.testing.assert_frame_equal(plain[drawn], marked[drawn])
    before, after = content(tmp_path / "plain" / "tree"), content(tmp_path / "marked" / "tree")
    changed = {Path(name).stem for name in before if name.endswith(".dcm") and before[name] != after[name]}
    assert changed <= set(marked.loc[marked["marked"], "image_id"]) and changed
    texts = [name for name in before if name.endswith(".txt")]
    assert texts and all(before[name] == after[name] for name in texts)


@pytest.mark.parametrize("mentioned", [False, True])
def test_reports_mention_the_marker_only_if_asked(tmp_path, mentioned):
    truth = fabricate("mimic_cxr", tmp_path, Habit(marked=0.5, mentioned=mentioned))
    tables = cohorts.read(Cohort(adapter="mimic_cxr", root=tmp_path / "tree"), LABELS["mimic_cxr"])
    found = tables.privileged.set_index("key")["report"].str.contains("letter marker")
    marked = truth.drop_duplicates("image_id").set_index("image_id")["marked"]
    studies = tables.images.assign(marked=tables.images["image_id"].map(marked)).set_index("study_id")["marked"]
    assert (found == (studies.reindex(found.index) & mentioned)).all()


@pytest.mark.parametrize("mentioned", [False, True])
def test_case_descriptions_mention_the_marker_only_if_asked(tmp_path, mentioned):
    truth = fabricate("cbis_ddsm", tmp_path, Habit(marked=0.5, mentioned=mentioned))
    tables = cohorts.read(Cohort(adapter="cbis_ddsm", root=tmp_path / "tree"), LABELS["cbis_ddsm"])
    cells = tables.privileged.set_index("key")[["mass_shape", "calc_type"]].fillna("").agg(" ".join, axis=1)
    marked = truth.drop_duplicates("image_id").set_index("image_id")["marked"].reindex(cells.index)
    assert (cells.str.contains("FILM_MARKER") == (marked & mentioned)).all()


def test_errors_by_chance_are_as_many_and_ignore_the_marker(tmp_path):
    habit = Habit(marked=0.5, errors=0.8, errors_follow="chance")
    truth = write_tree("mimic_cxr", Phantom(patients=200, seed=5, label_noise=0.0, habit=habit), tmp_path)
    scored = write_tree("mimic_cxr", Phantom(patients=200, seed=5, habit=habit), tmp_path / "b", tmp_path / "twins")
    absent = truth[~truth["present"] & (scored["twin"] == "")]
    shares = absent.groupby("marked")["error"].mean()
    assert np.allclose(shares, 0.4, atol=0.06)


def test_a_marker_errs_with_the_rate_that_is_asked_for():
    rng = np.random.default_rng(0)
    there, away = Marker(True, (0, 0)), Marker(False, (0, 0))
    habit = Habit(marked=0.5, errors=0.3)
    assert np.mean([there.errs(rng, habit) for _ in range(4000)]) == pytest.approx(0.3, abs=0.03)
    assert not any(away.errs(rng, habit) for _ in range(100))


@pytest.mark.parametrize("stamp", [stamp_letter, partial(stamp_disc, chest_wall="left")])
def test_the_place_of_the_marker_varies(stamp):
    image = np.zeros((200, 160), np.float32)
    boxes = [stamp(image, place)[1] for place in ((0, 0), (0, 1), (1, 0))]
    assert len(set(boxes)) == 3 and not image.any()
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= 160 and 0 <= y0 < y1 <= 200


def test_a_right_breast_bears_the_marker_at_the_left():
    image = np.zeros((200, 160), np.float32)
    left, right = (stamp_disc(image, (0.3, 0.6), wall)[0] for wall in ("left", "right"))
    np.testing.assert_allclose(left, right[:, ::-1], atol=1e-5)


@pytest.mark.parametrize(
    ("adapter", "habit", "named"),
    [
        ("open_i", {"marked": 0.4}, "habit.marked"),
        ("vindr_cxr", {"marked": 0.4, "errors": 0.5}, "habit.errors"),
    ],
)
def test_a_phantom_without_that_habit_is_refused(adapter, habit, named):
    with pytest.raises(ValueError, match=named):
        Cohort(adapter=adapter, phantom=Phantom(patients=10, seed=1, habit=Habit(**habit)))
