"""What would run: the default study, the paper's, and mistaken configurations."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmpkd.config.demo import DEMO
from mmpkd.config.layers import load_study


def test_the_default_study_trains_every_domain_and_arm(checkout):
    jobs, study = checkout.planned("all"), DEMO
    arms = len(study.domains) * len(study.arms)
    assert jobs["train_student"] == jobs["attention"] == jobs["evaluate"] == arms, "all seeds of an arm in one job"
    apart = checkout.planned("all", "--config", "seeds_together=False")
    assert apart["train_student"] == arms * len(study.seeds) and apart["attention"] == arms
    assert jobs["probe"] == arms + 2, "of the untrained and the pretrained student, too"
    assert jobs["phantom"] == jobs["cohort"] == jobs["preprocess"] == len(study.cohorts)
    assert {output.rule for output in study.outputs} <= set(jobs)


def test_further_arms_and_teachers_are_configuration_alone(checkout):
    overlay = "--configfile=studies/arms.yaml"
    jobs, study = checkout.planned(overlay, "all"), load_study([checkout.folder / "studies/arms.yaml"])
    assert jobs["train_student"] == len({(domain, arm) for domain, arm, _ in study.students}) > 20
    assert jobs["teacher"] == len(study.teachers) == 8
    folder = "results/arms/students/cxr"
    assert checkout.planned(overlay, f"{folder}/mmpkd_indication/seed0/model.safetensors")["teacher"] == 1
    plan = checkout.planned(overlay, f"{folder}/constant_teacher/seed0/model.safetensors")
    assert plan["train_student"] == 1 and "teacher" not in plan and "privileged" not in plan
    last = max(study.seeds)  # it is taught by the baseline of the first
    assert checkout.planned(overlay, f"{folder}/image_teacher/seed{last}/model.safetensors")["train_student"] == 2


def test_a_figure_by_rule_and_by_file_is_the_same_plan(checkout):
    assert checkout.planned("figure_localization") == checkout.planned("results/demo/figures/localization.pdf")


def test_the_paper_study_plans_on_the_folders_that_it_names(checkout):
    overlay = yaml.safe_load((checkout.folder / "studies/paper.yaml").read_text())
    for cohort in overlay["cohorts"].values():
        for folder in (cohort["root"], *cohort.get("folders", {}).values()):
            (checkout.folder / folder / "files").mkdir(parents=True)
    jobs = checkout.planned("--configfile=studies/paper.yaml", "all")
    assert "phantom" not in jobs
    assert jobs["train_student"] == 2 * 3 * 5
    assert jobs["preprocess"] == sum(cohort["shards"] for cohort in overlay["cohorts"].values())
    assert sum(jobs.values()) < 600


def test_the_paper_study_with_every_arm_is_under_600_jobs(checkout):
    overlay = checkout.folder / "studies/paper_arms.yaml"
    study = load_study([overlay])
    for cohort in study.cohorts.values():
        for folder in (cohort.root, *cohort.folders.values()):
            (checkout.folder / folder / "files").mkdir(parents=True)
    jobs = checkout.planned("--configfile", str(overlay), "--", "all")
    assert jobs["train_student"] == len(study.students) == 140
    assert jobs["teacher"] == len(study.teachers) == 8
    assert jobs["preprocess"] == sum(cohort.shards for cohort in study.cohorts.values())
    arms = {(domain, arm) for domain, arm, _ in study.students}
    assert jobs["attention"] == jobs["evaluate"] == len(arms)
    assert 250 < sum(jobs.values()) < 600


def test_the_plan_reads_no_table_so_that_it_does_not_grow_with_the_images(checkout):
    sources = [checkout.folder / "Snakefile", *(checkout.folder / "rules").glob("*.smk")]
    text = "\n".join(source.read_text() for source in sources)
    modules = set(re.findall(r"^\s*(?:from|import) +(\w+)", text, re.MULTILINE))
    assert "mmpkd" in modules and modules <= {"mmpkd", "os", "pathlib", "snakemake", "sys"}
    from_library = set(re.findall(r"^\s*from +(mmpkd[\w.]*)", text, re.MULTILINE))
    light = ("config", "console", "dependencies", "interrupts", "presence", "results")
    assert {name for name in from_library if name.split(".")[1] not in light} == set()
    assert not re.search(r"^checkpoint |\bopen\(|read_text|read_tables|glob_wildcards", text, re.MULTILINE)


def test_absent_data_are_named_before_anything_runs(checkout):
    process = checkout.run("--dry-run", "--configfile=studies/paper.yaml", "all")
    assert process.returncode != 0
    assert "cohorts.mimic_cxr.root: there is no folder data/mimic-cxr" in process.stdout
    assert "Building DAG" not in process.stdout


def test_an_empty_folder_of_data_is_one_clear_message(checkout):
    (checkout.folder / "data").mkdir()
    process = checkout.run("all", "--config", "cohorts={vindr_cxr: {phantom: null, root: data}}")
    assert process.returncode != 0
    assert "cohorts.vindr_cxr.root: the folder data is empty; download the data set there" in process.stdout
    assert "Traceback" not in process.stdout


def test_a_rule_of_almost_that_name_is_suggested(checkout):
    for options in ([], ["--dry-run"]):
        process = checkout.run("figure_localisation", *options)
        assert process.returncode != 0
        assert "there is no rule figure_localisation; did you mean figure_localization?" in process.stdout


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`make` in a checkout, with the environment that these tests run in: nothing is installed."""
    program = folder / "venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    command = ["make", "--no-print-directory", "VENV=venv", "--old-file=venv/.installed", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_make_says_what_it_can_do(checkout):
    listed = make(checkout.folder, "help").stdout.splitlines()
    assert all(re.fullmatch(r"[a-z_]+ {2,}\S.+", line) for line in listed)
    assert {"all", "help", "smoke", "test", "clean"} <= {line.split()[0] for line in listed}


@pytest.mark.parametrize(
    ("study", "said"),
    [("absent.yaml", "absent.yaml: No such file"), ("studies/paper.yaml", "The study can NOT run")],
)
def test_make_stops_before_the_run(checkout, study, said):
    """For a missing overlay with one line, for real data that are not there with the whole check."""
    process = make(checkout.folder, "all", f"STUDY={study}")
    assert process.returncode != 0
    assert said in process.stdout + process.stderr
    assert "Traceback" not in process.stderr and not (checkout.folder / ".snakemake").exists()


def test_a_mistake_in_the_configuration_is_one_clear_message(checkout):
    process = checkout.run("all", "--dry-run", "--config", "seeeds=[1]", "training={epochs: none}")
    assert process.returncode != 0
    assert "seeeds: unknown key" in process.stdout
    assert "training.epochs: Input should be a valid integer" in process.stdout
    assert "Building DAG" not in process.stdout
    assert "Traceback" not in process.stdout
