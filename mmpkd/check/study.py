"""The whole check: every cohort in use, weights, disk and machine, and the verdict."""

from collections.abc import Callable
from pathlib import Path

from mmpkd.check.cohorts import examine
from mmpkd.check.facts import CohortFacts, StudentFacts, StudyFacts, WeightFacts
from mmpkd.check.judge import fits_teachers, judge, trains_students
from mmpkd.check.machine import look_around, look_at_disk, look_at_machine
from mmpkd.check.models import describe_student, find_encoder, find_first_weights
from mmpkd.config.layers import Layers
from mmpkd.config.study import MAIN, Study
from mmpkd.config.teachers import Encoder, TextTeacher
from mmpkd.config.tuned import left_open

RESULTS = Path("results")


def check(
    layers: Layers,
    everything: bool = False,
    results: Path = RESULTS,
    announce: Callable[[str], None] = lambda cohort: None,
) -> StudyFacts:
    """Looks at everything that a study will need, and computes none of it.

    Args:
        layers: the study, and the files that it was read from.
        everything: read the header of every image, not of a sample.
        results: the folder that the workflow writes to.
        announce: called with a cohort's name before it is read, which may take half a minute.
    """
    study = layers.study
    cohorts: dict[str, CohortFacts] = {}
    for name, domain in study.domain_of.items():
        announce(name)
        section = study.domains[domain]
        training = name == section.training
        cohorts[name] = examine(study.cohorts[name], domain, section.known, training, study.imaging.size, everything)
    student = student_of(study)
    facts = StudyFacts(
        study=study.study,
        files=[str(file) for file in layers.files],
        cohorts=cohorts,
        student=student,
        weights=_weights(study),
        disk=look_at_disk(study, cohorts, student, results),
        machine=look_at_machine(study.device),
        left_open=left_open(layers, fits_teachers(study), trains_students(study)),
        open_source="the demo's values (config.yaml)" if layers.stands_on_the_demo else "the defaults of mmpkd/config",
    )
    facts.problems = sorted([*judge(study, facts), *look_around(results)], key=lambda problem: problem.level != "error")
    return facts


def student_of(study: Study) -> StudentFacts | None:
    """The student that the study trains; in the domain and arm whose training takes most memory."""
    if not trains_students(study):
        return None
    courses = dict.fromkeys((domain, study.training_of(domain, arm)) for domain, arm, _ in study.students)
    described = [
        describe_student(study.student, training, study.imaging.size, len(study.domains[domain].labels))
        for domain, training in courses
    ]
    return max(described, key=lambda facts: facts.training_bytes)


def _weights(study: Study) -> list[WeightFacts]:
    """Of each text teacher and of the students, as far as the study fits them."""
    found = []
    if fits_teachers(study):
        encoders: dict[Encoder, str] = {}
        for (domain, name), teacher in study.teachers.items():
            if isinstance(teacher, TextTeacher):
                where = "teacher" if name == MAIN else f"variants.{name}"
                encoders.setdefault(teacher.encoder, f"domains.{domain}.{where}.encoder")
        found += [find_encoder(encoder, purpose) for encoder, purpose in encoders.items()]
    if trains_students(study):
        found.append(find_first_weights(study.student, study.imaging.size))
    return found
