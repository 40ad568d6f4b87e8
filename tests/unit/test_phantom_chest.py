"""The phantom chest radiographs: drawing tools, DICOM writer, trees, reports, labels and shapes."""

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from hypothesis import given, settings, strategies
from scipy.ndimage import zoom

from mmpkd.config.cohorts import Phantom
from mmpkd.phantom import canvas, chest, reports
from mmpkd.phantom.chest_findings import Finding
from mmpkd.phantom.shapes import KINDS, draw_shapes
from mmpkd.phantom.write import TRANSFER_SYNTAXES, TRUTH_COLUMNS, stable_uid, write_dicom, write_tree

PATIENTS = 60


@pytest.fixture(scope="module")
def mimic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mimic")
    return folder, write_tree("mimic_cxr", Phantom(patients=PATIENTS, seed=5), folder)


@pytest.fixture(scope="module")
def vindr(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vindr")
    return folder, write_tree("vindr_cxr", Phantom(patients=20, seed=6), folder)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def frontal(label=None, severity=0.9, side="left", index=0, **distractors):
    """A drawn frontal image with one finding, and its boxes."""
    rng = np.random.default_rng([9, index])
    anatomy = chest.Anatomy.draw(rng, chest.MIMIC)
    findings = {} if label is None else {label: Finding(label, severity, side, "upper", 3)}
    return chest.draw_frontal(rng, chest.MIMIC, anatomy, chest.Study("PA", findings, distractors))


# canvas


def test_grid_has_pixel_centres_at_half_integers():
    y, x = canvas.grid(3, 4)
    assert y.ravel().tolist() == [0.5, 1.5, 2.5]
    assert x.ravel().tolist() == [0.5, 1.5, 2.5, 3.5]


def test_ellipse_has_its_area_and_its_bounds():
    opacity = canvas.soft_ellipse(canvas.grid(100, 120), (50, 60), (20, 30), softness=1)
    assert opacity.sum() == pytest.approx(np.pi * 20 * 30, rel=0.01)
    assert canvas.bounds(opacity) == (30, 30, 90, 70)


def test_a_quarter_turn_swaps_the_half_axes():
    grid = canvas.grid(80, 80)
    turned = canvas.soft_ellipse(grid, (40, 40), (10, 25), np.pi / 2)
    assert np.allclose(turned, canvas.soft_ellipse(grid, (40, 40), (25, 10)), atol=1e-3)


def test_line_has_its_area():
    opacity = canvas.line(canvas.grid(60, 60), (30, 10), (30, 50), 4)
    assert opacity.sum() == pytest.approx(4 * 40 + np.pi * 4, rel=0.03)


@pytest.mark.parametrize(
    ("p", "q"), [((-9, 4), (25, 70)), ((38, -6), (45, 20)), ((-15, -15), (-12, 30)), ((50, 60), (58, 64))]
)
def test_a_line_that_leaves_the_picture_is_cut(p, q):
    whole = canvas.line(canvas.grid(80, 90), (p[0] + 20, p[1] + 20), (q[0] + 20, q[1] + 20), 4, softness=3)
    assert np.allclose(canvas.line(canvas.grid(40, 50), p, q, 4, softness=3), whole[20:60, 20:70], atol=1e-4)


def test_blob_without_irregularity_is_a_circle():
    rng = np.random.default_rng(0)
    opacity = canvas.blob(rng, canvas.grid(60, 60), (30, 30), 12, 0.0, 1)
    assert opacity.sum() == pytest.approx(np.pi * 144, rel=0.02)


@settings(max_examples=20, deadline=None)
@given(
    rows=strategies.integers(8, 90),
    columns=strategies.integers(8, 90),
    exponent=strategies.sampled_from([0.0, 1.0, 2.0]),
)
def test_texture_is_standardised(rows, columns, exponent):
    noise = canvas.texture(np.random.default_rng(1), rows, columns, exponent)
    assert noise.shape == (rows, columns) and noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, abs=1e-3)


def test_texture_falls_with_its_exponent():
    noise = canvas.texture(np.random.default_rng(2), 256, 256, 1.5)
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    chosen = (frequency > 0.02) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[chosen]), np.log(power[chosen]), 1)[0]
    assert slope == pytest.approx(-3.0, abs=0.15)  # power is amplitude squared


def test_nothing_has_no_bounds():
    with pytest.raises(IndexError):
        canvas.bounds(np.zeros((4, 4)))


