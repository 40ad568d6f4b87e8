"""The COVID-19 image collection: a small fabricated clone with the dirt of the real one."""

import numpy as np
import pytest
from PIL import Image

from mmpkd.config.cohorts import Cohort
from mmpkd.config.imaging import Imaging
from mmpkd.imaging.shards import write_shard
from mmpkd.imaging.store import roi_masks
from mmpkd.privileged.records import build
from tests import cohorts

LABELS = ["COVID-19", "ARDS", "Viral", "Bacterial", "Pneumonia", "No Finding", "Lung Opacity", "Consolidation", "Lung"]
COLUMNS = "patientid,offset,finding,view,modality,folder,filename,license,clinical_notes,other_notes,"
ROWS = [
    '1,0,"COVID-19, ARDS",PA,X-ray,images,a.png,CC BY,"A case of COVID-19, day 3.",credit,',
    "1,4,Pneumonia/Viral/COVID-19,AP Supine,X-ray,images,b.jpg,,,credit,",
    "7a,,No Finding,ap,X-ray,images,c.png,CC BY-NC-ND 4.0,Unremarkable.,,",
    "2,0,COVID-19,L,X-ray,images,d.png,CC BY,note,,",
    "2,0,COVID-19,Axial,CT,images,e.png,CC BY,note,,",
    "3,0,todo,PA,X-ray,images,f.png, ,,,",
    "4,0,Klebsiella,PA,X-ray,images,g.png,,note,,",  # no file
    "5,0,SARS,PA,X-ray,images,a.png,CC BY,note,,",
    ",0,SARS,PA,X-ray,images,h.png,CC BY,note,,",
]
STRUCTURE = "#,Taxonomy,Class,Template Name,Filename,Image,Mask,Resolution,Top,Left,Width,Height"
REGIONS = [  # template, file, mask, resolution, top, left
    ("Ground Glass Opacities", "a.png", "masks/small.png", "20x16", 2, 5),
    ("Consolidation", "a.png", "masks/large.png", "40x32", 4, 10),  # the collection's image has half the size
    ("Ground Glass Opacities", "c.png", "masks/small.png", "30x30", 2, 5),  # and here another shape
    ("Left Lung", "c.png", "masks/small.png", "20x16", 2, 17),  # reaches out
    ("Consolidation", "b.jpg", "masks/small.png", "undefined", 2, 5),
    ("Consolidation", "b.jpg", "masks/none.png", "20x16", 2, 5),
    ("Consolidation", "b.jpg", "masks/black.png", "20x16", 2, 5),
    ("Consolidation", "b.jpg", "masks/broken.png", "20x16", 2, 5),
    ("Consolidation", "f.png", "", "20x16", 2, 5),
    ("Consolidation", "d.png", "masks/small.png", "20x16", 2, 5),
    ("Airways", "a.png", "masks/small.png", "20x16", 2, 5),
]
SHAPE = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 0, 0, 1]], dtype=bool)


