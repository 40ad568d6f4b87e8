"""Settings that are tuned to a data set and a student, and that a study of real data should therefore state itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmpkd.config.layers import Layers
from mmpkd.config.study import Study
from mmpkd.config.teachers import TabularTeacher, TextTeacher

STUDENT = ("model", "mean", "std", "backbone")
TRAINING = ("epochs", "batch_size", "learning_rate", "weight_decay", "layer_decay", "warmup", "clip", "ema", "patience")
AUGMENTATION = ("shift", "contrast", "brightness", "flip")
IMAGING = ("size", "window")
EVALUATION = ("methods", "metric", "probe")
COHORT = ("rejected_limit",)
FROZEN, FINE_TUNED = ("penalty",), ("epochs", "learning_rate", "batch_size")
NETWORK = ("ensemble", "epochs", "learning_rate", "weight_decay", "hidden", "dropout")


def left_open(layers: Layers, teachers: bool, students: bool) -> dict[str, list[str]]:
    """The tuned settings that no file above config.yaml states, by section; none for a study of phantoms alone.

    Args:
        layers: the study and what its files say.
        teachers: whether the study fits any.
        students: whether the study fits any.
    """
    study = layers.study
    if all(study.cohorts[name].root is None for name in study.domain_of):
        return {}
    found = {}
    for section, keys in _wanted(study, teachers, students):
        stated = _at(layers.stated, section)
        found[section] = [key for key in keys if key not in stated]
    return {section: keys for section, keys in found.items() if keys}


def _wanted(study: Study, teachers: bool, students: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in study.domain_of:
        if study.cohorts[name].root is not None:
            yield f"cohorts.{name}", COHORT
    if teachers:
        for name, domain in study.domains.items():
            yield f"domains.{name}.teacher", _of_teacher(domain.teacher)
    if students:
        for name, domain in study.domains.items():
            if domain.course:
                yield f"domains.{name}.course", tuple(domain.course)
        yield "imaging", IMAGING
        yield "student", STUDENT
        yield "training", TRAINING + AUGMENTATION
        yield "evaluation", EVALUATION


def _of_teacher(teacher: TextTeacher | TabularTeacher) -> tuple[str, ...]:
    if isinstance(teacher, TextTeacher):
        return ("encoder", "tuning", "folds", *(FROZEN if teacher.tuning == "frozen" else FINE_TUNED))
    return ("model", "exclude", "folds", *(NETWORK if teacher.model == "mlp" else ()))


def _at(stated: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    """What is stated of a section; nothing where it is left out."""
    place: Any = stated
    for key in section.split("."):
        place = place.get(key) if isinstance(place, Mapping) else None
    return place if isinstance(place, Mapping) else {}
