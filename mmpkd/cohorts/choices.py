"""A cohort's `options` and `folders`, checked against those that its adapter knows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmpkd.config.cohorts import Cohort

LINKED = "linked"  # begins the names of folders that no adapter reads, but that links may lead into


class ChoiceError(ValueError):
    """An option or folder of a cohort is unknown or of the wrong kind; the message names those that are known."""


def read_options(cohort: Cohort, known: Mapping[str, Any]) -> dict[str, Any]:
    """The adapter's options: its defaults `known`, overridden by `cohort.options`.

    Raises:
        ChoiceError: for an unknown option, or a value of another kind than the default.
    """
    _refuse_unknown(cohort, "options", cohort.options, known)
    for name, value in cohort.options.items():
        if not _same_kind(value, known[name]):
            raise ChoiceError(
                f"{cohort.adapter}: options.{name} is {value!r}; it must be like its default, {known[name]!r}"
            )
    return {**known, **cohort.options}


def read_folders(cohort: Cohort, known: tuple[str, ...]) -> dict[str, Path]:
    """The folders of `cohort.folders` that the adapter reads, after a check of their names.

    Raises:
        ChoiceError: for a folder that the adapter does not know.
    """
    folders = {name: folder for name, folder in cohort.folders.items() if not name.startswith(LINKED)}
    _refuse_unknown(cohort, "folders", folders, (*known, LINKED))
    return folders


def declared_folders(cohort: Cohort) -> tuple[Path, ...]:
    """The folders that links may lead into: the root and all that `cohort.folders` names."""
    return (cohort.root, *cohort.folders.values())


def among(name: str, values: list[str], known: tuple[str, ...]) -> list[str]:
    """Returns `values`.

    Raises:
        ChoiceError: if it is empty or one of them is not in `known`.
    """
    wrong = [value for value in values if value not in known]
    if wrong or not values:
        raise ChoiceError(f"options.{name}: {', '.join(wrong) or 'nothing chosen'}; known are {', '.join(known)}")
    return values


def _refuse_unknown(cohort: Cohort, section: str, given: Mapping[str, Any], known: Mapping | tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ChoiceError(
            f"{cohort.adapter}: unknown {section}: {', '.join(unknown)}; known are {', '.join(known) or 'none'}"
        )


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, dict):  # a policy a label, or one word for all labels
        return isinstance(value, dict | str)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))
