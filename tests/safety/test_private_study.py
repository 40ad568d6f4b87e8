"""A whole study on restricted data, with the network cut: nothing of the patients is in what may be passed on."""

import base64
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmpkd.config.cohorts import Phantom
from mmpkd.outputs.figure import Drawing, new_figure
from mmpkd.phantom.write import write_tree
from tests.checkout import Workflow, copy_repository
from tests.safety.network import routes, run_python, why_not
from tests.safety.planted import (
    NAME,
    SENTENCE,
    WORDS,
    identifiers,
    plant,
    plant_cell,
    plant_images,
    readable,
    secrets_in,
)

WARD = "Marmaduke-ward"  # a folder whose name tells something, too
# What docs/privacy.md says stays with the user: below these folders records are held or named.
STAYS = {"attention", "cache", "cohorts", "evaluation", "images", "privileged", "teachers"}
STUDY = {
    "study": "private",
    "seeds": [0],
    "cohorts": {"vindr_cxr": None, "cbis_ddsm": None},
    "domains": {"cxr": {"cohorts": ["vindr_mammo"], "teacher": {"folds": 2}}, "mammography": None},
    "arms": {"shuffled": None},
    "design": {"shuffled": None},
    "imaging": {"window": "dicom"},
    "student": {"backbone": {"source": "none"}},
    "training": {"epochs": 2},
    "evaluation": {"resamples": 200, "methods": ["last_layer"], "metrics": ["pixel_auroc"]},
    "claims": dict.fromkeys(("in_domain_mammography", "other_data_set", "other_modality", "interaction")),
    "tables": ["cohorts", "teachers", "claims"],
    "figures": ["attention_examples"],
}


@dataclass
class Data:
    """Planted trees of two restricted data sets, and what must stay secret of them."""

    folder: Path
    secrets: set[str]

    def overlay(self, **further) -> str:
        """The configuration of a study on them."""
        roots = {name: {"root": str(self.folder / name)} for name in ("mimic_cxr", "vindr_mammo")}
        cohorts = {name: {**root, "phantom": None, "restricted": True} for name, root in roots.items()}
        cohorts["mimic_cxr"] |= further
        return yaml.safe_dump({**STUDY, "cohorts": {**STUDY["cohorts"], **cohorts}})


