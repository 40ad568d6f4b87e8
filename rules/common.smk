"""The validated configuration and the names of files."""

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from mmpkd.config.folders import absent
from mmpkd.config.layers import load_study
from mmpkd.config.outputs import OUTPUTS
from mmpkd.config.study import ConfigError
from mmpkd.config.plain import plain, settings_of
from mmpkd.console import advise, failure, speak_plainly, success
from mmpkd.dependencies import fingerprint, make_importable, module_files
from mmpkd.interrupts import end_quietly
from mmpkd.presence import sign_in
from mmpkd.results import CONTROL, Results

make_importable()
if workflow.is_main_process:
    end_quietly()
    speak_plainly(logger, workflow.output_settings)
    logger.addFilter(lambda record: advise(record, [rule.name for rule in workflow.rules]))
# Not Snakemake's own `config`: it merges every overlay into config.yaml key by key, so that a study of another student
# would keep the demo's settings. `load_study` puts the same files together as docs/studies.md explains.
try:
    STUDY = load_study(workflow.overwrite_configfiles, workflow.config_settings.config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RESULTS = Results(f"results/{STUDY.study}")
# `mmpkd recover` changes nothing while a process that signed in lives.
for place in [Path(".snakemake"), *filter(Path.is_dir, [Path(RESULTS.root)])]:
    sign_in(place, "run" if workflow.is_main_process else "job")

DOMAINS = list(STUDY.domains)
HOMES = {name: domain.training for name, domain in STUDY.domains.items()}
STUDENTS = STUDY.students  # domain, arm, seed
TEACHERS = list(STUDY.teachers)  # domain, name
COHORTS = list(STUDY.domain_of)
PICTURED = [name for name in COHORTS if STUDY.cohorts[name].images]
# Seeds of the students that were never fine-tuned.
CONTROL_SEEDS = {"untrained": STUDY.seeds, "pretrained": STUDY.seeds[:1]}
# Of each domain the cohorts whose scored images have twins, with the marker of a phantom's habit and without it.
TWINNED = {name: STUDY.twinned(name) for name in DOMAINS}
PHANTOMS = [name for name in COHORTS if STUDY.cohorts[name].phantom]
WITHHELD = [name for name in COHORTS if STUDY.cohorts[name].restricted and not STUDY.restricted_images_in_report]
# Tables of cohorts, in which single images may be restricted.
HIDDEN = {} if STUDY.restricted_images_in_report else {name: RESULTS.cohort_folder(name) for name in PICTURED}
SCRIPTS = Path(workflow.basedir) / "workflow_scripts"


wildcard_constraints:
    domain="|".join(DOMAINS),
    cohort="|".join(COHORTS),
    arm="|".join(STUDY.arms),
    teacher="|".join(dict.fromkeys(name for _, name in TEACHERS)),
    seed=r"\d+",
    shard=r"\d+",


def per_attempt(amount):
    """Memory (MB) or run time (minutes) of a job: a retry gets more, since a job killed for either would be again."""
    return lambda wildcards, attempt: amount * attempt


def batch_mb(training):
    """Memory of a batch and its activations in MB: 2 kB per pixel, where ViT-S/16 needs 1.3 in single precision."""
    return training.batch_size * STUDY.imaging.size**2 // 500


def training_mb(training):
    """Memory of a training job in MB: its processes, and the batch that they share."""
    return 4000 * training.processes + batch_mb(training)


def code(rule_name, *modules):
    """A fingerprint of the code that a rule's script uses, and of modules that it loads by name; a change re-runs it."""
    loaded = [file for module in modules for file in module_files(f"mmpkd.{module}")]
    return fingerprint(SCRIPTS / f"{rule_name}.py", *loaded)


def breast_of(cohort):
    """What is done to the mammograms of a cohort; null in a domain that has none."""
    breast = STUDY.domains[STUDY.domain_of[cohort]].breast
    return None if breast is None else plain(breast)


def shards_of(cohort):
    """Numbers of a cohort's shards; none without images."""
    return range(STUDY.cohorts[cohort].shards if STUDY.cohorts[cohort].images else 0)


def shard_folders(cohort):
    return [RESULTS.shard_folder(cohort, shard) for shard in shards_of(cohort)]


def shard_files(cohort):
    return [file for shard in shards_of(cohort) for file in RESULTS.shard(cohort, shard).values()]


def finished_shards(cohort):
    """One file per shard, the last that is written: what reads an image store waits for these, and plans are short."""
    return [RESULTS.shard(cohort, shard)["geometry"] for shard in shards_of(cohort)]


FOLDERS = {name: RESULTS.cohort_folder(name) for name in PICTURED}
SHARDS = {name: shard_folders(name) for name in PICTURED}


def job_seeds(wildcards):
    """The seeds whose students a job trains."""
    return STUDY.seeds if STUDY.seeds_together else [int(wildcards.seed)]


def training_inputs(wildcards):
    """Images, labels and first weights; what the arm's teacher says, or the student that it is. A constant one has no file."""
    cohort = HOMES[wildcards.domain]
    arm = STUDY.arms[wildcards.arm]
    targets, image_teacher = [], []
    if arm.privileged:
        targets = RESULTS.teacher(wildcards.domain, arm.variant or "main")["targets"]
    elif arm.teacher == "image":
        following = dict(zip(STUDY.seeds, STUDY.seeds[1:] + STUDY.seeds[:1]))
        teacher = STUDY.image_teacher_of(wildcards.arm)
        image_teacher = [
            RESULTS.student(wildcards.domain, teacher, following[seed])["model"] for seed in job_seeds(wildcards)
        ]
    return {
        "cohort": list(RESULTS.cohort(cohort).values()),
        "images": finished_shards(cohort),
        "backbone": RESULTS.backbone["model"],
        "targets": targets,
        "image_teacher": image_teacher,
    }


def evaluation_inputs(cohorts=PICTURED):
    """Tables and image stores of cohorts, by default of all that have images."""
    return {
        "cohorts": [file for name in cohorts for file in RESULTS.cohort(name).values()],
        "images": [file for name in cohorts for file in finished_shards(name)],
    }


TWIN_FOLDERS = {name: RESULTS.twin_folder(name) for names in TWINNED.values() for name in names}


def twin_inputs(domains):
    """The image stores of twins, and what was drawn in their phantoms."""
    cohorts = [cohort for domain in domains for cohort in TWINNED[domain]]
    return {
        "twins": [file for cohort in cohorts for file in RESULTS.twins(cohort).values()],
        "truths": [RESULTS.phantom(cohort)["truth"] for cohort in cohorts],
    }


# Keys of the attention maps that one job writes or reads, in the order of the files.
MAPS = [(seed, cohort) for seed in STUDY.seeds for cohort in PICTURED]
CONTROL_STUDENTS = [(control, seed) for control, seeds in CONTROL_SEEDS.items() for seed in seeds]
CONTROL_MAPS = [(*student, cohort) for student in CONTROL_STUDENTS for cohort in PICTURED]
CONTROL_TUNING = [(*student, home) for student in CONTROL_STUDENTS for home in HOMES.values() if STUDY.evaluation.tunes]


def probed_cohorts(domain=None):
    """The training cohorts whose labels a linear probe reads from the students of `domain` (None: of the controls)."""
    return [HOMES[name] for name in DOMAINS if name != domain and HOMES[name] in PICTURED]


PROBED = STUDY.evaluation.probe is not None and len(probed_cohorts()) > 1
PROBE_DRAW = {"probe_images": STUDY.evaluation.probe.images, "seed": STUDY.evaluation.seed} if PROBED else {}


def seeds_of(group, member):
    """Seeds of the students of a domain's arm, or of a control."""
    return CONTROL_SEEDS[member] if group == CONTROL else STUDY.seeds


def probed_maps(group, member):
    """Seed and cohort of the maps whose class tokens are tested by a probe."""
    return [(seed, cohort) for seed in seeds_of(group, member) for cohort in probed_cohorts(group)]


def probe_inputs(wildcards):
    """What the probes of a domain's arm, or of a control, are fitted on and tested on: of all its seeds."""
    group, member = wildcards.group, wildcards.member
    return {
        "cohorts": [file for name in probed_cohorts(group) for file in RESULTS.cohort(name).values()],
        "features": [RESULTS.features(group, member, seed) for seed in seeds_of(group, member)],
        "maps": [RESULTS.attention(group, member, seed, cohort) for seed, cohort in probed_maps(group, member)],
    }


def files_of(outputs):
    """Every form of tables and figures, and their captions."""
    return [file for output in outputs for file in RESULTS.output(output.kind, output.name).values()]


def claimed_files():
    """Every file of the study: tables, figures, report, and what they were made of as far as it was needed.

    The study's last job reads them, so that none is missing in a finished study, not even one that is needed no more.
    """
    files = files_of(STUDY.outputs) + [RESULTS.report] * STUDY.report
    if STUDY.takes("cohorts"):
        files += [RESULTS.phantom(name)["truth"] for name in PHANTOMS]
        files += [file for name in COHORTS for file in [*RESULTS.cohort(name).values(), *shard_files(name)]]
    if STUDY.takes("teachers"):
        files += [RESULTS.records(domain) for domain in DOMAINS]
        files += [file for teacher in TEACHERS for file in RESULTS.teacher(*teacher).values()]
    if STUDY.takes("students"):
        files += RESULTS.backbone.values()
        files += [file for student in STUDENTS for file in RESULTS.student(*student).values()]
    if STUDY.takes("scores"):
        files += [file for cohort in TWIN_FOLDERS for file in RESULTS.twins(cohort).values()]
        files += [file for student in STUDENTS for file in map_files(*student)]
        files += [*rules.attention_controls.output, *rules.scores.input.students, rules.scores.input.controls]
        files += [*rules.scores.input.probes, RESULTS.scores]
    return files


def map_files(domain, arm, seed):
    """What a student's attention job writes of it: maps, and the class tokens of a probe."""
    files = [RESULTS.attention(domain, arm, seed, cohort) for cohort in PICTURED]
    files += [RESULTS.tuning(domain, arm, seed)] * STUDY.evaluation.tunes
    files += [RESULTS.twin_maps(domain, arm, seed)] * bool(TWIN_FOLDERS)
    return files + [RESULTS.features(domain, arm, seed)] * PROBED


def workflow_files():
    """The Snakefile first, and the rules."""
    folder = Path(workflow.basedir)
    return ["Snakefile", *sorted(f"rules/{path.name}" for path in folder.glob("rules/*.smk"))]


def missing_roots():
    """Folders that the configuration names and that are not there, or empty."""
    for name in COHORTS:
        cohort = STUDY.cohorts[name]
        for key, folder in {"root": cohort.root, **{f"folders.{k}": v for k, v in cohort.folders.items()}}.items():
            if folder is not None and (message := absent(folder)):
                yield f"cohorts.{name}.{key}: {message}"


if missing := list(missing_roots()):
    raise WorkflowError("the configuration is wrong:\n  " + "\n  ".join(missing))
