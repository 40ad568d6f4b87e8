"""The validated configuration and the names of files."""

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from mmpkd.config.folders import absent
from mmpkd.config.layers import load_study
from mmpkd.config.study import ConfigError
from mmpkd.dependencies import LIBRARY, library_files, make_importable
from mmpkd.presence import sign_in

make_importable()
# Not Snakemake's own `config`: it merges every overlay into config.yaml key by key, so that a study of another student
# would keep the demo's settings. `load_study` puts the same files together as docs/studies.md explains.
try:
    STUDY = load_study(workflow.overwrite_configfiles, workflow.config_settings.config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

# `mmpkd recover` changes nothing while a process that signed in lives.
for place in [Path(".snakemake"), *filter(Path.is_dir, [Path("results", STUDY.study)])]:
    sign_in(place, "run" if workflow.is_main_process else "job")

DOMAINS = list(STUDY.domains)
HOMES = {name: domain.training for name, domain in STUDY.domains.items()}
STUDENTS = STUDY.students  # domain, arm, seed
TEACHERS = list(STUDY.teachers)  # domain, name
COHORTS = list(STUDY.domain_of)
PICTURED = [name for name in COHORTS if STUDY.cohorts[name].images]
CONTROLS = {"untrained": STUDY.seeds, "pretrained": STUDY.seeds[:1]}  # seeds of students that were never fine-tuned
PHANTOMS = [name for name in COHORTS if STUDY.cohorts[name].phantom]
WITHHELD = [name for name in COHORTS if STUDY.cohorts[name].restricted and not STUDY.restricted_images_in_report]
SCRIPTS = Path(workflow.basedir) / "workflow_scripts"


wildcard_constraints:
    domain="|".join(DOMAINS),
    cohort="|".join(COHORTS),
    arm="|".join(STUDY.arms),
    teacher="|".join(dict.fromkeys(name for _, name in TEACHERS)),
    seed=r"\d+",
    shard=r"\d+",


def result(path):
    """A file of this study."""
    return f"results/{STUDY.study}/{path}"


def log_of(path):
    return result(f"logs/{path}.log")


def benchmark_of(path):
    return result(f"benchmarks/{path}.tsv")


def code(rule_name, *modules):
    """The library files that a rule's script uses, and those that it loads by name: an edit of one re-runs the rule."""
    sources = [SCRIPTS / f"{rule_name}.py", *(LIBRARY / f"{module}.py" for module in modules)]
    files = {path for source in sources for path in library_files(source)} | set(sources[1:])
    return sorted(os.path.relpath(path) for path in files)


def plain(section, *names, without=()):
    """A section of the configuration, or the named keys of it, as plain values: Snakemake sees when they change."""
    return section.model_dump(mode="json", include=set(names) or None, exclude=set(without) or None)


def breast_of(cohort):
    """What is done to the mammograms of a cohort; null in a domain that has none."""
    breast = STUDY.domains[STUDY.domain_of[cohort]].breast
    return None if breast is None else plain(breast)


def plain_domains():
    """For each domain its training cohort, its further cohorts and its labels."""
    return {
        name: {"training": domain.training, "cohorts": domain.cohorts, "labels": domain.labels}
        for name, domain in STUDY.domains.items()
    }


def cohort_tables(cohort):
    names = ("images.parquet", "labels.parquet", "rois.parquet", "privileged.parquet", "rejected.csv", "cohort.json")
    return [result(f"cohorts/{cohort}/{name}") for name in names]


def shard_folders(cohort):
    if not STUDY.cohorts[cohort].images:
        return []
    return [result(f"images/{cohort}/shard{k}") for k in range(STUDY.cohorts[cohort].shards)]


def shard_files(cohort):
    names = ("pixels.npy", "geometry.parquet", "rois.npy", "rois.parquet", "rejected.csv")
    return [f"{folder}/{name}" for folder in shard_folders(cohort) for name in names]


def finished_shards(cohort):
    """One file a shard, the last that is written: what reads an image store waits for these, and plans are short."""
    return [f"{folder}/geometry.parquet" for folder in shard_folders(cohort)]


def table_files(name):
    return [result(f"tables/{name}.{kind}") for kind in ("csv", "md", "tex", "caption.txt")]


def figure_files(name):
    return [result(f"figures/{name}.{kind}") for kind in ("pdf", "png", "caption.txt")]


def student_file(domain, arm, seed):
    return result(f"students/{domain}/{arm}/seed{seed}/model.safetensors")


def training_inputs(wildcards):
    """Images, labels and first weights; what the arm's teacher says, or the student that it is."""
    cohort = STUDY.domains[wildcards.domain].training
    arm = STUDY.arms[wildcards.arm]
    targets, image_teacher = [], []
    if arm.teacher in ("privileged", "shuffled"):
        targets = result(f"teachers/{wildcards.domain}/{arm.variant or 'main'}/targets.npz")
    elif arm.teacher == "image":
        following = STUDY.seeds[(STUDY.seeds.index(int(wildcards.seed)) + 1) % len(STUDY.seeds)]
        image_teacher = student_file(wildcards.domain, arm.image_teacher, following)
    return {
        "cohort": cohort_tables(cohort),
        "images": finished_shards(cohort),
        "backbone": result("students/backbone/model.safetensors"),
        "targets": targets,
        "image_teacher": image_teacher,
    }


def evaluation_inputs(cohorts=PICTURED):
    """Tables and image stores of cohorts, by default of all that have images."""
    return {
        "cohorts": [file for name in cohorts for file in cohort_tables(name)],
        "images": [file for name in cohorts for file in finished_shards(name)],
    }


def probed_cohorts(domain=None):
    """The training cohorts whose labels a linear probe reads from the students of `domain` (None: of the controls)."""
    return [HOMES[name] for name in DOMAINS if name != domain and HOMES[name] in PICTURED]


PROBED = STUDY.evaluation.probe is not None and len(probed_cohorts()) > 1
PROBE_DRAW = {"probe_images": STUDY.evaluation.probe.images, "seed": STUDY.evaluation.seed} if PROBED else {}


def probe_inputs(wildcards):
    """What the probes of a domain's arm, or of a control, are fitted on and tested on: of all its seeds."""
    seeds = CONTROLS[wildcards.member] if wildcards.group == "control" else STUDY.seeds
    students = [result(f"attention/{wildcards.group}/{wildcards.member}/seed{seed}") for seed in seeds]
    cohorts = probed_cohorts(wildcards.group)
    return {
        "cohorts": [file for name in cohorts for file in cohort_tables(name)],
        "features": [f"{student}.features.npz" for student in students],
        "maps": [f"{student}/{name}.npz" for student in students for name in cohorts],
    }


def claimed_files():
    """Every file of the study: tables, figures, report, and what they were made of as far as it was needed.

    The study's last job reads them, so that none is missing in a finished study, not even one that is needed no more.
    """
    asked = {*STUDY.tables, *STUDY.figures, *(["report"] if STUDY.report else [])} - {"method"}
    files = [file for name in STUDY.tables for file in table_files(name)]
    files += [file for name in STUDY.figures for file in figure_files(name)]
    if STUDY.report:
        files.append(result("report.html"))
    if asked:
        files += [result(f"phantom/{name}/truth.parquet") for name in PHANTOMS]
        files += [file for name in COHORTS for file in [*cohort_tables(name), *shard_files(name)]]
    if asked - {"cohorts"}:
        names = ("targets.npz", "predictions.parquet", "model.safetensors")
        files += [result(f"privileged/{domain}/records.parquet") for domain in DOMAINS]
        files += [result(f"teachers/{domain}/{teacher}/{name}") for domain, teacher in TEACHERS for name in names]
    if asked - {"cohorts", "teachers"}:
        weights = [result("students/backbone/model.safetensors"), *(student_file(*student) for student in STUDENTS)]
        files += [
            str(Path(model).with_name(name)) for model in weights for name in ("model.safetensors", "history.csv")
        ]
    if asked - {"cohorts", "teachers", "training"}:
        files += [file for domain, arm, seed in STUDENTS for file in map_files(domain, arm, seed)]
        files += [*rules.attention_controls.output, *rules.scores.input.students, rules.scores.input.controls]
        files += [*rules.scores.input.probes, result("evaluation/scores.parquet")]
    return files


def map_files(domain, arm, seed):
    """What a student's attention job writes of it: maps, and the class tokens of a probe."""
    folder = result(f"attention/{domain}/{arm}/seed{seed}")
    maps = [f"{folder}/{cohort}.npz" for cohort in PICTURED] + [f"{folder}.validate.npz"] * STUDY.evaluation.tunes
    return maps + [f"{folder}.features.npz"] * PROBED


def workflow_files():
    """The Snakefile first, and the rules."""
    folder = Path(workflow.basedir)
    return ["Snakefile", *sorted(f"rules/{path.name}" for path in folder.glob("rules/*.smk"))]


def missing_roots():
    """Folders that the configuration names and that are not there."""
    for name in COHORTS:
        cohort = STUDY.cohorts[name]
        for key, folder in {"root": cohort.root, **{f"folders.{k}": v for k, v in cohort.folders.items()}}.items():
            if folder is not None and not folder.is_dir():
                yield f"cohorts.{name}.{key}: {absent(folder)}"


if missing := list(missing_roots()):
    raise WorkflowError("the configuration is wrong:\n  " + "\n  ".join(missing))