# DICOM writer


@pytest.mark.parametrize("syntax", sorted(TRANSFER_SYNTAXES))
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16)])
def test_written_pixels_come_back(tmp_path, syntax, dtype, bits):
    pixels = np.random.default_rng(3).integers(0, 2**bits, (37, 41)).astype(dtype)
    arguments = {"modality": "DX", "photometric": "MONOCHROME1", "bits_stored": bits, "transfer_syntax": syntax}
    for name in ("a", "b"):
        write_dicom(tmp_path / name, pixels, **arguments, elements={"SOPInstanceUID": "2.25.1", "ViewPosition": "PA"})
    dataset = pydicom.dcmread(tmp_path / "a")
    assert dataset.file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[syntax][0]
    assert (dataset.BitsStored, dataset.HighBit, dataset.ViewPosition) == (bits, bits - 1, "PA")
    assert np.array_equal(dataset.pixel_array, pixels)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("pixels", "bits", "elements", "message"),
    [
        (np.zeros((4, 4), np.float32), 8, {"SOPInstanceUID": "2.25.1"}, "float32"),
        (np.zeros(4, np.uint8), 8, {"SOPInstanceUID": "2.25.1"}, "shape"),
        (np.full((4, 4), 4096, np.uint16), 12, {"SOPInstanceUID": "2.25.1"}, "4096"),
        (np.zeros((4, 4), np.uint8), 12, {"SOPInstanceUID": "2.25.1"}, "bits_stored"),
        (np.zeros((4, 4), np.uint8), 8, {}, "SOPInstanceUID"),
    ],
)
def test_unfit_pixels_are_refused(tmp_path, pixels, bits, elements, message):
    arguments = {"modality": "CR", "photometric": "MONOCHROME2", "transfer_syntax": "explicit"}
    with pytest.raises(ValueError, match=message):
        write_dicom(tmp_path / "a", pixels, bits_stored=bits, elements=elements, **arguments)
    assert not list(tmp_path.iterdir())


def test_stable_uids_are_valid_and_differ():
    assert stable_uid("a", 1) == stable_uid("a", "1") != stable_uid("a1")
    assert pydicom.uid.UID(stable_uid("image", 7)).is_valid


# drawing


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("label", [label for label in chest.LABELS if label != "Cardiomegaly"])
def test_the_box_covers_what_was_drawn(label, side):
    for index in range(4):
        image, boxes = frontal(label, 0.8, side, index)
        normal, _ = frontal(None, index=index)
        x0, y0, x1, y1 = (int(edge) for edge in boxes[label])
        # The same random numbers draw the same body, so that the difference is the lesion; smoothed against noise.
        change = np.abs(zoom(zoom(image - normal, 0.25, order=1), 4, order=1, grid_mode=True, mode="nearest"))
        margin = 4
        inside = np.zeros(image.shape, bool)
        inside[max(y0 - margin, 0) : y1 + margin, max(x0 - margin, 0) : x1 + margin] = True
        rows, columns = min(change.shape[0], image.shape[0]), min(change.shape[1], image.shape[1])
        change, inside = change[:rows, :columns], inside[:rows, :columns]
        assert change[inside].mean() > 5 * change[~inside].mean()
        centre = (x0 + x1) / 2 > image.shape[1] / 2
        assert centre == (side == "left")  # the patient's left is the image's right


def test_severity_makes_a_lesion_larger_and_stronger():
    for label in chest.LABELS:
        sizes = []
        for severity in (0.1, 0.95):
            image, boxes = frontal(label, severity, "left")
            x0, y0, x1, y1 = boxes[label]
            sizes.append((x1 - x0) * (y1 - y0))
        assert sizes[1] > 1.25 * sizes[0], label


def test_cardiomegaly_is_wider_than_any_normal_heart():
    image, boxes = frontal("Cardiomegaly", 0.02)
    x0, _, x1, _ = boxes["Cardiomegaly"]
    rng = np.random.default_rng([9, 0])
    thorax = 2 * chest.Anatomy.draw(rng, chest.MIMIC).half_width * image.shape[1]
    assert (x1 - x0) / thorax > 0.5


def test_images_are_in_range_and_the_lungs_are_dark():
    image, boxes = frontal()
    assert not boxes and image.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 1
    rows, columns = image.shape
    lung, spine = image[int(0.45 * rows), int(0.3 * columns)], image[int(0.9 * rows), int(0.5 * columns)]
    assert spine > lung + 0.1


