"""Properties of tables, geometry and configuration over whatever hypothesis thinks of, the same in every run."""

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmpkd.cohorts.tables import ROI_KINDS, SPLITS, CohortTables, TableError, read_tables
from mmpkd.config.demo import DEMO
from mmpkd.config.document import document
from mmpkd.config.layers import merge
from mmpkd.config.reading import read_config
from mmpkd.config.study import ConfigError, Study, load
from mmpkd.imaging.geometry import Geometry


def examples(count):
    return settings(
        max_examples=count, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


# tables

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)  # of rejected.csv
NUMBER = st.floats(-1e6, 1e6)


@st.composite
def cohorts(draw, least=0):
    names = draw(st.lists(TEXT, min_size=least, max_size=4, unique=True))
    split_of = {patient: draw(st.sampled_from(SPLITS)) for patient in ("p1", "p2")}
    patients = [draw(st.sampled_from(["p1", "p2"])) for _ in names]
    images = pd.DataFrame({"image_id": names, "patient_id": patients})
    images["split"] = [split_of[patient] for patient in patients]
    for column in ("study_id", "path", "view", "laterality"):
        images[column] = [draw(TEXT) for _ in names]
    for column in ("rows", "columns"):
        images[column] = [draw(st.none() | st.integers(1, 2**31 - 1)) for _ in names]
    labels = pd.DataFrame({"image_id": names})
    for label in draw(st.lists(TEXT.filter(lambda name: name != "image_id"), max_size=2, unique=True)):
        labels[label] = [draw(st.sampled_from([0.0, 1.0, np.nan])) for _ in names]
    rois = pd.DataFrame({"roi_id": draw(st.lists(TEXT, max_size=3, unique=True)) if names else []})
    rois["image_id"] = [draw(st.sampled_from(names)) for _ in rois.index]
    rois["kind"] = [draw(st.sampled_from(ROI_KINDS)) for _ in rois.index]
    for column in ("label", "polygon", "mask_path"):
        rois[column] = [draw(TEXT) for _ in rois.index]
    for column in ("x0", "y0", "x1", "y1"):
        rois[column] = [draw(NUMBER) for _ in rois.index]
    privileged = images[["image_id", "patient_id", "split"]].rename(columns={"image_id": "record_id"})
    privileged = privileged.assign(key=images["study_id"], report=[draw(TEXT) for _ in names])
    rejected = pd.DataFrame(draw(st.lists(st.tuples(LINE, LINE), max_size=3)), columns=["record", "reason"])
    notes = draw(st.dictionaries(TEXT, st.integers(0, 9), max_size=2))
    return {
        **{"image_root": "/data", "images": images, "labels": labels, "rois": rois},
        **{"privileged": privileged, "rejected": rejected, "notes": notes},
    }


@examples(25)
@given(tables=cohorts())
def test_a_cohort_is_read_as_it_was_written(tables, tmp_path):
    cohort = CohortTables(**tables)
    cohort.write(tmp_path)
    back = read_tables(tmp_path)
    for name in ("images", "labels", "rois", "privileged", "rejected"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(cohort, name))
    assert back.notes == cohort.notes and back.label_names == cohort.label_names and back.kept == cohort.kept


FAULTS = {  # what is done to a cohort of at least one image
    "images.split": ("training", None, 1, ""),
    "images.rows": ("many", 2**40, 1.5, [1]),
    "images.columns": ("many", -(2**40), {}, float("inf")),
    "labels.image_id": ("another",),
    "rois.image_id": ("another",),
    "rois.kind": ("circle", None, 3),
    "rois.x0": ("left", [1.0], {}),
    "privileged.key": ("another",),
    "privileged.split": ("testing", None),
}


@examples(50)
@given(tables=cohorts(least=1), fault=st.sampled_from(list(FAULTS)), data=st.data())
def test_a_table_with_a_bad_value_is_refused(tables, fault, data):
    name, column = fault.split(".")
    value = data.draw(st.sampled_from(FAULTS[fault]))
    if name == "rois":
        box = {"roi_id": "a", "image_id": tables["images"]["image_id"][0], "label": "mass", "kind": "box"}
        numbers = dict.fromkeys(("x0", "y0", "x1", "y1"), 1.0)
        tables["rois"] = pd.DataFrame([box | numbers | {"polygon": "", "mask_path": ""}])
    table = tables[name].astype({column: object})
    table.at[0, column] = value
    known = {*tables["images"]["image_id"], *tables["images"]["study_id"]}
    if value == "another" and value in known:
        return
    with pytest.raises(TableError):
        CohortTables(**{**tables, name: table})


