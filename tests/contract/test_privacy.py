"""Names, identifiers and reports of a restricted data set stay out of logs, terminals and the shareable report.

A phantom of MIMIC-CXR is given a patient's name in its headers, a sentence in its reports and every kind of broken
file; then the stages that read it run as the workflow runs them, and everything that they say is searched.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydicom import dcmread
from pydicom.data import get_testdata_file

from mmpkd.config.cohorts import Phantom
from mmpkd.config.demo import DEMO
from mmpkd.phantom.write import write_tree
from tests.safety.planted import SENTENCE, WORDS, break_window, identifiers, plant, secrets_in

ROOT = Path(__file__).parents[2]

# The stages as their scripts run them, each with a log of its own, and the part of the report that needs no student.
STAGES = """
import json, sys
from pathlib import Path
import pandas as pd
from mmpkd.cohorts.base import find_data_set
from mmpkd.cohorts.tables import read_tables
from mmpkd.config.cohorts import Cohort
from mmpkd.config.imaging import Imaging
from mmpkd.config.demo import DEMO
from mmpkd.files import write_json, write_parquet, write_text
from mmpkd.imaging.shards import write_shard
from mmpkd.logs import log_to
from mmpkd.outputs.table_cohorts import count_all
from mmpkd.privileged.records import build
from mmpkd.provenance.record import origin as origin_of
from mmpkd.provenance.record import record
from mmpkd.report.page import build as build_report
from mmpkd.results import Results

root, out = Path(sys.argv[1]), Path(sys.argv[2])
labels = ["Atelectasis", "Cardiomegaly", "Pleural Effusion"]
cohort = Cohort(adapter="mimic_cxr", root=root, restricted=True)
log_to(out / "logs" / "cohort.log")
find_data_set(cohort.adapter)(cohort, labels).read().write(out / "cohorts")
tables = read_tables(out / "cohorts")
log_to(out / "logs" / "privileged.log")
write_parquet(build(tables, "text", labels), out / "records.parquet")
log_to(out / "logs" / "preprocess.log")
write_shard(tables, Imaging(window="dicom"), 0, 1, out / "shard0")
log_to(out / "logs" / "report.log")
rejected = pd.read_csv(out / "shard0" / "rejected.csv", dtype=str)
results = Results(str(out))
count_all({"mimic_cxr": tables}, {"mimic_cxr": rejected}).write(*results.table("cohorts").values())
study = {**DEMO.model_dump(mode="json"), "tables": ["cohorts"], "figures": []}
study["cohorts"]["mimic_cxr"] = cohort.model_dump(mode="json")
origin = origin_of(study)
write_json(record(study, out, ["records.parquet"], {"mimic_cxr": cohort}), out / "provenance.json")
write_text(build_report(study, results, origin), out / "report.html")
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("private") / "mimic_cxr"
    write_tree("mimic_cxr", Phantom(patients=70, seed=9), folder)
    plant(folder)
    return folder


@pytest.fixture(scope="module")
def secrets(tree) -> set[str]:
    """What was planted, and every identifier of the data set."""
    return identifiers(tree / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id", "study_id", "subject_id") | set(WORDS)


@pytest.fixture(scope="module")
def run(tree, tmp_path_factory):
    """The stages on the planted tree: what they wrote, and what they said on the terminal."""
    out = tmp_path_factory.mktemp("out")
    process = subprocess.run(
        [sys.executable, "-c", STAGES, str(tree), str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, "the planted tree is read"
    return out, process.stdout + process.stderr


def test_the_planted_words_were_read(run):
    """Else the search below would prove nothing."""
    out, _ = run
    assert SENTENCE in " ".join(pd.read_parquet(out / "cohorts" / "privileged.parquet")["report"])
    rejected = pd.read_csv(out / "shard0" / "rejected.csv")
    assert rejected["reason"].nunique() >= 3 and len(rejected) > 5
    assert "Zebulon" in " ".join(rejected["reason"]), "a decoder's message quotes the header"
    assert "report cannot be read" in (out / "cohorts" / "rejected.csv").read_text()


@pytest.mark.parametrize("name", ["cohort", "privileged", "preprocess", "report"])
def test_logs_hold_counts_alone(run, secrets, name):
    out, _ = run
    text = (out / "logs" / f"{name}.log").read_text()
    assert secrets_in(text, secrets) == []


def test_nothing_is_printed_on_the_terminal(run, secrets):
    assert secrets_in(run[1], secrets) == []


def test_the_shareable_report_holds_nothing_of_it(run, secrets, tree):
    out, _ = run
    shared = [out / "report.html", out / "provenance.json", *(out / "tables").iterdir()]
    assert len(shared) == 6
    for path in shared:
        text = path.read_text()
        assert secrets_in(text, secrets) == [], path.name
        assert str(tree.parent) not in text, path.name
    assert "rejected.csv" not in (out / "report.html").read_text(), "it names records"


def test_the_reasons_in_the_tables_name_nobody(run, secrets):
    """What a header holds may end up in a decoder's message, and that in rejected.csv, but in no table."""
    out, _ = run
    assert secrets_in((out / "tables" / "cohorts.csv").read_text(), secrets) == []


def test_a_stage_that_stops_reports_counts_and_reasons_alone(tree, secrets, tmp_path):
    """Every image broken: the stage stops with a traceback, which goes to the log and to the terminal."""
    broken = tmp_path / "tree"
    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    break_window(dataset)
    dataset.save_as(tmp_path / "broken.dcm")
    images = [path.relative_to(tree) for path in (tree / "files").rglob("*.dcm")]
    for path in images:
        (broken / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "broken.dcm", broken / path)
    for path in [*tree.glob("*.csv*"), *(path for path in tree.rglob("*.txt") if path.is_file())]:
        (broken / path.relative_to(tree)).parent.mkdir(parents=True, exist_ok=True)
        (broken / path.relative_to(tree)).write_bytes(path.read_bytes())
    out = tmp_path / "out"
    process = subprocess.run(
        [sys.executable, "-c", STAGES, str(broken), str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 1 and "StoreError: none of the" in process.stderr
    text = process.stderr + "".join(path.read_text() for path in (out / "logs").iterdir())
    assert secrets_in(text.replace(str(tmp_path), ""), secrets) == []


@pytest.mark.parametrize("form", [[], ["--json"], ["--all"]])
def test_the_check_reveals_nothing_of_it(tree, secrets, tmp_path, form):
    from contextlib import redirect_stdout
    from io import StringIO

    from mmpkd.cli import main

    overlay = tmp_path / "study.yaml"
    cohort = {"adapter": "mimic_cxr", "phantom": None, "root": str(tree), "restricted": True}
    overlay.write_text(yaml.safe_dump({"study": "private", "cohorts": {"mimic_cxr": cohort}}))
    text = StringIO()
    with redirect_stdout(text):
        main(["check", str(overlay), *form])
    assert "mimic_cxr" in text.getvalue() and "unreadable" in text.getvalue()
    assert secrets_in(text.getvalue(), secrets) == []


def test_pictures_of_restricted_cohorts_are_withheld_by_default():
    assert not DEMO.restricted_images_in_report
    assert json.loads(DEMO.model_dump_json())["restricted_images_in_report"] is False
