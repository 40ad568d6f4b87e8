"""The phantom mammograms: layout, dirt, determinism, the drawn lesion and the statistics of the labels."""

import ast
import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mmpkd.config.cohorts import Phantom
from mmpkd.phantom import canvas, cbis_ddsm_tree, lesion_shapes, lesions, mammogram, vindr_mammo_tree

REAL = Path("../shared/data/cbis_ddsm")
CSV_NAMES = [f"{kind}_case_description_{group}_set.csv" for kind in ("mass", "calc") for group in ("train", "test")]
PATH_COLUMNS = ["image file path", "cropped image file path", "ROI mask file path"]
VINDR_IMAGE = "study_id series_id image_id laterality view_position height width breast_birads breast_density"
PATIENTS, STUDIES = 40, 20


@pytest.fixture(scope="module")
def cbis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cbis")
    return folder, cbis_ddsm_tree.write(Phantom(patients=PATIENTS, seed=5), folder, None)


@pytest.fixture(scope="module")
def vindr(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vindr")
    return folder, vindr_mammo_tree.write(Phantom(patients=STUDIES, seed=6), folder, None)


@pytest.fixture(scope="module")
def drawn_lesions():
    rng = np.random.default_rng(0)
    return [lesions.draw_lesion(rng, kind, 2, 0.5) for kind in ("mass", "calcification") for _ in range(2000)]


def read_cases(folder):
    tables = []
    for name in CSV_NAMES:
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        tables.append(table.rename(columns={"breast density": "breast_density"}))
    return pd.concat(tables, ignore_index=True).fillna("")  # a descriptor of the other kind


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def roi_arrays(folder, name):
    """The mask and the crop of an ROI folder, told apart by content."""
    images = [pydicom.dcmread(path).pixel_array for path in sorted((folder / "CBIS-DDSM" / name).rglob("*.dcm"))]
    assert len(images) == 2
    return sorted(images, key=lambda image: image.dtype != np.uint8)


# --- the model of a lesion ---


def test_without_label_noise_pathology_is_the_likelier_one():
    rng = np.random.default_rng(1)
    for kind in ("mass", "calcification"):
        for _ in range(300):
            lesion = lesions.draw_lesion(rng, kind, 2, label_noise=0.0)
            assert lesion.malignant == (lesion.risk > 0.5)


def test_with_full_label_noise_pathology_is_calibrated():
    rng = np.random.default_rng(2)
    drawn = [lesions.draw_lesion(rng, "mass", 2, label_noise=1.0) for _ in range(4000)]
    risk, malignant = np.array([lesion.risk for lesion in drawn]), np.array([lesion.malignant for lesion in drawn])
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        chosen = (risk > low) & (risk <= high)
        assert abs(malignant[chosen].mean() - risk[chosen].mean()) < 4 * np.sqrt(0.25 / chosen.sum())


def test_label_statistics(drawn_lesions):
    malignant = np.array([lesion.malignant for lesion in drawn_lesions])
    assert 0.35 < malignant.mean() < 0.55
    assert 0.88 < roc_auc_score(malignant, [lesion.risk for lesion in drawn_lesions]) < 0.96
    # The assessment leaks the pathology, the subtlety says nothing of it.
    assert roc_auc_score(malignant, [lesion.assessment for lesion in drawn_lesions]) > 0.75
    assert abs(roc_auc_score(malignant, [lesion.subtlety for lesion in drawn_lesions]) - 0.5) < 0.05


def test_subtlety_follows_contrast(drawn_lesions):
    contrast = np.array([lesion.contrast for lesion in drawn_lesions])
    subtlety = np.array([lesion.subtlety for lesion in drawn_lesions])
    assert np.corrcoef(contrast, subtlety)[0, 1] > 0.85
    assert set(subtlety) == {1, 2, 3, 4, 5}


def test_every_word_can_be_drawn(drawn_lesions):
    forms = {lesion.form for lesion in drawn_lesions}
    assert forms == set(lesions.MASS_SHAPES) | set(lesions.CALC_TYPES)
    assert set(lesion_shapes.OUTLINES) == set(lesions.MASS_SHAPES)
    assert set(lesion_shapes.PARTICLES) == set(lesions.CALC_TYPES)
    assert any(len(lesion.pattern) == 2 for lesion in drawn_lesions)


def test_spiculated_reaches_farther_than_circumscribed():
    def spread(margins):
        lesion = lesions.Lesion("mass", "ROUND", (margins,), 0.5, "BENIGN", 4, 3, 1.0, 0.5, 0.5, True)
        grid = canvas.grid(90, 90)
        opacity, _ = lesion_shapes.draw(np.random.default_rng(3), grid, (45.0, 45.0), lesion, 3.0, 0.0)
        distance = np.hypot(grid[0] - 45, grid[1] - 45)
        return (opacity * (distance > 1.3 * lesion_shapes.radius(lesion, 3.0))).sum()

    assert spread("CIRCUMSCRIBED") == 0
    assert spread("SPICULATED") > 20


def test_specks_are_separable_gaussians():
    grid = canvas.grid(9, 11)
    drawn = lesion_shapes.specks(grid, np.array([[4.5, 5.5]]), np.array([2.0]), np.array([0.5]))
    expected = 0.5 * np.exp(-((grid[0] - 4.5) ** 2 + (grid[1] - 5.5) ** 2) / 8)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)