@dataclass
class Run:
    """A checkout after a run, and what was said on the terminal."""

    workflow: Workflow
    said: str

    @property
    def results(self) -> Path:
        return self.workflow.folder / "results/private"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Data:
    folder = tmp_path_factory.mktemp("data") / WARD
    chest, breast = folder / "mimic_cxr", folder / "vindr_mammo"
    write_tree("mimic_cxr", Phantom(patients=70, seed=9), chest)
    plant(chest)
    write_tree("vindr_mammo", Phantom(patients=8, seed=4), breast)
    plant_images(sorted((breast / "images").rglob("*.dicom")))
    secrets = {*WORDS, "Marmaduke"}
    secrets |= identifiers(chest / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id", "study_id", "subject_id")
    secrets |= identifiers(breast / "breast-level_annotations.csv", "study_id", "series_id", "image_id")
    return Data(folder, secrets)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Run:
    """The finished study."""
    workflow = copy_repository(tmp_path_factory.mktemp("private") / "checkout")
    (workflow.folder / "private.yaml").write_text(data.overlay())
    return snakemake(workflow, "all", code=0)


def snakemake(workflow: Workflow, target: str, code: int) -> Run:
    options = ["-m", "snakemake", "--cores", "2", "--configfile", "private.yaml", "--", target]
    process = run_python(options, workflow.folder, cut_off=not why_not())
    assert process.returncode == code, process.stdout[-8000:]
    return Run(workflow, process.stdout)


def leaks(files, secrets: set[str]) -> dict[str, list[str]]:
    """What each file tells, of those that tell something."""
    found = {str(path): secrets_in(readable(path), secrets) for path in files}
    return {path: words for path, words in found.items() if words}


def passed_on(results: Path) -> list[Path]:
    """Every file of a study outside the folders that stay, and the weights."""
    files = [path for path in results.rglob("*") if path.is_file()]
    return [p for p in files if p.relative_to(results).parts[0] not in STAYS or p.suffix == ".safetensors"]


def test_what_was_planted_was_read(run):
    """Else the searches below would prove nothing."""
    cohorts = run.results / "cohorts"
    assert SENTENCE in " ".join(pd.read_parquet(cohorts / "mimic_cxr/privileged.parquet")["report"])
    for name in ("mimic_cxr", "vindr_mammo"):
        [rejected] = (run.results / "images" / name).glob("*/rejected.csv")
        assert NAME in rejected.read_text(), "a decoder's message quotes the header"
    scores = pd.read_parquet(run.results / "evaluation/scores.parquet")
    assert {"mimic_cxr", "vindr_mammo"} <= set(scores["cohort"])


def test_what_may_be_passed_on_reveals_nothing(run, data):
    files = passed_on(run.results)
    kinds = {path.relative_to(run.results).parts[0] for path in files}
    assert {"logs", "tables", "figures", "benchmarks", "students", "report.html", "provenance.json"} <= kinds
    assert "ro-crate-metadata.json" in kinds and "teachers" in kinds and len(files) > 50
    assert leaks(files, data.secrets) == {}


def test_what_stays_does_reveal(run, data):
    """The search finds what is there."""
    for name in (
        "cohorts/mimic_cxr/images.parquet",
        "cohorts/vindr_mammo/rejected.csv",
        "cohorts/mimic_cxr/cohort.json",
    ):
        assert secrets_in(readable(run.results / name), data.secrets), name


def test_snakemake_reveals_nothing(run, data):
    folder = run.workflow.folder / ".snakemake"
    assert "Report: results/private/report.html" in run.said and secrets_in(run.said, data.secrets) == []
    logs = list((folder / "log").iterdir())
    assert logs and leaks(logs, data.secrets) == {}


def test_the_workflow_s_own_records_hold_the_folder_alone(run, data):
    """`.snakemake` keeps each job's parameters, of which the data sets' folders are some."""
    files = [path for path in (run.workflow.folder / ".snakemake").rglob("*") if path.is_file()]
    texts = [readable(path) for path in files]
    assert any(WARD in text for text in texts)
    assert [secrets_in(text.replace(str(data.folder), ""), data.secrets) for text in texts] == [[]] * len(files)


def test_a_job_that_fails_reports_counts_and_reasons_alone(data, tmp_path):
    """A table in which no row is what it should be: the rule that reads it stops, with a traceback."""
    tables = tmp_path / WARD
    tables.mkdir()
    for path in (data.folder / "mimic_cxr").glob("*.csv*"):
        shutil.copy(path, tables)
    plant_cell(tables / "mimic-cxr-2.0.0-split.csv.gz", "split", slice(None))
    workflow = copy_repository(tmp_path / "checkout")
    (workflow.folder / "private.yaml").write_text(data.overlay(folders={"tables": str(tables)}))
    run = snakemake(workflow, "results/private/cohorts/mimic_cxr/images.parquet", code=1)
    log = (run.results / "logs/cohort/mimic_cxr.log").read_text()
    for text in (run.said, log):
        assert "no record is left; set aside:" in text and "malformed identifier or split" in text
        assert secrets_in(text, data.secrets) == []
    assert leaks((workflow.folder / ".snakemake/log").iterdir(), data.secrets) == {}


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_no_network_was_there(run):
    """The study of this file ran where there is none."""
    assert routes(run.said) == 0


def test_the_search_sees_through_the_formats(tmp_path):
    """A name as drawn text, as metadata, and in a picture inside a page."""
    figure = new_figure(1, 2)
    figure.text(0.1, 0.5, NAME)
    paths = [tmp_path / name for name in ("drawn.pdf", "drawn.png", "drawn.txt")]
    Drawing(figure, "Nobody.").write(*paths)
    assert NAME.encode() not in paths[0].read_bytes() and "Zebulon" in secrets_in(readable(paths[0]), {"Zebulon"})
    picture, facts = BytesIO(), PngInfo()
    facts.add_text("Comment", NAME, zip=True)
    Image.new("L", (8, 8)).save(picture, "PNG", pnginfo=facts)
    (tmp_path / "noted.png").write_bytes(picture.getvalue())
    inline = base64.b64encode(picture.getvalue()).decode()
    (tmp_path / "page.html").write_text(f'<img src="data:image/png;base64,{inline}">')
    assert NAME.encode() not in picture.getvalue()
    for name in ("noted.png", "page.html"):
        assert secrets_in(readable(tmp_path / name), {"Zebulon"}), name
