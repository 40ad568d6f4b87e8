"""`mmpkd check` on phantom trees taken for downloads: a good, a partial and an empty set of roots."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmpkd.check.terminal import WIDTH
from mmpkd.cli import main
from mmpkd.config.cohorts import Phantom
from mmpkd.phantom.write import write_tree
from tests import cohorts

ROOT = Path(__file__).parents[2]
PATIENTS = {"mimic_cxr": 90, "vindr_cxr": 30, "cbis_ddsm": 40, "vindr_mammo": 20}
RESTRICTED = {"mimic_cxr", "vindr_cxr", "vindr_mammo"}


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    """One tree a data set of the default study."""
    folder = tmp_path_factory.mktemp("downloads")
    for adapter, patients in PATIENTS.items():
        write_tree(adapter, Phantom(patients=patients, seed=1), folder / adapter)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working folder of its own, so that results/ is not the repository's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def overlay(here: Path, downloads: Path, **further) -> Path:
    cohorts = {
        name: {"phantom": None, "root": str(downloads / name), "restricted": name in RESTRICTED} for name in PATIENTS
    }
    path = here / "study.yaml"
    path.write_text(yaml.safe_dump({"study": "real", "cohorts": cohorts, **further}))
    return path


def facts_of(capsys, *arguments) -> tuple[int, dict]:
    code = main(["check", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def levels(facts: dict) -> set[tuple[str, str]]:
    return {(problem["level"], problem["where"]) for problem in facts["problems"]}


def test_a_good_set_of_roots(here, downloads, capsys):
    code, facts = facts_of(capsys, overlay(here, downloads))
    assert code == 0 and facts["can_run"] and "error" not in {level for level, _ in levels(facts)}
    mimic = facts["cohorts"]["mimic_cxr"]
    assert all(need["found"] for need in mimic["needs"] if need["required"])
    for key in ("images", "studies", "patients", "records"):
        counts = mimic["counts"][key]
        assert counts["all"] == counts["train"] + counts["validate"] + counts["test"] > 0
        assert min(counts.values()) > 0
    assert mimic["counts"]["rois"]["train"] == 0 < mimic["counts"]["rois"]["test"]
    assert mimic["privileged_kind"] == "text" and facts["cohorts"]["cbis_ddsm"]["privileged_kind"] == "tabular"
    assert mimic["rejected"]["view LATERAL is not frontal"] > 0
    for name, cohort in facts["cohorts"].items():
        assert cohort["error"] is None and cohort["headers"]["read"] > 0, name
        stored = cohort["counts"]["images"]["all"] + cohort["counts"]["rois"]["all"]
        assert cohort["store_bytes"] == stored * (56 * 56 + 150)
        for label in cohort["labels"].values():
            assert sum(values["all"] for values in label.values()) == cohort["counts"]["images"]["all"]
    assert not (here / "results").exists(), "a check computes nothing"


def test_the_counts_are_those_of_the_tables(here, downloads, capsys):
    """A survey counts what the workflow will read, where no file has to be opened to know it."""
    from mmpkd.config.cohorts import Cohort

    _, facts = facts_of(capsys, overlay(here, downloads))
    tables = cohorts.read(
        Cohort(adapter="vindr_mammo", root=downloads / "vindr_mammo"), ["malignant", "mass", "calcification"]
    )
    cohort = facts["cohorts"]["vindr_mammo"]
    assert cohort["counts"]["images"]["all"] == len(tables.images)
    assert cohort["counts"]["rois"]["test"] == len(tables.rois)
    assert cohort["labels"]["mass"]["positive"]["all"] == int(tables.labels["mass"].eq(1).sum())
    assert sum(cohort["rejected"].values()) == len(tables.rejected)


def test_the_text_of_a_good_set(here, downloads, capsys):
    assert main(["check", str(overlay(here, downloads))]) == 0
    out = capsys.readouterr().out
    assert "The study can run: 0 errors" in out
    assert max(map(len, out.splitlines())) <= max(WIDTH, len(str(downloads)) + 30)
    assert "\033" not in out and out.isascii()
    for words in (
        "cxr / mimic_cxr: learnt from and tested on",
        "with Cardiomegaly",
        "privileged records",
        "unreadable",
    ):
        assert words in out


def test_every_header_with_all(here, downloads, capsys):
    """The phantom of that size has a truncated file, which a header does not tell, and one that is no DICOM file."""
    tree = here / "vindr_cxr"
    shutil.copytree(downloads / "vindr_cxr", tree)
    broken = sorted((tree / "test").glob("*.dicom"))[0]
    broken.write_bytes(b"an HTML page of a login form" * 40)
    config = overlay(here, downloads)
    entry = f"cohorts={{vindr_cxr: {{root: {tree}}}}}"
    _, facts = facts_of(capsys, config, "--all", "--config", entry)
    headers = facts["cohorts"]["vindr_cxr"]["headers"]
    assert headers["read"] == headers["files"] == facts["cohorts"]["vindr_cxr"]["counts"]["images"]["all"]
    assert sum(headers["unreadable"].values()) == 1
    assert ("warning", "cohorts.vindr_cxr") in levels(facts)


def test_a_partial_set_of_roots(here, downloads, capsys):
    """A table, a set of images and a whole data set are missing: each is named, and the fourth is still counted."""
    partial = here / "partial"
    partial.mkdir()
    for name in ("mimic_cxr", "vindr_cxr", "cbis_ddsm"):
        shutil.copytree(downloads / name, partial / name)
    (partial / "mimic_cxr" / "mimic-cxr-2.0.0-chexpert.csv.gz").unlink()
    shutil.rmtree(partial / "vindr_cxr" / "test")
    code, facts = facts_of(capsys, overlay(here, partial))
    assert code == 1 and not facts["can_run"]
    errors = {where for level, where in levels(facts) if level == "error"}
    assert errors == {"cohorts.mimic_cxr", "cohorts.vindr_cxr", "cohorts.vindr_mammo"}
    needs = facts["cohorts"]["mimic_cxr"]["needs"]
    missing = [need for need in needs if need["required"] and not need["found"]]
    assert [Path(need["path"]).name for need in missing] == ["mimic-cxr-2.0.0-chexpert.csv.gz"]
    assert "physionet.org" in missing[0]["source"]
    assert "mimic-cxr-2.0.0-chexpert.csv.gz" in facts["cohorts"]["mimic_cxr"]["error"]
    assert facts["cohorts"]["vindr_mammo"]["error"].startswith("there is no folder")
    assert facts["cohorts"]["cbis_ddsm"]["counts"]["images"]["all"] > 0


def test_an_empty_set_of_roots(here, capsys):
    for name in PATIENTS:
        (here / "empty" / name).mkdir(parents=True)
    config = overlay(here, here / "empty")
    code, facts = facts_of(capsys, config)
    assert code == 1
    assert {where for level, where in levels(facts) if level == "error"} == {f"cohorts.{name}" for name in PATIENTS}
    for cohort in facts["cohorts"].values():
        assert "is empty; download the data set" in cohort["error"] and not cohort["counts"]
        assert all(need["source"] and need["what"] for need in cohort["needs"])
    assert main(["check", str(config)]) == 1
    out = capsys.readouterr().out
    assert "The study can NOT run: 4 errors" in out and out.count("https://physionet.org") >= 3


def test_phantoms_miss_nothing(here, capsys):
    code, facts = facts_of(capsys)
    assert code == 0 and facts["problems"] == []
    assert facts["cohorts"]["mimic_cxr"]["phantom_patients"] == 800
    assert main(["check"]) == 0
    assert "phantom: 800 patients will be drawn" in capsys.readouterr().out


@pytest.mark.parametrize("adapter", PATIENTS)
def test_what_is_expected_of_a_phantom_is_about_what_is_drawn(downloads, adapter):
    from mmpkd.check.cohorts import PHANTOMS
    from mmpkd.config.cohorts import Cohort

    images, rois, tree = PHANTOMS[adapter]
    labels = ["malignant", "mass", "calcification", "Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax"]
    tables = cohorts.read(Cohort(adapter=adapter, root=downloads / adapter), labels)
    count = PATIENTS[adapter]
    assert len(tables.images) / count == pytest.approx(images, rel=0.3)
    assert len(tables.rois) / count == pytest.approx(rois, rel=0.7)
    size = sum(path.stat().st_size for path in (downloads / adapter).rglob("*") if path.is_file())
    assert 0.6 < size / count / tree < 1.2


def test_an_adapter_that_fails_does_not_hide_the_others(here, downloads, capsys, monkeypatch):
    from mmpkd.cohorts.datasets.vindr_cxr import VindrCxr

    def fail(data_set):
        assert data_set.survey
        raise KeyError("patient 10000032, 'a small effusion'")

    monkeypatch.setattr(VindrCxr, "read", fail)
    code, facts = facts_of(capsys, overlay(here, downloads))
    assert code == 1 and {where for level, where in levels(facts) if level == "error"} == {"cohorts.vindr_cxr"}
    error = facts["cohorts"]["vindr_cxr"]["error"]
    assert error.startswith("KeyError in test_check.py, line ") and "10000032" not in error and "effusion" not in error


def test_a_label_that_the_training_cohort_does_not_know(here, downloads, capsys):
    domains = {"cxr": {"labels": ["Cardiomegaly", "Gossypiboma"]}}
    code, facts = facts_of(capsys, overlay(here, downloads, domains=domains))
    assert code == 1 and ("error", "domains.cxr.labels") in levels(facts)
    assert facts["cohorts"]["mimic_cxr"]["unknown_labels"] == ["Gossypiboma"]


def test_a_restricted_data_set_that_is_not_marked_so(here, downloads, capsys):
    _, facts = facts_of(capsys, overlay(here, downloads), "--config", "cohorts={mimic_cxr: {restricted: false}}")
    told = [problem["where"] for problem in facts["problems"] if "its licence forbids" in problem["message"]]
    assert told == ["cohorts.mimic_cxr"]


def test_a_wrong_configuration_or_command(here, capsys):
    assert main(["check", "absent.yaml"]) == 2
    assert "absent.yaml: No such file" in capsys.readouterr().err
    (here / "odd.yaml").write_text("trainnig: {epochs: 1}\n")
    assert main(["check", "odd.yaml", "--json"]) == 2
    output = capsys.readouterr()
    assert "trainnig: unknown key" in output.err and output.out == ""
    assert main(["check", "--config", "cohorts={mimic_cxr: {adapter: none}}"]) == 2
    with pytest.raises(SystemExit) as stop:
        main(["czech"])
    assert stop.value.code == 2


def test_a_study_of_phantoms_needs_no_check_before_it_runs(here, downloads, capsys):
    assert main(["check", "--real-data"]) == 0
    assert capsys.readouterr().out == ""
    main(["check", "--real-data", str(overlay(here, downloads))])
    assert "The study can" in capsys.readouterr().out


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out.startswith("mmpkd ")


def test_the_command_line(here):
    """As a user runs it: exit codes, no colour into a pipe, and a reader that goes away."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mmpkd", "check"]
    process = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    assert process.returncode == 0 and process.stderr == "" and "\033" not in process.stdout
    process = subprocess.run(
        ["bash", "-c", f"{' '.join(command)} | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0 and process.stderr == ""