# --- the drawing ---


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["mass", "calcification"]),
    view=st.sampled_from(["CC", "MLO"]),
    side=st.sampled_from(["L", "R"]),
)
def test_mask_covers_the_drawn_lesion(seed, kind, view, side):
    """The same image without its lesion differs from it inside the mask, and hardly elsewhere."""
    rng = np.random.default_rng(seed)
    lesion = lesions.draw_lesion(rng, kind, 2, 0.5)
    breast = mammogram.draw_breast(rng, [lesion], 2)
    state = rng.bit_generator.state
    image = mammogram.draw_mammogram(rng, breast, side, view, mammogram.DIGITAL)
    rng.bit_generator.state = state
    original = lesion_shapes.draw

    def invisible(*arguments):
        opacity, outline = original(*arguments)
        return 0 * opacity, outline

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesion_shapes, "draw", invisible)
        without = mammogram.draw_mammogram(rng, breast, side, view, mammogram.DIGITAL)
    (mask,) = image.masks
    added = image.pixels - without.pixels
    assert mask.shape == image.pixels.shape and mask.any()
    assert added[mask].mean() > 5 * abs(added[~mask].mean())
    assert np.abs(added).sum() > 0
    # Nine tenths of a mass with a clear edge, and most of anything, lie within the outline.
    share = added[mask].sum() / added.sum()
    assert share > (0.9 if lesion.pattern == ("CIRCUMSCRIBED",) and lesion.form != "ARCHITECTURAL_DISTORTION" else 0.5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["mass", "calcification"]))
def test_outline_holds_the_centre(seed, kind):
    rng = np.random.default_rng(seed)
    lesion = lesions.draw_lesion(rng, kind, 2, 0.5)
    _, outline = lesion_shapes.draw(rng, canvas.grid(120, 120), (60.5, 60.5), lesion, 3.0, 0.3)
    assert outline[60, 60]


def test_lesions_keep_off_the_centre():
    rng = np.random.default_rng(4)
    distances = []
    for _ in range(30):
        breast = mammogram.draw_breast(rng, [lesions.draw_lesion(rng, "mass", 2, 0.5)], 2)
        image = mammogram.draw_mammogram(rng, breast, "L", "MLO", mammogram.FILM)
        rows, columns = np.nonzero(image.masks[0])
        height, width = image.pixels.shape
        distances.append(np.hypot(rows.mean() - height / 2, columns.mean() - width / 2) / height)
    assert np.quantile(distances, 0.1) > 0.22


