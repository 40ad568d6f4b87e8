"""A small download for each adapter: a phantom of `PHANTOMS`, else the fabricated tree of its contract test.

A new adapter is found by itself. Its tests fail until it has a tree here: a phantom, or a fixture `<adapter>_tree`.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmpkd.config.cohorts import Phantom
from mmpkd.phantom.write import write_tree
from tests.cohorts import ADAPTERS
from tests.contract.test_cohort_chexlocalize import tree as chexlocalize_tree  # noqa: F401
from tests.contract.test_cohort_covid_chestxray import tree as covid_chestxray_tree  # noqa: F401
from tests.contract.test_cohort_inbreast import release as inbreast_tree  # noqa: F401
from tests.contract.test_cohort_inbreast import write_csv
from tests.contract.test_cohort_mini_mias import tree as mini_mias_tree  # noqa: F401
from tests.contract.test_cohort_nih_chestxray14 import tree as nih_chestxray14_tree  # noqa: F401
from tests.contract.test_cohort_open_i import PROJECTIONS, add_images
from tests.contract.test_cohort_open_i import tree as open_i_tree  # noqa: F401
from tests.contract.test_cohort_own import tree as own_tree  # noqa: F401
from tests.contract.test_cohort_rsna_pneumonia import tree as rsna_pneumonia_tree  # noqa: F401

LABELS = ["Atelectasis", "Cardiomegaly", "Lung Opacity", "No Finding", "Pleural Effusion"]  # of chests
LABELS += ["malignant", "mass", "calcification"]  # of breasts; each data set takes those that it knows
PHANTOMS = {"cbis_ddsm": 6, "mimic_cxr": 12, "vindr_cxr": 10, "vindr_mammo": 6}  # patients


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("phantoms")
    for adapter, patients in PHANTOMS.items():
        write_tree(adapter, Phantom(patients=patients, seed=1), folder / adapter)
    return {adapter: folder / adapter for adapter in PHANTOMS}


def write_coco(folder: Path) -> None:
    """The boxes of MS-CXR in its other form, in place of the table."""
    [sheet] = folder.glob("*.csv")
    boxes = pd.read_csv(sheet)
    names, labels = list(boxes["dicom_id"].unique()), list(boxes["category_name"].unique())
    images = [
        {"id": number, "file_name": f"{box.dicom_id}.jpg", "width": box.image_width, "height": box.image_height}
        for number, box in enumerate(boxes.drop_duplicates("dicom_id").itertuples())
    ]
    annotations = [
        {
            "image_id": names.index(box.dicom_id),
            "category_id": labels.index(box.category_name),
            "bbox": [box.x, box.y, box.w, box.h],
        }
        for box in boxes.itertuples()
    ]
    categories = [{"id": number, "name": label} for number, label in enumerate(labels)]
    release = {"images": images, "categories": categories, "annotations": annotations}
    sheet.with_suffix(".json").write_text(json.dumps(release))
    sheet.unlink()


@pytest.fixture(params=ADAPTERS)
def tree(request, phantoms, tmp_path_factory) -> tuple[str, Path]:
    """An adapter's name and a copy of its tree, which a test may change."""
    adapter, root = request.param, tmp_path_factory.mktemp("tree") / "root"
    source = phantoms.get(adapter.removesuffix("_jpg")) or request.getfixturevalue(f"{adapter}_tree")
    shutil.copytree(source, root)
    if adapter == "mimic_cxr_jpg":
        for path in root.rglob("*.dcm"):
            path.rename(path.with_suffix(".jpg"))
        write_coco(root / "ms-cxr")
    elif adapter == "open_i":
        add_images(root, "png")
        (root / "indiana_projections.csv").write_text(PROJECTIONS)
    elif adapter == "inbreast":  # the sheet as text, for a test to change
        [sheet] = root.rglob("INbreast.xls")
        write_csv(sheet.with_suffix(".csv"))
        sheet.unlink()
    return adapter, root
