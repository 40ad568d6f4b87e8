"""The results tree: its paths are those of the documentation, and they are built in one place."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmpkd.results import CONTROL, Results

ROOT = Path(__file__).parents[2]
RESULTS = Results("results/demo")
FILES = {
    "logs/scores/all.log": RESULTS.log("scores", "all"),
    "benchmarks/scores/all.tsv": RESULTS.benchmark("scores", "all"),
    "phantom/nih/tree": RESULTS.phantom("nih")["tree"],
    "phantom/nih/truth.parquet": RESULTS.phantom("nih")["truth"],
    "cohorts/nih/privileged.parquet": RESULTS.cohort("nih")["privileged"],
    "cohorts/nih/rejected.csv": RESULTS.cohort("nih")["rejected"],
    "cohorts/nih/cohort.json": RESULTS.cohort("nih")["facts"],
    "images/nih/shard3/pixels.npy": RESULTS.shard("nih", 3)["pixels"],
    "images/nih/shard3/rois.parquet": RESULTS.shard("nih", 3)["roi_table"],
    "privileged/cxr/records.parquet": RESULTS.records("cxr"),
    "teachers/cxr/main/targets.npz": RESULTS.teacher("cxr", "main")["targets"],
    "cache/encodings": RESULTS.encodings,
    "students/backbone/model.safetensors": RESULTS.backbone["model"],
    "students/cxr/mmpkd/seed0/history.csv": RESULTS.student("cxr", "mmpkd", 0)["history"],
    "attention/cxr/mmpkd/seed0/nih.npz": RESULTS.attention("cxr", "mmpkd", 0, "nih"),
    "attention/cxr/mmpkd/seed0.validate.npz": RESULTS.tuning("cxr", "mmpkd", 0),
    "attention/cxr/mmpkd/seed0.features.npz": RESULTS.features("cxr", "mmpkd", 0),
    "attention/control/untrained/seed0.validate/nih.npz": RESULTS.tuning(CONTROL, "untrained", 0, "nih"),
    "evaluation/cxr/mmpkd.parquet": RESULTS.scores_of("cxr", "mmpkd"),
    "evaluation/control.parquet": RESULTS.scores_of_controls,
    "evaluation/probe/control/untrained.parquet": RESULTS.probe(CONTROL, "untrained"),
    "evaluation/scores.parquet": RESULTS.scores,
    "tables/claims.caption.txt": RESULTS.table("claims")["caption"],
    "figures/claims.pdf": RESULTS.figure("claims")["pdf"],
    "report.html": RESULTS.report,
    "provenance.json": RESULTS.record["record"],
    "ro-crate-metadata.json": RESULTS.record["crate"],
    "workflow/rules/report.smk": RESULTS.workflow("rules/report.smk"),
}


@pytest.mark.parametrize("path", FILES)
def test_a_file_has_its_place(path):
    assert FILES[path] == f"results/demo/{path}"


def test_jobs_are_found_by_their_benchmarks(tmp_path):
    results = Results(str(tmp_path))
    for rule, job in (("teacher", "cxr-main"), ("preprocess", "nih/0.5")):
        for path in map(Path, (results.benchmark(rule, job), results.log(rule, job))):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert [(rule, log) for rule, _, log in results.measured_jobs()] == [
        ("preprocess", tmp_path / "logs/preprocess/nih/0.5.log"),
        ("teacher", tmp_path / "logs/teacher/cxr-main.log"),
    ]


def test_a_log_identifies_its_tree_and_its_receipt():
    log = RESULTS.log("teacher", "cxr-main")
    assert Results.of_log(log) == (RESULTS, "results/demo/receipts/teacher/cxr-main.json")
    with pytest.raises(ValueError, match="not below a folder logs"):
        Results.of_log("results/demo/teacher.log")


def test_a_wildcard_makes_a_pattern():
    keys = {"domain": "cxr", "arm": "mmpkd", "seed": 1}
    pattern = RESULTS.student(**{key: f"{{{key}}}" for key in keys})["model"]
    assert pattern.format(**keys) == RESULTS.student(**keys)["model"]


def test_rules_build_no_path_of_the_tree_and_scripts_take_none_apart():
    rules = "".join(path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    assert re.findall(r'"[^"]*results/[^"]*"', rules) == ['"results/{STUDY.study}"']
    assert not re.search(r"seed\{|shard\{|\.(parquet|npz|npy|safetensors|caption\.txt)\b", rules)
    for path in sorted((ROOT / "workflow_scripts").glob("*.py")):
        assert not re.search(
            r"\.(stem|parts|parents|parent\.name)\b|removeprefix|removesuffix|split\(", path.read_text()
        )


def test_the_tree_is_cheap_to_import():
    code = "import sys, mmpkd.results; print({'numpy', 'pandas', 'torch', 'pydantic'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"
