"""The whole check: every cohort in use, weights, disk and machine, and the verdict."""

from collections.abc import Callable
from pathlib import Path

from mmpkd.check.cohorts import examine
from mmpkd.check.facts import CohortFacts, StudyFacts, WeightFacts
from mmpkd.check.judge import fits_teachers, judge, trains_students
from mmpkd.check.machine import look_at_disk, look_at_machine
from mmpkd.check.weights import find_encoder, find_first_weights
from mmpkd.config.study import MAIN, Study
from mmpkd.config.teachers import TextTeacher

RESULTS = Path("results")


def check(
    study: Study,
    files: list[str],
    everything: bool = False,
    results: Path = RESULTS,
    announce: Callable[[str], None] = lambda cohort: None,
) -> StudyFacts:
    """Looks at everything that `study` will need, and computes none of it.

    Args:
        study: the configuration.
        files: what it was read from, to be told.
        everything: read the header of every image, not of a sample.
        results: the folder that the workflow writes to.
        announce: called with a cohort's name before it is read, which may take half a minute.
    """
    cohorts: dict[str, CohortFacts] = {}
    for name, domain in study.domain_of.items():
        announce(name)
        section = study.domains[domain]
        training = name == section.training
        cohorts[name] = examine(study.cohorts[name], domain, section.labels, training, study.imaging.size, everything)
    facts = StudyFacts(
        study=study.study,
        files=files,
        cohorts=cohorts,
        weights=_weights(study),
        disk=look_at_disk(study, cohorts, trains_students(study), results),
        machine=look_at_machine(study.device),
    )
    facts.problems = judge(study, facts)
    return facts


def _weights(study: Study) -> list[WeightFacts]:
    """Of each text teacher and of the students, as far as the study fits them."""
    found = []
    if fits_teachers(study):
        encoders = {}
        for (domain, name), teacher in study.teachers.items():
            if isinstance(teacher, TextTeacher):
                where = "teacher" if name == MAIN else f"variants.{name}"
                encoders.setdefault(teacher.encoder, f"domains.{domain}.{where}.encoder")
        found += [find_encoder(encoder, purpose) for encoder, purpose in encoders.items()]
    if trains_students(study):
        found.append(find_first_weights(study.student, study.imaging.size))
    return found
