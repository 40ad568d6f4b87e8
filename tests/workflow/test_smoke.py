"""The whole study at its smallest: what comes out, and what a change re-runs."""

import html
import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from mmpkd.config.demo import DEMO
from mmpkd.design import Design
from mmpkd.outputs.words import column_meaning
from tests.checkout import SMOKE

RESULTS = "results/smoke"
TABLES, FIGURES = ([item.name for item in DEMO.outputs if item.kind == kind] for kind in ("table", "figure"))


CHANGE = "\nCHANGED = True\n"  # a line of code at the end of a module


@contextmanager
def edited(path: Path, text: str):
    """`path` with another text, and as it was afterwards, time stamp included."""
    before, times = path.read_text(), path.stat()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_every_table_figure_and_the_report_are_there(smoke):
    results = smoke.folder / RESULTS
    for name in TABLES:
        assert not pd.read_csv(results / f"tables/{name}.csv").empty
        for kind in ("md", "tex", "caption.txt"):
            assert (results / f"tables/{name}.{kind}").stat().st_size > 0
    for name in FIGURES:
        assert (results / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (results / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (results / f"figures/{name}.caption.txt").stat().st_size > 40
    assert "</html>" in (results / "report.html").read_text()


def test_the_reference_explains_every_column(smoke):
    page, _, shared = (smoke.folder / "docs/reference/tables.md").read_text().partition("## Columns")
    for name in TABLES:
        words = set(re.findall(r"\w+", page.split(f"`tables/{name}`")[1].split("\n#")[0] + shared))
        for column in pd.read_csv(smoke.folder / RESULTS / f"tables/{name}.csv", nrows=0):
            arm = name == "cross_domain" and column.split("_")[0] in DEMO.arms  # its columns are `<arm>_...`
            assert arm or {column, re.sub("_(low|high|n_images|n_patients|n_seeds)$", "", column)} & words, (
                f"{name}: {column}"
            )


def test_the_report_is_self_contained(smoke):
    page = (smoke.folder / RESULTS / "report.html").read_text()
    fetched = re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)([^"']+)""", page)
    assert [address for address in fetched if not address.startswith("https://arxiv.org")] == []
    assert "url(http" not in page and "@import" not in page


def test_snakemakes_own_report_lists_every_table_and_figure_with_its_caption(smoke, tmp_path):
    process = smoke.run(*SMOKE, "--report", str(tmp_path / "report.html"))
    assert process.returncode == 0, process.stdout
    page = html.unescape((tmp_path / "report.html").read_text())
    for item in DEMO.outputs:
        assert f'"{item.title}"' in page
        caption = (smoke.folder / RESULTS / f"{item.kind}s/{item.name}.caption.txt").read_text()
        assert caption[:40] in page, item.name


def test_the_terminal_shows_a_line_per_job_and_what_came_out(smoke):
    lines = smoke.said.splitlines()
    jobs = sum(smoke.planned(*SMOKE, "all", "--forceall").values())
    shown = [line for line in lines if re.match(r" *\d+ %", line)]
    assert len(shown) == jobs - 1, "all but the target itself"
    assert sum(smoke.planned("all", "--forceall").values()) + 20 < 200, "the lines of `make all`"
    assert len(lines) < jobs + 20 and not re.search("Reason:|Shell command|Select jobs", smoke.said)
    assert shown[-1].startswith("100 %") and re.search("left +Students of cxr, arm mmpkd", smoke.said)
    headline, report, verify = lines[-3:]
    assert re.search(r"Of \d+ claims, \S+ (is|are) supported", headline)
    assert report == "Report: results/smoke/report.html" and verify.endswith("mmpkd verify results/smoke")


def test_a_job_that_fails_says_why_and_how_it_goes_on(smoke):
    path = smoke.folder / "mmpkd/outputs/figure_method.py"
    with edited(path, path.read_text() + "\nraise ValueError('there is no ink')\n"):
        process = smoke.run(*SMOKE, "figure_method")
    assert process.returncode != 0
    *_, failed, log, last = process.stdout.strip().splitlines()
    assert failed == "FAILED: Figure: The method: ValueError: there is no ink"
    assert log == "  log: results/smoke/logs/figure_method/all.log"
    assert last == "Run the same command again to continue; finished jobs are kept."
    assert smoke.run(*SMOKE, "all").returncode == 0


def test_a_second_run_does_nothing(smoke):
    process = smoke.run(*SMOKE, "all")
    assert process.returncode == 0
    assert "Nothing to be done" in process.stdout


def test_one_deleted_figure_is_one_job(smoke):
    figure = smoke.folder / RESULTS / "figures/localization.pdf"
    figure.unlink()
    assert smoke.planned(*SMOKE, "figure_localization") == {"figure_localization": 1}
    process = smoke.run(*SMOKE, "all")
    assert process.returncode == 0 and figure.exists()


STUDENTS = {"train_student", "attention", "evaluate"}
TABLE_RULES = {f"table_{name}" for name in TABLES}


@pytest.mark.parametrize(
    ("change", "runs", "rests"),
    [
        ("training={epochs: 3}", STUDENTS | {"scores"}, {"phantom", "cohort", "preprocess", "teacher", "backbone"}),
        ("evaluation={centre_sigma: 0.3}", {"evaluate_controls", "scores"}, STUDENTS | {"attention_controls"}),
        ("evaluation={resamples: 300}", {"table_teachers", "table_claims"}, STUDENTS | {"scores", "teacher"}),
        ("imaging={window: minmax}", STUDENTS | {"preprocess"}, {"phantom", "cohort", "teacher", "backbone"}),
        ("claims={interaction: {title: Another title}}", {"table_claims", "figure_claims", "report"}, {"scores"}),
    ],
)
def test_a_changed_value_reruns_what_depends_on_it(smoke, change, runs, rests):
    jobs = set(smoke.planned("all", *SMOKE, "--config", change))
    assert runs <= jobs
    assert not rests & jobs


def test_a_part_of_the_outputs_runs_again_on_a_cluster_too(smoke):
    """A group must not depend on a job that depends on the group, whichever of its jobs have to run."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the executor plugin of Slurm is not installed")
    profile = ("--workflow-profile", "profiles/slurm")
    for rule in ("table_claims", "table_cohorts", "figure_method"):
        planned = smoke.planned(*SMOKE, *profile, "--forcerun", rule, "--", "all")
        assert planned[rule] == 1 and planned["report"] == 1 and "train_student" not in planned


def test_tables_and_figures_come_again_from_the_scores_alone(smoke, tmp_path):
    scores, out = "results/smoke/evaluation/scores.parquet", tmp_path / "again"
    program = (
        "import sys; from mmpkd.cli import main; "
        f"code = main(['redraw', '{scores}', 'studies/smoke.yaml', '--out', '{out}']); "
        "sys.exit(code or bool({'torch', 'timm', 'scipy.stats'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=smoke.folder, check=True)
    drawn = {file.relative_to(out): file.read_bytes() for file in out.rglob("*.*")}
    assert {"tables/claims.csv", "tables/localization.tex", "figures/claims.pdf"} <= set(map(str, drawn))
    for file, content in drawn.items():
        assert (smoke.folder / "results/smoke" / file).read_bytes() == content, file


def test_every_column_of_every_table_is_explained(smoke):
    results = smoke.folder / "results/smoke"
    design = Design.of(json.loads((results / "provenance.json").read_text())["configuration"])
    tables = sorted((results / "tables").glob("*.md"))
    heads = {file.stem: file.read_text().splitlines()[2].strip("| ").split(" | ") for file in tables}
    unknown = {
        (name, head) for name, of_table in heads.items() for head in of_table if not column_meaning(head, design)
    }
    assert len(heads) >= 10 and unknown == set()


def test_a_run_is_compared_with_its_reference(smoke, tmp_path):
    """With itself everything is reproduced."""
    run = [sys.executable, "-m", "mmpkd", "compare", "results/smoke"]
    reference = str(tmp_path / "reference.json")
    subprocess.run([*run, "--write", reference], cwd=smoke.folder, check=True)
    told = subprocess.run(
        [*run, "--reference", reference], cwd=smoke.folder, check=True, capture_output=True, text=True
    )
    # 5 claims; 2 domains x 3 arms on 4 cohorts
    assert told.stdout.endswith("29 compared: 29 reproduced, 0 within the scatter of seeds, 0 different\n")


def test_a_changed_teacher_leaves_the_baseline_alone(smoke):
    change = "domains={cxr: {teacher: {penalty: 0.5}}}"
    jobs = smoke.planned("all", *SMOKE, "--config", change)
    assert jobs["teacher"] == 1
    assert jobs["train_student"] == 2 * 2, "two seeds of the arms mmpkd and shuffled in one domain"
    assert "backbone" not in jobs


def test_a_changed_arm_and_a_further_seed_rerun_no_other(smoke):
    change = "arms={shuffled: {temperature: 2.0}}"
    assert smoke.planned("all", *SMOKE, "--config", change)["train_student"] == 2 * 2
    assert smoke.planned("all", *SMOKE, "--config", "seeds=[0, 1, 2]")["train_student"] == 2 * 3


def test_the_course_of_an_arm_reruns_its_students_alone(smoke):
    file = "results/smoke/students/cxr/mmpkd/seed0/model.safetensors"
    for arm, epochs, students in (("mmpkd", 3, 1), ("mmpkd", 2, 0), ("baseline", 3, 0)):
        change = f"arms={{{arm}: {{course: {{epochs: {epochs}}}}}}}"  # 2 is what the study says already
        assert smoke.planned(file, *SMOKE, "--config", change).get("train_student", 0) == students


def test_a_variant_of_a_teacher_and_a_student_teach(smoke):
    """Two arms that the configuration adds; the students that are there already are not made again."""
    changes = (
        "domains={cxr: {variants: {short: {sections: [impression], targets: in_sample}}}}",
        "arms={short: {teacher: privileged, variant: short, domains: [cxr], losses: {label: 1.0, embedding_mse: 0.5}},"
        " image: {teacher: image, domains: [cxr], losses: {logit: 1.0}}}",
    )
    files = [f"results/smoke/students/cxr/{arm}/seed1/model.safetensors" for arm in ("short", "image")]
    process = smoke.run(*files, *SMOKE, "--config", *changes)
    assert process.returncode == 0, process.stdout[-4000:]
    assert len(re.findall(r"Students of cxr, arm (?:short|image), seeds 1", process.stdout)) == 2
    histories = [pd.read_csv((smoke.folder / file).with_name("history.csv")) for file in files]
    assert {"label_loss", "embedding_mse_loss"} < set(histories[0])
    assert {"logit_loss"} < set(histories[1]) and "label_loss" not in histories[1]
    encodings = smoke.folder / "results/smoke/cache/encodings"
    assert any(path.is_file() for path in encodings.rglob("*"))


def test_two_processes_of_a_job_train_the_student_of_one(smoke):
    """The rule's script is started twice; an arm like the baseline, whose student is there, comes out the same."""
    changes = ("arms={pair: {domains: [cxr]}}", "domains={cxr: {course: {processes: 2}}}")
    file = "results/smoke/students/cxr/pair/seed1/model.safetensors"
    rule = ("--allowed-rules", "train_student")  # the other arms, whose parameters differ now, stay as they are
    process = smoke.run(file, *SMOKE, *rule, "--config", *changes)
    assert process.returncode == 0, process.stdout[-4000:]
    assert (smoke.folder / "results/smoke/logs/train_student/cxr-pair-1.log.rank1").is_file()
    alone, together, start = (
        load_file(smoke.folder / f"results/smoke/students/{name}/model.safetensors")
        for name in ("cxr/baseline/seed1", "cxr/pair/seed1", "backbone")
    )
    shared = [name for name in alone if not name.startswith("head")]
    moved = max(float((alone[name] - start[name]).abs().max()) for name in shared)
    apart = max(float((alone[name] - together[name]).abs().max()) for name in alone)
    assert moved > 0 and apart < 1e-2 * moved


@pytest.mark.parametrize(
    ("module", "runs", "rests"),
    [
        (
            "outputs/figure_localization.py",
            {"figure_localization", "report"},
            {"figure_claims", "scores"} | TABLE_RULES,
        ),
        ("students/losses.py", STUDENTS | {"backbone"}, {"phantom", "cohort", "preprocess", "privileged"}),
        ("imaging/geometry.py", STUDENTS | {"preprocess"}, {"phantom", "cohort", "teacher"}),
        ("privileged/sections.py", {"privileged", "teacher", "train_student"}, {"cohort", "preprocess", "backbone"}),
        ("cohorts/datasets/vindr_cxr.py", {"cohort", "preprocess"}, {"phantom", "train_student", "teacher"}),
        ("phantom/vindr_cxr_tree.py", {"phantom", "cohort"}, {"train_student", "teacher"}),
        ("files.py", {"phantom", "preprocess", "table_claims", "provenance"}, set()),
    ],
)
def test_a_changed_line_of_code_reruns_the_stages_that_use_it(smoke, module, runs, rests):
    path = smoke.folder / "mmpkd" / module
    with edited(path, path.read_text() + CHANGE):
        jobs = smoke.planned(*SMOKE, "all")
    assert runs <= set(jobs)
    assert not rests & set(jobs)
    if "vindr_cxr" in module:
        assert jobs["cohort"] == 1, "a module that is loaded by name is that of one cohort"


@pytest.mark.parametrize("path", ["mmpkd/outputs/figure_claims.py", "mmpkd/outputs/table_strata.py"])
def test_a_changed_output_reruns_its_rule_the_report_and_the_record_alone(smoke, path):
    path = smoke.folder / path
    with edited(path, path.read_text() + CHANGE):
        jobs = set(smoke.planned(*SMOKE, "all"))
    assert jobs == {path.stem, "report", "provenance", "all"}


def test_a_changed_script_reruns_its_rules_the_report_and_the_record_alone(smoke):
    path = smoke.folder / "workflow_scripts/output.py"
    with edited(path, path.read_text() + CHANGE):
        jobs = set(smoke.planned(*SMOKE, "all"))
    rules = {output.rule for output in DEMO.outputs} - {"table_runtime"}  # it waits for the others with `ancient`
    assert jobs - {"table_runtime"} == {*rules, "report", "provenance", "all"}


def test_a_changed_comment_docstring_or_line_break_reruns_nothing(smoke):
    """Of every module and script at once."""
    paths = [*(smoke.folder / "mmpkd").rglob("*.py"), *(smoke.folder / "workflow_scripts").glob("*.py")]
    assert len(paths) > 100
    with ExitStack() as edits:
        for path in paths:
            text = path.read_text().replace('"""', '"""Another docstring. ', 1)  # that of the module
            edits.enter_context(edited(path, text + "\n\n\n# a comment\n"))
        process = smoke.run(*SMOKE, "--dry-run", "all")
    assert process.returncode == 0
    assert "Nothing to be done" in process.stdout


def test_logs_name_no_patient(smoke):
    images = pd.read_parquet(smoke.folder / RESULTS / "cohorts/mimic_cxr/images.parquet")
    text = "".join(path.read_text() for path in (smoke.folder / RESULTS / "logs").rglob("*.log"))
    assert text
    assert not [name for name in {*images["patient_id"], *images["study_id"], *images["image_id"]} if name in text]
