"""The base class of data sets, by the smallest data set that there can be; and that all data sets are found."""

import pandas as pd
import pytest

from mmpkd.cohorts.base import ChoiceError, DataSet, Need, find_data_set
from mmpkd.cohorts.listing import MissingFilesError
from mmpkd.config.cohorts import Cohort
from tests.cohorts import ADAPTERS


class Films(DataSet):
    """Films named `<patient>_<number>.png`, of which the third one of a patient is positive."""

    RESTRICTED = False
    SOURCE = "films are at https://films.example"
    OPTIONS = {"number": 3}
    FOLDERS = ("scans",)
    SUFFIXES = (".png",)

    def needs(self):
        return [Need(self.image_root, "films", self.SOURCE)]

    @property
    def image_root(self):
        return self.folder("scans", self.cohort.root / "films")

    def list_images(self):
        images = pd.DataFrame({"image_id": ["a_1", "a_2", "a_3", "b_3"]})
        patient = images["image_id"].str[0]
        self.notes["films"] = len(images)
        return images.assign(patient_id=patient, study_id=patient, split="test", view="PA")

    def find_files(self, images, files):
        return self.match(images, files.locate(images["image_id"] + ".png"), files)

    def label_table(self, images):
        return images[["image_id"]].assign(old=(images["image_id"].str[-1] == str(self.option("number"))).astype(float))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "films").mkdir()
    for name in ("a_1.png", "a_2.PNG", "b_3.png", "c_1.png"):
        (tmp_path / "films" / name).touch()
    return tmp_path


def films(root, **further) -> Films:
    return Films(Cohort(adapter="films", root=root, **further), ["old"])


def test_what_a_data_set_does_not_define_is_empty(root):
    tables = films(root).read()
    assert tables.images["path"].tolist() == ["a_1.png", "a_2.PNG", "b_3.png"]
    assert set(tables.images["laterality"]) == {""} and tables.images[["rows", "columns"]].isna().all(axis=None)
    assert tables.labels["old"].tolist() == [0, 0, 1]
    assert tables.rois.empty and tables.privileged.empty and tables.image_root == root / "films"
    assert tables.rejected.to_dict("list") == {"record": ["a_3"], "reason": ["image file is missing"]}
    assert tables.notes == {"films": 4}


def test_without_images_no_file_is_looked_for(tmp_path):
    tables = films(tmp_path, images=False).read()
    assert set(tables.images["path"]) == {""} and len(tables.images) == 4 and tables.rejected.empty


def test_a_folder_may_lie_elsewhere(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("scans")
    (elsewhere / "a_1.png").touch()
    tables = films(root, folders={"scans": elsewhere}).read()
    assert tables.images["image_id"].tolist() == ["a_1"] and tables.image_root == elsewhere


def test_nothing_left_is_an_error_that_says_where_to_look(root, tmp_path_factory):
    with pytest.raises(FileNotFoundError, match="films: no such folder; films are at https://films.example"):
        films(tmp_path_factory.mktemp("empty")).read()
    for path in (root / "films").iterdir():
        path.unlink()
    with pytest.raises(MissingFilesError, match="holds none of the 4 images of the tables; films are at https"):
        films(root).read()


@pytest.mark.parametrize(
    "wrong", [{"options": {"nummer": 1}}, {"options": {"number": "3"}}, {"folders": {"films": "/"}}]
)
def test_an_unknown_choice_is_refused_before_anything_is_read(root, wrong, monkeypatch):
    monkeypatch.setattr(Films, "list_images", lambda _: pytest.fail("read"))
    with pytest.raises(ChoiceError, match="films: "):
        films(root, **wrong).read()


def test_a_data_set_that_lacks_a_step_cannot_be_made(root):
    class Unlabelled(Films):
        label_table = DataSet.label_table

    with pytest.raises(TypeError, match="label_table"):
        Unlabelled(Cohort(adapter="films", root=root))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_data_set_is_found(adapter):
    data_set = find_data_set(adapter)
    assert issubclass(data_set, DataSet) and data_set.SOURCE
    assert data_set.__module__ == f"mmpkd.cohorts.datasets.{adapter}"