@pytest.mark.parametrize("seed", range(6))
def test_digitised_images_keep_their_order(seed):
    image = np.linspace(0, 1, 500, dtype=np.float32).reshape(20, 25)
    detector = chest.Detector.draw(np.random.default_rng(seed))
    pixels = detector.digitise(image)
    steps = np.diff(pixels.astype(int).ravel())
    assert (steps > 0).all() if detector.photometric == "MONOCHROME2" else (steps < 0).all()
    assert pixels.max() < 2**detector.bits and 12 <= detector.bits <= 16


def test_a_study_follows_the_one_before():
    rng = np.random.default_rng(13)
    anatomy = chest.Anatomy.draw(rng, chest.MIMIC)
    before = chest.Study("PA", {label: Finding(label, 0.5, "left", "upper", 1) for label in chest.LABELS})
    kept = [chest.draw_study(rng, chest.MIMIC, anatomy, before) for _ in range(200)]
    share = np.mean([len(study.findings) for study in kept]) / len(chest.LABELS)
    assert share == pytest.approx((4 * 0.5 + 1) / 5, abs=0.05)  # a half of four, and the heart
    for study in kept:
        assert all((change == "resolved") == (label not in study.findings) for label, change in study.changes.items())
        assert "new" not in study.changes.values()


# reports and labels


def drawn_reports(count: int, noise: float):
    for index in range(count):
        rng = np.random.default_rng([21, index])
        anatomy = chest.Anatomy.draw(rng, chest.MIMIC)
        study = chest.draw_study(rng, chest.MIMIC, anatomy)
        report = reports.write_report(rng, anatomy, study, False, noise)
        yield study, report, reports.labeller(rng, study, report, noise)


def test_without_noise_the_labels_are_the_truth():
    for study, report, labels in drawn_reports(200, 0.0):
        assert not report.hedged
        for label in chest.LABELS:
            assert labels[label] == 1.0 if label in study.findings else labels[label] != 1.0
        assert (labels["No Finding"] == 1.0) == (not study.findings)


def test_noise_misses_mild_findings_most():
    called = {True: [], False: []}
    false_alarms, uncertain = [], 0
    for study, report, labels in drawn_reports(1500, 0.5):
        assert report.hedged <= set(study.findings)
        for label in chest.LABELS:
            if label in study.findings:
                called[study.findings[label].severity < 0.5].append(labels[label] == 1.0)
                uncertain += labels[label] == -1.0
            else:
                false_alarms.append(labels[label] == 1.0)
    assert np.mean(called[False]) > np.mean(called[True]) + 0.2
    assert np.mean(false_alarms) == pytest.approx(0.5 / 14, abs=0.01)
    assert uncertain > 50


def test_a_report_states_what_was_drawn_and_no_more():
    words = {
        "Pleural Effusion": r"effusion|costophrenic|fluid",
        "Pneumothorax": r"pneumothorax|pleural line|visceral|lucency",
        "Consolidation": r"consolidation|hazy focal|patchy opacity|ill-defined density",
        "Atelectasis": r"atelectasis|volume loss|streaky|band-like",
        "Cardiomegaly": r"cardiomegaly|heart|cardiac|cardiothoracic",
    }
    negation = r"\b(no|negative|normal|within normal limits|resolved|resolution|no longer)\b"
    for study, report, _ in drawn_reports(300, 0.5):
        text = " ".join(report.text.split()).split("FINDINGS:")[-1].split("IMPRESSION:")
        for section in text if "FINDINGS:" in report.text else text[-1:]:
            sentences = re.split(r"(?<=\.) ", section)
            for label, pattern in words.items():
                said = [s for s in sentences if re.search(pattern, s, re.I)]
                # "above the upper limits of normal" and "not sharp" state a finding in spite of their words
                stated = [s for s in said if not re.search(negation, s, re.I) or "upper limits" in s]
                if "INDICATION" not in section:
                    assert bool(stated) == (label in study.findings), (label, sentences)


def test_reports_vary_and_carry_real_headers():
    texts = [report.text for _, report, _ in drawn_reports(400, 0.5)]
    sentences = {s for text in texts for s in re.split(r"(?<=\.) ", " ".join(text.split()))}
    assert len(sentences) > 300
    assert all(line == "" or line.startswith(" ") for text in texts for line in text.split("\n"))
    shares = {name: np.mean([f"\n {name}:" in text for text in texts]) for name in ("FINDINGS", "IMPRESSION")}
    assert all(0.7 < share < 0.95 for share in shares.values())