def test_right_breast_is_the_mirror_image_but_for_its_label():
    pictures = []
    for side in "LR":
        rng = np.random.default_rng(9)
        breast = mammogram.draw_breast(rng, [lesions.draw_lesion(rng, "mass", 3, 0.5)], 3)
        pictures.append(mammogram.draw_mammogram(rng, breast, side, "MLO", mammogram.DIGITAL))
    left, right = pictures
    lower = slice(left.pixels.shape[0] // 4, None)
    np.testing.assert_array_equal(left.pixels[lower], right.pixels[lower, ::-1])
    np.testing.assert_array_equal(left.masks[0], right.masks[0][:, ::-1])


@pytest.mark.parametrize("seed", range(12))
def test_encoding_keeps_the_displayed_polarity(seed):
    pixels = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    (stored,) = mammogram.encode(np.random.default_rng(seed), pixels)
    shown = stored.pixels / ((1 << stored.bits) - 1)
    np.testing.assert_allclose(1 - shown if stored.photometric == "MONOCHROME1" else shown, pixels, atol=2e-4)


# --- CBIS-DDSM ---


def test_cbis_tree_is_deterministic(tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        cbis_ddsm_tree.write(Phantom(patients=4, seed=seed), tmp_path / name, None)
    one, two, three = (digest(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one != three


@pytest.mark.parametrize("name", CSV_NAMES)
def test_cbis_headers_and_line_ends_are_those_of_the_real_files(cbis, name):
    if not REAL.is_dir():
        pytest.skip("../shared/data/cbis_ddsm is absent")
    real, fake = ((folder / name).read_bytes() for folder in (REAL, cbis[0]))
    assert fake.split(b"\r\n")[0] == real.split(b"\r\n")[0]
    for content in (real, fake):
        rows = list(csv.DictReader(content.decode().splitlines(keepends=True)))
        broken = "ROI mask file path" if name.startswith("mass") else "cropped image file path"
        assert all(row[broken].endswith(".dcm\n") for row in rows)
        assert content.endswith(b"\r\n")


@pytest.mark.parametrize("kind", ["mass", "calc"])
def test_cbis_words_are_words_of_the_real_files(cbis, kind):
    if not REAL.is_dir():
        pytest.skip("../shared/data/cbis_ddsm is absent")
    for column in ("mass shape", "mass margins") if kind == "mass" else ("calc type", "calc distribution"):
        names = [f"{kind}_case_description_{group}_set.csv" for group in ("train", "test")]
        real = pd.concat([pd.read_csv(REAL / name, dtype=str, keep_default_na=False)[column] for name in names])
        words = {word for cell in real for word in cell.split("-")}
        made = pd.concat([pd.read_csv(cbis[0] / name, dtype=str, keep_default_na=False)[column] for name in names])
        assert {word for cell in made for word in cell.split("-")} <= words


def test_cbis_folders_follow_nbia(cbis):
    folder, _ = cbis
    cases = read_cases(folder)
    on_disk = {path.name for path in (folder / "CBIS-DDSM").iterdir()}
    named = {cell.split("/")[0] for column in PATH_COLUMNS for cell in cases[column]}
    assert on_disk == named
    for path in (folder / "CBIS-DDSM").rglob("*.dcm"):
        case, day, series, file = path.relative_to(folder / "CBIS-DDSM").parts
        assert pd.Series(day).str.fullmatch(r"\d\d-\d\d-\d{4}-DDSM-\d{5}").all()
        assert (
            pd.Series(series)
            .str.fullmatch(r"1\.000000-(full mammogram images|ROI mask images|cropped images)-\d{5}")
            .all()
        )
        assert file in ("1-1.dcm", "1-2.dcm")
        assert series.startswith("1.000000-full") == (not case[-1].isdigit())


def test_cbis_masks_agree_with_the_truth(cbis):
    folder, truth = cbis
    cases = read_cases(folder)
    cases["image_id"] = cases["image file path"].str.extract(r"_(P_\d{5}_\w+?_(?:CC|MLO))/")[0]
    boxes = truth[truth["present"]].set_index(["image_id", "label"])
    checked = Counter()
    for (image_id, kind), rows in cases.groupby(["image_id", "abnormality type"]):
        masks = []
        for path in rows["ROI mask file path"]:
            mask, crop = roi_arrays(folder, path.split("/")[0])
            assert set(np.unique(mask)) == {0, 255}
            assert crop.dtype == np.uint16 and crop.shape[0] < mask.shape[0]
            masks.append(canvas.bounds(mask > 0))
        (image_file,) = (folder / "CBIS-DDSM" / rows["image file path"].iloc[0].split("/")[0]).rglob("*.dcm")
        image = pydicom.dcmread(image_file, stop_before_pixels=True)
        assert abs(image.Rows - mask.shape[0]) <= 2 and image.Columns == mask.shape[1]
        edges = np.array(masks)
        union = [*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)]
        np.testing.assert_allclose(union, boxes.loc[(image_id, kind), ["x0", "y0", "x1", "y1"]].to_numpy(float))
        checked[kind] += 1
    assert min(checked["mass"], checked["calcification"]) > 10


def test_cbis_truth_agrees_with_the_cases(cbis):
    folder, truth = cbis
    cases = read_cases(folder)
    cases["image_id"] = cases["image file path"].str.extract(r"_(P_\d{5}_\w+?_(?:CC|MLO))/")[0]
    malignant = set(cases.loc[cases["pathology"] == "MALIGNANT", "image_id"])
    shown = truth[truth["present"] & (truth["label"] == "malignant")]
    assert malignant == set(shown["image_id"])
    assert set(truth["image_id"]) == set(cases["image_id"])
    absent = truth[~truth["present"]]
    assert absent[["x0", "y0", "x1", "y1"]].isna().all(axis=None) and (absent["severity"] == 0).all()
    assert truth.groupby("image_id")["label"].agg(set).map(len).eq(3).all()
    assert 1.5 < truth["image_id"].nunique() / PATIENTS < 2.5


def test_cbis_dirt_is_there(tmp_path, monkeypatch):
    """Patients in both files and sets, one mammogram under two names, several lesions, missing values, swaps."""
    monkeypatch.setattr(cbis_ddsm_tree, "write_dicom", lambda *_, **__: None)  # the tables alone, for speed
    cbis_ddsm_tree.write(Phantom(patients=150, seed=3), tmp_path, None)
    cases = read_cases(tmp_path)
    cases["set"] = cases["image file path"].str.extract(r"-(Training|Test)_")[0]
    cases["image"] = cases["image file path"].str.extract(r"_(P_\d{5}_\w+?_(?:CC|MLO))/")[0]
    by_patient = cases.groupby("patient_id")
    assert (by_patient["abnormality type"].nunique() == 2).any()
    assert (by_patient["set"].nunique() == 2).any()
    assert (cases.groupby("image")["abnormality type"].nunique() == 2).any()
    assert (cases["abnormality id"] == "2").any()
    descriptors = cases[["mass shape", "mass margins", "calc type", "calc distribution"]]
    assert (descriptors == "NA").any(axis=None)
    assert descriptors.apply(lambda column: column.str.contains("-", na=False)).any(axis=None)
    mass = cases[cases["abnormality type"] == "mass"]
    assert mass["ROI mask file path"].str.strip().str.endswith("000000.dcm").any()  # swapped, or a series of its own
    share = (cases.drop_duplicates(["patient_id", "abnormality type"])["set"] == "Training").mean()
    assert abs(share - 0.8) < 0.1


def test_label_noise_leaves_anatomy_and_lesions_alone(tmp_path, monkeypatch):
    seen, tables = {"plain": [], "noisy": []}, {}
    original = mammogram.draw_mammogram

    def spy(rng, breast, *arguments):
        image = original(rng, breast, *arguments)
        seen[name].append((image.pixels, [lesion.risk for lesion in breast.lesions]))
        return image

    monkeypatch.setattr(cbis_ddsm_tree, "write_dicom", lambda *_, **__: None)
    monkeypatch.setattr(mammogram, "draw_mammogram", spy)
    for name, choice in (("plain", {}), ("noisy", {"label_noise": 1.0})):
        cbis_ddsm_tree.write(Phantom(patients=40, seed=3, **choice), tmp_path / name, None)
        tables[name] = read_cases(tmp_path / name)
    for (pixels, risks), (others, other_risks) in zip(seen["plain"], seen["noisy"], strict=True):
        np.testing.assert_array_equal(pixels, others)
        assert risks == other_risks
    changed = tables["plain"].ne(tables["noisy"]).any()
    assert set(changed.index[changed]) <= {"pathology", "assessment"} and changed["pathology"]


# --- VinDr-Mammo ---


def test_vindr_mammo_is_deterministic(tmp_path):
    for name in ("one", "two"):
        vindr_mammo_tree.write(Phantom(patients=4, seed=6), tmp_path / name, None)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_vindr_mammo_layout(vindr):
    folder, _ = vindr
    breasts = pd.read_csv(folder / "breast-level_annotations.csv")
    findings = pd.read_csv(folder / "finding_annotations.csv")
    metadata = pd.read_csv(folder / "metadata.csv")
    assert " ".join(breasts.columns) == f"{VINDR_IMAGE} split"
    assert " ".join(findings.columns) == f"{VINDR_IMAGE} finding_categories finding_birads xmin ymin xmax ymax split"
    assert len(breasts) == 4 * STUDIES and set(breasts["split"]) == {"training", "test"}
    assert breasts.groupby("study_id")["split"].nunique().eq(1).all()
    assert set(metadata["SOP Instance UID"]) == set(breasts["image_id"])
    for row in breasts.itertuples():
        image = pydicom.dcmread(folder / "images" / row.study_id / f"{row.image_id}.dicom", stop_before_pixels=True)
        assert (image.Rows, image.Columns) == (row.height, row.width)


def test_vindr_mammo_findings_agree_with_the_truth(vindr):
    folder, truth = vindr
    findings = pd.read_csv(folder / "finding_annotations.csv")
    categories = findings["finding_categories"].map(ast.literal_eval)
    empty = categories.map(lambda names: names == ["No Finding"])
    boxes = ["xmin", "ymin", "xmax", "ymax"]
    assert findings.loc[empty, [*boxes, "finding_birads"]].isna().all(axis=None)
    assert findings.loc[~empty, [*boxes, "finding_birads"]].notna().all(axis=None)
    for label, name in vindr_mammo_tree.LABELS.items():
        marked = findings[categories.map(lambda names, name=name: name in names)]
        shown = truth[(truth["label"] == label) & truth["present"]].set_index("image_id")
        assert set(marked["image_id"]) == set(shown.index) and len(shown)
        union = marked.groupby("image_id").agg({"xmin": "min", "ymin": "min", "xmax": "max", "ymax": "max"})
        np.testing.assert_array_equal(union, shown.loc[union.index, ["x0", "y0", "x1", "y1"]])
    affected = findings[~empty]["study_id"].nunique() / STUDIES
    assert 0.5 < affected < 1.0
