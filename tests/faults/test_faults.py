"""Five of the faults of `make faults`, one of each kind that is quick; and that the harness can tell a loss."""

import os

import pytest

from tests.faults.faults import Outcome, all_faults, chains, suffer
from tests.faults.study import Study

CHOSEN = (
    ("kill_snakemake", "table_claims"),
    ("kill_job", "report"),
    ("fill_disk", "table_classification"),
    ("make_read_only", "figure_localization"),
    ("truncate", "table_claims"),
)
QUICK = {name: fault for fault in all_faults() if (name := (fault.kind, fault.rule)) in CHOSEN}


@pytest.fixture(scope="module")
def finished(smoke) -> Study:
    return Study(smoke.folder)


@pytest.mark.parametrize("name", CHOSEN, ids=" ".join)
def test_the_study_goes_on_to_the_same_results(finished, tmp_path, name):
    if reason := QUICK[name].impossible:
        pytest.skip(reason)
    outcome = suffer([QUICK[name]], finished, tmp_path, afresh=False)
    assert outcome.struck == [QUICK[name]]
    assert outcome.survived, (outcome.differences, outcome.said[-4000:])


def test_at_least_forty_faults_reach_every_stage(finished):
    faults = all_faults()
    assert len(faults) >= 40
    assert sorted(fault.number for chain in chains() for fault in chain) == list(range(len(faults)))
    stages = {"phantom", "cohort", "preprocess", "privileged", "teacher", "backbone", "train_student", "attention"}
    stages |= {"evaluate", "probe", "scores", "report", "provenance"}
    assert stages <= {fault.rule for fault in faults}
    assert all(callable(fault.strike) and finished.jobs(fault.rule) for fault in faults)


def test_a_lost_a_changed_and_a_further_file_are_named(finished, tmp_path):
    study = finished.copied_to(tmp_path / "copy")
    assert finished.differences(study) == []
    tables = study.results / "tables"
    (tables / "claims.csv").unlink()
    os.truncate(tables / "probe.csv", 10)
    (tables / "further.csv").touch()
    (study.results / "report.html").unlink()
    assert finished.differences(study) == [
        "tables/claims.csv is in one alone",
        "tables/further.csv is in one alone",
        "tables/probe.csv differs",
        "report.html is missing",
    ]
    assert not Outcome(0, ["tables/claims.csv is in one alone"], 1.0).survived
    assert not Outcome(1, [], 1.0).survived