# MIMIC-CXR


def read_tables(folder):
    names = ("split", "metadata", "chexpert")
    return [pd.read_csv(folder / f"mimic-cxr-2.0.0-{name}.csv.gz") for name in names]


def test_mimic_layout(mimic):
    folder, truth = mimic
    split, metadata, chexpert = read_tables(folder)
    assert list(truth.columns) == TRUTH_COLUMNS
    assert list(split.columns) == ["dicom_id", "study_id", "subject_id", "split"]
    assert list(chexpert.columns) == ["subject_id", "study_id", *reports.CHEXPERT_LABELS]
    assert list(metadata.columns)[3:7] == ["PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns"]
    pattern = re.compile(r"files/p1\d/p1\d{7}/s5\d{7}/([0-9a-f]{8}-){4}[0-9a-f]{8}\.dcm")
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*.dcm")]
    assert all(pattern.fullmatch(path) for path in paths)
    missing = set(split["dicom_id"]) - {Path(path).stem for path in paths}
    assert len(missing) == 1  # one file is absent, as a note in docs/phantom.md says
    assert split.duplicated().sum() == metadata.duplicated().sum() == 1
    assert set(split["split"]) == {"train", "validate", "test"}
    assert (split.groupby("subject_id")["split"].nunique() == 1).all()


def test_mimic_images_agree_with_metadata(mimic):
    folder, _ = mimic
    metadata = read_tables(folder)[1].drop_duplicates().set_index("dicom_id")
    broken, photometric, bits = 0, set(), set()
    for path in folder.rglob("*.dcm"):
        try:
            dataset = pydicom.dcmread(path)
            pixels = dataset.pixel_array
        except (ValueError, EOFError, AttributeError, pydicom.errors.InvalidDicomError):
            broken += 1
            continue
        row = metadata.loc[path.stem]
        assert pixels.shape == (row["Rows"], row["Columns"])
        assert dataset.PatientID == str(row["subject_id"]) and path.parent.name == f"s{row['study_id']}"
        photometric.add(dataset.PhotometricInterpretation)
        bits.add(dataset.BitsStored)
    assert broken == 1
    assert photometric == {"MONOCHROME1", "MONOCHROME2"} and min(bits) == 12 and len(bits) > 2


def test_ms_cxr_boxes_are_the_truth_of_test_and_of_some_training_patients(mimic):
    folder, truth = mimic
    split = read_tables(folder)[0].drop_duplicates().set_index("dicom_id")
    boxes = pd.read_csv(folder / "ms-cxr" / "MS_CXR_Local_Alignment_v1.1.0.csv")
    assert set(split.loc[boxes["dicom_id"], "split"]) == {"train", "test"}
    joined = boxes.merge(truth, left_on=["dicom_id", "category_name"], right_on=["image_id", "label"], how="left")
    assert joined["present"].all()
    outside = joined["x"] + joined["w"] > joined["image_width"]
    for edge, drawn in (("x", "x0"), ("y", "y0")):
        assert (joined[edge] - joined[drawn]).abs().max() <= 1
    assert (joined["x"] + joined["w"] - joined["x1"])[~outside].abs().max() <= 1
    tested = truth[truth["present"] & truth["image_id"].map(split["split"]).eq("test")]
    drawn = set(tested["image_id"] + tested["label"])
    assert drawn and drawn <= set(boxes["dicom_id"] + boxes["category_name"])


def test_radiologists_labels_are_the_truth(mimic):
    folder, truth = mimic
    split = read_tables(folder)[0].drop_duplicates().set_index("dicom_id")
    labelled = pd.read_csv(folder / "mimic-cxr-2.1.0-test-set-labeled.csv").set_index("study_id")
    tested = truth[truth["image_id"].isin(split.index[split["split"] == "test"])]
    for row in tested.itertuples():
        assert labelled.loc[split.loc[row.image_id, "study_id"], row.label] == row.present


def test_the_same_seed_gives_the_same_bytes(mimic, tmp_path):
    folder, truth = mimic
    again = write_tree("mimic_cxr", Phantom(patients=8, seed=5), tmp_path / "again")
    once_more = write_tree("mimic_cxr", Phantom(patients=8, seed=5), tmp_path / "more")
    assert digests(tmp_path / "again") == digests(tmp_path / "more")
    pd.testing.assert_frame_equal(again, once_more)
    # A patient does not depend on how many others there are.
    pd.testing.assert_frame_equal(again, truth.iloc[: len(again)])
    other = write_tree("mimic_cxr", Phantom(patients=8, seed=6), tmp_path / "other")
    assert not set(other["image_id"]) & set(again["image_id"])


