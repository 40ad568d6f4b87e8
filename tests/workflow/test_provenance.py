"""The record of a run that Snakemake made: it asks for no more than the study does, and `mmpkd verify` confirms it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmpkd.config.demo import DEMO
from tests.checkout import Workflow

RESULTS = Path("results/two")
RECORD, CRATE = RESULTS / "provenance.json", RESULTS / "ro-crate-metadata.json"
STUDY = {
    "study": "two",
    "cohorts": {
        "mimic_cxr": None,
        "vindr_cxr": None,
        "vindr_mammo": None,
        "cbis_ddsm": {"phantom": {"patients": 12, "seed": 3}, "images": False},
    },
    "domains": {"cxr": None, "mammography": {"cohorts": []}},
    "claims": dict.fromkeys(
        ("in_domain_cxr", "in_domain_mammography", "other_data_set", "other_modality", "interaction")
    ),
    "tables": ["cohorts"],
    "figures": [],
    "report": False,
}


@pytest.fixture
def study(checkout) -> Workflow:
    """A checkout with a study of one table."""
    (checkout.folder / "studies" / "two.yaml").write_text(yaml.safe_dump(STUDY))
    return checkout


def verified(workflow: Workflow, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mmpkd", "verify", str(RESULTS), *arguments]
    return subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)


def test_the_record_asks_for_no_more_than_the_study(study):
    overlay = "--configfile=studies/two.yaml"
    assert set(study.planned(overlay, str(RECORD))) == {"phantom", "cohort", "table_cohorts", "provenance"}
    more = set(study.planned(overlay, str(RECORD), "--config", "tables=[cohorts, teachers]"))
    assert more == {"phantom", "cohort", "privileged", "teacher", "table_cohorts", "table_teachers", "provenance"}
    whole = study.planned("results/demo/provenance.json")
    assert whole["provenance"] == whole["report"] == whole["scores"] == 1
    assert whole["train_student"] == len(DEMO.domains) * len(DEMO.arms)


def test_a_run_is_recorded_and_verified(study):
    process = study.run("--configfile=studies/two.yaml", "all", str(RECORD))
    assert process.returncode == 0, process.stdout[-4000:]
    known = json.loads((study.folder / RECORD).read_text())
    assert known["inputs"]["cbis_ddsm"]["phantom"] and len(known["inputs"]["cbis_ddsm"]["tables"]) == 4
    assert {"tables/cohorts.csv", "cohorts/cbis_ddsm/privileged.parquet"} < set(known["outputs"])
    assert not [path for path in known["outputs"] if not (study.folder / RESULTS / path).is_file()]
    entities = {entity["@id"] for entity in json.loads((study.folder / CRATE).read_text())["@graph"]}
    assert set(known["outputs"]) | {"workflow/Snakefile", "workflow/rules/report.smk"} < entities

    process = verified(study, "--inputs", "studies/two.yaml")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "agree" in process.stdout

    first = [(study.folder / name).read_bytes() for name in (RECORD, CRATE)]
    (study.folder / RECORD).unlink()
    assert study.run("--configfile=studies/two.yaml", str(RECORD)).returncode == 0
    assert [(study.folder / name).read_bytes() for name in (RECORD, CRATE)] == first

    with (study.folder / RESULTS / "tables" / "cohorts.csv").open("a") as stream:
        stream.write("one more row\n")
    process = verified(study)
    assert process.returncode == 1
    assert process.stdout.startswith("changed: tables/cohorts.csv: ")