@examples(15)
@given(tables=cohorts(least=1), name=st.sampled_from(["images", "labels", "privileged"]), data=st.data())
def test_a_missing_column_or_a_doubled_row_is_refused(tables, name, data):
    table = tables[name]
    with pytest.raises(TableError, match="duplicate"):
        CohortTables(**{**tables, name: pd.concat([table, table.iloc[:1]])})
    wanted = {"images": list(table), "labels": ["image_id"], "privileged": ["record_id", "key", "patient_id", "split"]}
    column = data.draw(st.sampled_from(wanted[name]))
    with pytest.raises(TableError, match=f"missing column.s. {column}"):
        CohortTables(**{**tables, name: table.drop(columns=column)})


# geometry

COORDINATE = st.floats() | st.integers(-3, 300).map(float) | st.sampled_from([1e17, 1e300, -1e308, 1e-300])
SIDE = st.integers(-1, 400)
GEOMETRY = Geometry.fit(90, 200, 32, True, crop=(10.0, 5.0, 180.5, 80.0), flip=True)


@examples(100)
@given(SIDE, SIDE, st.integers(-1, 64), st.booleans(), st.none() | st.tuples(*[COORDINATE] * 4), st.booleans())
def test_what_can_be_fitted_shows_something_and_the_rest_is_refused(rows, columns, size, keep_aspect, crop, flip):
    try:
        geometry = Geometry.fit(rows, columns, size, keep_aspect, crop=crop, flip=flip)
    except ValueError:
        x0, y0, x1, y1 = crop or (0, 0, columns, rows)
        assert min(rows, columns, size) < 1 or not (0 <= x0 < x1 <= columns and 0 <= y0 < y1 <= rows)
        return
    shown_rows, shown_columns = geometry.content
    assert 0 <= shown_rows.start < shown_rows.stop <= size and 0 <= shown_columns.start < shown_columns.stop <= size


@examples(100)
@given(st.tuples(*[COORDINATE] * 4))
def test_any_box_is_drawn_within_the_content_or_refused(box):
    try:
        mask = GEOMETRY.box_to_store_mask(*box)
    except ValueError:
        assert not (box[0] < box[2] and box[1] < box[3] and np.isfinite(box).all())
        return
    _within_the_content(mask)


@examples(100)
@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=6))
def test_any_polygon_is_drawn_within_the_content_or_refused(points):
    try:
        mask = GEOMETRY.polygon_to_store_mask(np.array(points).reshape(-1, 2))
    except ValueError:
        return
    assert len(points) >= 3 and np.isfinite(points).all()
    _within_the_content(mask)


def _within_the_content(mask):
    assert mask.dtype == bool and mask.shape == (GEOMETRY.size, GEOMETRY.size)
    assert mask.sum() == mask[GEOMETRY.content].sum()


# configuration

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(b"x")
VALUES = st.recursive(
    SCALARS | st.dates() | st.just({1, 2}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=8,
)
DEFAULT = yaml.safe_load(document(DEMO))
PIECES = """study seeds training arms : , - [ ] { } & * ! | > ? % @ ` ' " # ~ = << a b 1 .nan 0x 0b_ 1_0 1e400
2026-13-45 !!int !!float !!bool !!timestamp !!binary !!set !!omap !!pairs !!null !!str !!map !!seq !!merge &a *a --- ...
\\0 é"""
YAML = st.lists(st.sampled_from([*PIECES.split(), " ", "\n", ": ", "- ", "\n  ", '""', "\t", "\ufeff"]), max_size=12)


def paths_of(config):
    """Every place of the configuration, as a tuple of keys."""
    for key, value in config.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in paths_of(value))


@examples(200)
@given(data=YAML.map("".join).map(str.encode) | st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")))
def test_any_text_is_a_configuration_or_refused(data, tmp_path):
    path = tmp_path / "overlay.yaml"
    path.write_bytes(data)
    try:
        config = read_config(path)
    except ConfigError as error:
        assert "overlay.yaml" in str(error)
        return
    assert isinstance(config, dict)
    _study_or_refusal(config)


@examples(60)
@given(st.dictionaries(st.sampled_from(list(Study.model_fields)) | SCALARS, VALUES, max_size=4))
def test_any_values_are_a_study_or_refused(config):
    _study_or_refusal(config)


@examples(60)
@given(st.sampled_from(list(paths_of(DEFAULT))), VALUES)
def test_any_value_at_any_place_of_a_study_is_taken_or_refused(path, value):
    for key in reversed(path):
        value = {key: value}
    _study_or_refusal(merge(DEFAULT, value))


@pytest.mark.parametrize("config", [{16**5000: 1}, {"arms": {16**5000: {}}}, {"seeds": 16**5000}])
def test_a_number_that_python_does_not_write_is_refused(config):
    with pytest.raises(ConfigError, match="a number of more than 4,300 digits"):
        load(config)


def _study_or_refusal(config):
    """What is taken is written down and read back as the same study."""
    try:
        study = load(config)
    except ConfigError as error:
        assert str(error)
        return
    assert load(yaml.safe_load(document(study))) == study
