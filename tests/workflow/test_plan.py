"""What would run: the default study, the paper's, and mistaken configurations."""

import re

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
            (checkout.folder / folder).mkdir(parents=True)
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
            (checkout.folder / folder).mkdir(parents=True)
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
    assert all(
        name.startswith(("mmpkd.config", "mmpkd.dependencies", "mmpkd.presence", "mmpkd.results"))
        for name in from_library
    ), from_library
    assert not re.search(r"^checkpoint |\bopen\(|read_text|read_tables|glob_wildcards", text, re.MULTILINE)


def test_absent_data_are_named_before_anything_runs(checkout):
    process = checkout.run("--dry-run", "--configfile=studies/paper.yaml", "all")
    assert process.returncode != 0
    assert "cohorts.mimic_cxr.root: there is no folder data/mimic-cxr" in process.stdout
    assert "Building DAG" not in process.stdout


def test_a_mistake_in_the_configuration_is_one_clear_message(checkout):
    process = checkout.run("all", "--dry-run", "--config", "seeeds=[1]", "training={epochs: none}")
    assert process.returncode != 0
    assert "seeeds: unknown key" in process.stdout
    assert "training.epochs: Input should be a valid integer" in process.stdout
    assert "Building DAG" not in process.stdout
    assert "Traceback" not in process.stdout