def test_gzip_headers_hold_no_time(mimic):
    header = (mimic[0] / "mimic-cxr-2.0.0-split.csv.gz").read_bytes()[:10]
    assert header[4:8] == b"\0\0\0\0"
    assert gzip.decompress((mimic[0] / "mimic-cxr-2.0.0-split.csv.gz").read_bytes()).startswith(b"dicom_id,")


def test_label_noise_changes_no_drawing(tmp_path):
    plain = write_tree("mimic_cxr", Phantom(patients=10, seed=5), tmp_path / "plain")
    noisy = write_tree("mimic_cxr", Phantom(patients=10, seed=5, label_noise=1.0), tmp_path / "noisy")
    pd.testing.assert_frame_equal(plain, noisy)
    images = {name: digest for name, digest in digests(tmp_path / "plain").items() if name.endswith(".dcm")}
    assert images.items() <= digests(tmp_path / "noisy").items()


# VinDr-CXR


def test_vindr_layout(vindr):
    folder, truth = vindr
    assert list(truth.columns) == TRUTH_COLUMNS
    assert len(list((folder / "train").glob("*.dicom"))) == 4 and len(list((folder / "test").glob("*.dicom"))) == 16
    boxes = pd.read_csv(folder / "annotations" / "annotations_train.csv")
    assert list(boxes.columns) == ["image_id", "rad_id", "class_name", "x_min", "y_min", "x_max", "y_max"]
    assert (boxes.groupby("image_id")["rad_id"].nunique() == 3).all()
    none = boxes["class_name"] == "No finding"
    assert boxes.loc[none, "x_min"].isna().all() and boxes.loc[~none, "x_min"].notna().all()
    train = pd.read_csv(folder / "annotations" / "image_labels_train.csv")
    test = pd.read_csv(folder / "annotations" / "image_labels_test.csv")
    assert list(train.columns)[:2] == ["image_id", "rad_id"] and "Other diseases" in train
    assert "rad_id" not in test and "Other disease" in test and "Pleural effusion" in test
    assert len(train) == 3 * 4 and len(test) == 16


def test_vindr_consensus_is_the_truth(vindr):
    folder, truth = vindr
    labels = pd.read_csv(folder / "annotations" / "image_labels_test.csv").set_index("image_id")
    boxes = pd.read_csv(folder / "annotations" / "annotations_test.csv")
    tested = truth[truth["image_id"].isin(labels.index)]
    for row in tested.itertuples():
        name = "Pleural effusion" if row.label == "Pleural Effusion" else row.label
        assert labels.loc[row.image_id, name] == row.present
        box = boxes[(boxes["image_id"] == row.image_id) & (boxes["class_name"] == name)]
        assert len(box) == row.present
        if row.present:
            side = row.x1 - row.x0
            assert abs(box["x_min"].iat[0] - row.x0) <= 0.04 * side + 1e-3


def test_vindr_files_name_no_patient(vindr):
    dataset = pydicom.dcmread(next((vindr[0] / "test").glob("*.dicom")))
    assert "PatientID" not in dataset and "PatientName" not in dataset


# the rest


def test_an_adapter_without_phantom_is_refused(tmp_path):
    with pytest.raises(ValueError, match="chexpert.*mimic_cxr"):
        write_tree("chexpert", Phantom(patients=4, seed=0), tmp_path)


def test_shapes_are_what_their_labels_say():
    pictures, labels = draw_shapes(300, 32, np.random.default_rng(4))
    assert pictures.shape == (300, 32, 32) and pictures.dtype == np.uint8
    assert labels.shape == (300, len(KINDS)) and labels.dtype == np.float32
    counts = labels.sum(axis=1)
    assert counts.min() == 1 and counts.max() == 4
    assert pictures.std(axis=(1, 2)).min() > 2
    assert np.abs(labels.mean(axis=0) - 2.5 / len(KINDS)).max() < 0.1
    again, _ = draw_shapes(300, 32, np.random.default_rng(4))
    assert np.array_equal(pictures, again)
    with pytest.raises(ValueError, match="size: 8"):
        draw_shapes(2, 8, np.random.default_rng(0))
