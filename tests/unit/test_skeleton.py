"""`mmpkd init`: the first tables and the study of a folder of images."""

import pandas as pd
import pytest
from PIL import Image

from mmpkd.cli import main
from mmpkd.config.layers import load_layers
from mmpkd.config.tuned import left_open
from tests import cohorts


@pytest.fixture
def folder(tmp_path):
    for name in ("my films/a.png", "my films/more/b.PNG", "my films/._a.png", "my films/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6)).save(tmp_path / name, "PNG")
    return tmp_path / "my films"


def test_the_tables_name_the_images_and_the_study_reads_them(folder, capsys):
    assert main(["init", str(folder), "--images", "**/*.[pP]*", "--labels", "Nodule", "Größe: 5 #"]) == 0
    assert "images.csv: 2 images" in capsys.readouterr().out
    images = pd.read_csv(folder / "images.csv")
    columns = ["path", "patient", "study", "split", "view", "laterality", "Nodule", "Größe: 5 #", "report"]
    assert list(images) == columns and images["path"].tolist() == ["a.png", "more/b.PNG"]
    assert images[columns[1:]].isna().all(axis=None)
    layers = load_layers([folder / "study.yaml"])
    study = layers.study
    assert study.study == "my_films" and study.cohorts["own"].root == folder
    assert study.domains["own"].labels == ["Nodule", "Größe: 5 #"] and left_open(layers, True, True) == {}
    tables = cohorts.read(study.cohorts["own"], study.domains["own"].labels)
    assert tables.images["image_id"].tolist() == ["a", "b"] and tables.labels.iloc[:, 1:].isna().all(axis=None)
    assert tables.rois.empty and tables.privileged.empty and tables.rejected.empty


def test_images_of_one_name_get_identifiers(folder):
    (folder / "more/b.PNG").rename(folder / "more/a.png")
    assert main(["init", str(folder), "--images", "**/*.png"]) == 0
    images = pd.read_csv(folder / "images.csv")
    assert images["image"].tolist() == ["a.png", "more_a.png"] and "finding" in images


@pytest.mark.parametrize("name", ["images.csv", "rois.csv", "study.yaml"])
def test_nothing_is_overwritten(folder, name, capsys):
    (folder / name).write_text("mine")
    before = sorted(folder.iterdir())
    assert main(["init", str(folder), "--images", "*.png"]) == 2
    assert f"{name} is there already, and nothing is overwritten" in capsys.readouterr().err
    assert (folder / name).read_text() == "mine" and sorted(folder.iterdir()) == before


@pytest.mark.parametrize("pattern", ["*.jpg", "/tmp/*.png", ""])
def test_a_pattern_that_fits_nothing_is_explained(folder, pattern, capsys):
    assert main(["init", str(folder), "--images", pattern]) == 2
    assert "no file fits --images" in capsys.readouterr().err and not (folder / "images.csv").exists()
