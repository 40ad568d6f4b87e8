"""The rules by which facts become problems: errors that keep a study from running, and warnings."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

from mmpkd.check.facts import CohortFacts, HeaderFacts, Level, Problem, StudyFacts
from mmpkd.config.folders import absent
from mmpkd.config.outputs import STUDENTS, TEACHERS
from mmpkd.config.study import Study
from mmpkd.design import split_cell

NO_PATIENT = "images_without_a_patient_whose_study_counts_as_one"  # a decision that the adapter `own` counts


def trains_students(study: Study) -> bool:
    """Whether anything that the study makes needs a student."""
    return study.takes(STUDENTS)


def fits_teachers(study: Study) -> bool:
    """Whether anything that the study makes needs a teacher."""
    return study.takes(TEACHERS)


def judge(study: Study, facts: StudyFacts) -> list[Problem]:
    """All problems, errors first.

    Args:
        study: as configured.
        facts: what the check found.
    """
    problems = [
        *_cohort_problems(study, facts),
        *_label_problems(study, facts),
        *_claim_problems(study, facts),
        *_weight_problems(facts),
        *_disk_problems(facts),
        *_device_problems(study, facts),
        *_package_problems(study),
        *_student_problems(study, facts),
        *_open_problems(facts),
    ]
    return sorted(problems, key=lambda problem: problem.level != "error")


def _cohort_problems(study: Study, facts: StudyFacts) -> Iterator[Problem]:
    for name, cohort in facts.cohorts.items():
        where = f"cohorts.{name}"
        for key, folder in study.cohorts[name].folders.items():
            if message := absent(folder):
                yield Problem("error", f"{where}.folders.{key}", message)
        if cohort.licence_restricts and not cohort.restricted:
            message = "its licence forbids passing it on: set restricted to true, so that no report shows its pictures"
            yield Problem("warning", where, message)
        if cohort.error is not None:
            yield Problem("error", where, cohort.error)
        elif cohort.root is not None:
            yield from _content_problems(study, where, cohort)


def _content_problems(study: Study, where: str, cohort: CohortFacts) -> Iterator[Problem]:
    """Of a data set that was read."""
    if cohort.counts["images"]["all"] == 0:
        yield Problem("error", where, "not one image is left; see what was set aside and why")
        return
    if cohort.too_many_rejected is not None:
        yield Problem("error", f"{where}.rejected_limit", cohort.too_many_rejected)
    if cohort.training:
        yield from _training_problems(study, where, cohort)
    if trains_students(study) and cohort.images_wanted:
        if cohort.counts["images"]["test"] == 0:
            yield Problem("warning", where, "no image has the split test, so nothing is evaluated on it")
        elif cohort.counts["rois"]["test"] == 0:
            yield Problem("warning", where, "no test image has a region of interest: no localisation is scored on it")
    if alone := cohort.notes.get(NO_PATIENT):
        message = (
            f"{alone:,} images have no patient, so that two images of one person may stand in training and test: fill "
            "in the column patient of images.csv"
        )
        yield Problem("warning", where, message)
    if not cohort.labels:
        yield Problem("warning", where, f"it knows none of the labels of the domain {cohort.domain}")
    if cohort.headers is not None:
        yield from _header_problems(where, cohort.headers)


def _training_problems(study: Study, where: str, cohort: CohortFacts) -> Iterator[Problem]:
    teacher = study.domains[cohort.domain].teacher
    if trains_students(study) and not cohort.images_wanted:
        yield Problem("error", f"{where}.images", "students are trained on this cohort: set it to true")
    for split in ("train", "validate"):
        if trains_students(study) and cohort.counts["images"][split] == 0:
            yield Problem("error", where, f"no image has the split {split}, and students are trained on this cohort")
    if not fits_teachers(study):
        return
    if cohort.counts["records"]["train"] == 0:
        message = (
            "no privileged record (report or case description) has the split train, and the teacher needs them: see in "
            f"docs/data.md what files the adapter {cohort.adapter} reads"
        )
        yield Problem("error", where, message)
    elif cohort.privileged_kind != teacher.kind:
        message = f"the teacher reads {teacher.kind} records, and those of {where} are {cohort.privileged_kind}"
        yield Problem("error", f"domains.{cohort.domain}.teacher.kind", message)


def _header_problems(where: str, headers: HeaderFacts) -> Iterator[Problem]:
    unreadable, undecodable = sum(headers.unreadable.values()), sum(headers.undecodable.values())
    if headers.read and unreadable == headers.read:
        yield Problem("error", where, f"none of the {headers.read:,} files that were opened can be read")
    elif unreadable:
        yield Problem("warning", where, f"{unreadable:,} of {headers.read:,} files that were opened cannot be read")
    if undecoded := sum(headers.undecoded.values()):
        level: Level = "error" if undecoded == headers.decoded else "warning"
        message = f"the pixels of {undecoded} of {headers.decoded} files that were looked at cannot be read"
        yield Problem(level, where, f"{message}: {'; '.join(headers.undecoded)}")
    if undecodable:
        names = ", ".join(headers.undecodable)
        level = "error" if undecodable == headers.read else "warning"
        message = f"{undecodable:,} of {headers.read:,} files need a decoder that is not installed: {names}"
        yield Problem(level, where, message)


def _label_problems(study: Study, facts: StudyFacts) -> Iterator[Problem]:
    """Each label of a domain must be known to the cohort that it is learnt from, and occur there."""
    for name, domain in study.domains.items():
        cohort = facts.cohorts[domain.training]
        if cohort.error is not None or cohort.root is None or not cohort.counts["images"]["all"]:
            continue
        where = f"domains.{name}.labels"
        if unknown := [label for label in cohort.unknown_labels if label in domain.labels]:
            problem = f"{domain.training}, which is learnt from, does not know {', '.join(unknown)}"
            yield Problem("error", where, f"{problem}; use labels of its tables")
        learnt = {label: counts for label, counts in cohort.labels.items() if label in domain.labels}
        for split in ("train", "validate"):
            never = [label for label, counts in learnt.items() if counts["positive"][split] == 0]
            if never and cohort.counts["images"][split]:
                level: Level = "error" if split == "train" and len(never) == len(learnt) else "warning"
                yield Problem(level, where, f"no image of {domain.training} in {split} has {', '.join(never)}")


def _claim_problems(study: Study, facts: StudyFacts) -> Iterator[Problem]:
    if "claims" not in study.tables:
        return
    for name, claim in study.claims.items():
        cells = sorted({split_cell(cell)[1] for cell in (*claim.cells, *claim.minus)})
        silent = [cell for cell in cells if _has_no_roi(facts.cohorts[cell])]
        if silent:
            message = f"it cannot be tested without regions of interest in {', '.join(silent)}"
            yield Problem("warning", f"claims.{name}", message)


def _has_no_roi(cohort: CohortFacts) -> bool:
    if not cohort.images_wanted:
        return True
    return cohort.root is not None and cohort.error is None and cohort.counts["rois"]["test"] == 0


def _weight_problems(facts: StudyFacts) -> Iterator[Problem]:
    levels: dict[str, Level] = {"missing": "error", "does not fit": "error", "needs network": "warning"}
    for weights in facts.weights:
        if weights.state in levels:
            yield Problem(levels[weights.state], weights.purpose, weights.message)


def _disk_problems(facts: StudyFacts) -> Iterator[Problem]:
    needed = sum(facts.disk.needed.values()) - facts.disk.there
    if needed > facts.disk.free:
        message = (
            f"about {bytes_text(needed)} more are needed at {facts.disk.folder}, {bytes_text(facts.disk.free)} are free"
        )
        yield Problem("error", "disk", message)


def _device_problems(study: Study, facts: StudyFacts) -> Iterator[Problem]:
    machine = facts.machine
    if machine.torch is None:
        yield Problem("error", "torch", "torch is not installed; run make, or pip install -r requirements.lock")
    if study.device != "cuda" or not trains_students(study):
        return
    if machine.torch is not None and machine.torch.endswith("+cpu"):
        yield Problem("warning", "device", f"cuda is configured, and torch {machine.torch} is built without it")
    if machine.gpus == 0:
        away = "; right if the jobs run on another machine" if study.gpus else ""
        yield Problem("warning", "device", f"cuda is configured, and no GPU is seen on {_this_machine()}{away}")


def _this_machine() -> str:
    return "this node" if os.environ.get("SLURM_JOB_ID") else "this machine"


def bytes_text(count: float) -> str:
    """3 significant digits at most, in decimal units as disks are sold in."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or abs(count) >= 100 else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _package_problems(study: Study) -> Iterator[Problem]:
    """Packages that a choice needs and that are not installed with the rest."""
    chosen = {
        "training.tensorboard": ("tensorboardX", "tensorboardX", study.training.tensorboard),
        "evaluation.methods": ("grad-cam", "pytorch_grad_cam", "grad_cam" in study.evaluation.methods),
    }
    for key, (package, module, wanted) in chosen.items():
        if wanted and trains_students(study) and find_spec(module) is None:
            yield Problem("error", key, f"the package {package} is not installed: pip install {package}")


def _student_problems(study: Study, facts: StudyFacts) -> Iterator[Problem]:
    """A student that cannot be built, and heads that it does not have."""
    student = facts.student
    if student is None:
        return
    if student.error is not None:
        yield Problem("error", "student", student.error)
        return
    for method in study.evaluation.methods:
        head = method.removeprefix("last_layer_head")
        if head.isdecimal() and int(head) >= student.heads:
            message = f"{method}: the student has the heads 0 to {student.heads - 1}"
            yield Problem("error", "evaluation.methods", message)


def _open_problems(facts: StudyFacts) -> Iterator[Problem]:
    """Settings that belong to the data and the student, and that a study of real data does not state."""
    for section, keys in facts.left_open.items():
        message = f"not stated, so {facts.open_source} are used: {', '.join(keys)}; state them in the study's own file"
        yield Problem("warning", section, message)