def save_mask(path, shape):
    """As they are published: RGBA without transparency, black where there is no region."""
    pixels = np.zeros((*shape.shape, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    pixels[shape] = (0, 0, 200, 255)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "metadata.csv").write_text("\n".join([COLUMNS, *ROWS]) + "\n")
    rows = [f"{n},,,{t},{f},images/x.png,{m},{r},{y},{x},0,0" for n, (t, f, m, r, y, x) in enumerate(REGIONS)]
    (tmp_path / "structure.csv").write_text("\n".join([STRUCTURE, *rows]) + "\n")
    (tmp_path / "images").mkdir()
    grey = Image.fromarray(np.arange(320, dtype=np.uint8).reshape(16, 20))
    for name, mode in (("a.png", "L"), ("b.jpg", "RGB"), ("c.png", "RGBA"), ("f.png", "P")):
        grey.convert(mode).save(tmp_path / "images" / name)
    (tmp_path / "masks").mkdir()
    save_mask(tmp_path / "masks" / "small.png", SHAPE)
    save_mask(tmp_path / "masks" / "large.png", np.kron(SHAPE, np.ones((2, 2))).astype(bool))
    save_mask(tmp_path / "masks" / "black.png", SHAPE & False)
    (tmp_path / "masks" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def read(root, labels=LABELS, **further):
    return cohorts.read(Cohort(adapter="covid_chestxray", root=root, **further), labels)


def test_frontal_radiographs_and_their_licences(tree):
    images = read(tree, options={"test_share": 0.0, "validation_share": 0.0}).images
    assert images[["image_id", "patient_id", "path", "view", "split", "restricted"]].to_numpy().tolist() == [
        ["a.png", "1", "images/a.png", "PA", "test", False],  # for its regions
        ["b.jpg", "1", "images/b.jpg", "AP SUPINE", "test", True],  # for its patient
        ["c.png", "7a", "images/c.png", "AP", "test", True],  # its licence forbids changes
        ["f.png", "3", "images/f.png", "PA", "train", True],
    ]


def test_labels_of_both_editions_of_the_table(tree):
    labels = read(tree).labels
    assert list(labels.columns[1:]) == LABELS[:6]
    nan = np.nan
    np.testing.assert_array_equal(
        labels[LABELS[:6]].to_numpy(),
        [[1, 1, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1], [nan] * 6],
    )
    assert read(tree, ["Viral"], images=False).labels["Viral"].tolist()[:2] == [1, 1]


def test_a_mask_is_pasted_where_its_row_says(tree, tmp_path):
    tables = read(tree)
    assert tables.rois[["roi_id", "label", "kind"]].to_numpy().tolist() == [
        ["a.png_1", "Lung Opacity", "rle"],
        ["a.png_2", "Consolidation", "rle"],
        ["c.png_1", "Lung Opacity", "rle"],
    ]
    write_shard(tables, Imaging(size=20), 0, 1, tmp_path / "shard")
    table, masks = roi_masks([tmp_path / "shard"])
    expected = np.zeros((20, 20), dtype=np.uint8)  # two rows of padding above the image
    expected[4:7, 5:9] = SHAPE
    assert table["label"].tolist() == ["Lung Opacity", "Consolidation"]
    np.testing.assert_array_equal(masks, [expected, expected])
    rejected = (tmp_path / "shard" / "rejected.csv").read_text()
    assert 'c.png_1,"ROI: drawn on 30 x 30 pixels, but its image has 16 x 20"' in rejected


def test_what_is_left_out_is_named(tree):
    tables = read(tree)
    assert sorted(tables.rejected.itertuples(index=False, name=None)) == [
        ("a.png", "second row of an image"),
        ("b.jpg", "file of a region cannot be read (UnidentifiedImageError)"),
        ("b.jpg", "file of a region is missing"),
        ("b.jpg", "region whose Resolution, Top or Left in structure.csv is no number"),
        ("b.jpg", "region without a pixel"),
        ("c.png", "region that reaches out of its Resolution in structure.csv"),
        ("d.png", "region on an image that was left out"),
        ("d.png", "view is not a frontal radiograph"),
        ("e.png", "view is not a frontal radiograph"),
        ("g.png", "image file is missing"),
        ("h.png", "row of metadata.csv without filename or patientid"),
    ]
    assert tables.notes == {
        "regions_without_a_mask": 1,
        "patients_with_regions_who_go_to_test": 2,
        "images_without_a_finding": 1,
        "images_whose_licence_allows_no_picture": 3,
        "images_without_a_note": 2,
    }


def test_a_note_is_the_full_report(tree):
    records = build(read(tree), "text", ["COVID-19"])
    assert records[["key", "full_report", "target_COVID-19"]].to_numpy().tolist() == [
        ["a.png", "A case of COVID-19, day 3.", 1],
        ["c.png", "Unremarkable.", 0],
    ]


def test_the_regions_are_optional_and_may_lie_elsewhere(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("segmentations")
    for name in ("structure.csv", "masks"):
        (tree / name).rename(elsewhere / name)
    assert read(tree).rois.empty and len(read(tree, folders={"segmentations": elsewhere}).rois) == 3
    needs = cohorts.needs(Cohort(adapter="covid_chestxray", root=tree))
    assert [(need.path.name, need.required, need.found) for need in needs] == [
        ("metadata.csv", True, True),
        ("images", True, True),
        ("structure.csv", False, False),
    ]


def test_mistakes_are_named(tree):
    (tree / "structure.csv").write_text("Filename\na.png\n")
    with pytest.raises(ValueError, match=r"structure\.csv: column\(s\) template_name, mask, .* missing; .*General"):
        read(tree)
    (tree / "metadata.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"metadata\.csv: no such file; the collection is at https"):
        read(tree)
