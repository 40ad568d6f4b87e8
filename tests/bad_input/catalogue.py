"""The catalogue of broken inputs: what a case is, what must happen, and how it is held against what does happen.

Each file of this folder lists the cases of one kind of input and runs them. Three answers are allowed:

    stops       an error of the project's own, whose message holds the given words
    set_aside   the run goes on, and exactly `count` more records are rejected, for a reason with the given words
    accepted    the run goes on, nothing more is rejected, and `check` holds of the result

Any other exception (a KeyError from deep inside, say) fails the case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.paths import TableFileError
from mmpkd.cohorts.rejections import TooManyRejectedError
from mmpkd.config.study import ConfigError
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.store import StoreError
from mmpkd.students.vit import CheckpointError

ANSWERS = (
    CheckpointError,
    ChoiceError,
    ConfigError,
    FileNotFoundError,
    StoreError,
    TableFileError,
    TooManyRejectedError,
    UnreadableImage,
)
LONGEST = 3000  # characters of a message that a person reads


@dataclass(frozen=True)
class Outcome:
    """What the broken input led to: the result, and the reasons of the records that it has set aside."""

    result: Any = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One broken input. `breaks` is what a file's runner takes: a value, or a function that breaks something whole."""

    name: str
    breaks: Any
    answer: str
    words: tuple[str, ...] = ()
    count: int = 0
    check: Callable[[Any], bool] | None = None


def stops(name: str, breaks: Any, *words: str) -> Case:
    """The run stops with a message that holds all `words`."""
    return Case(name, breaks, "stops", words)


def set_aside(name: str, breaks: Any, *words: str, count: int = 1, check: Callable[[Any], bool] | None = None) -> Case:
    """`count` records are set aside for a reason that holds all `words`."""
    assert words and all(words), f"{name}: a reason is expected"
    return Case(name, breaks, "set_aside", words, count, check)


def accepted(name: str, breaks: Any, check: Callable[[Any], bool]) -> Case:
    """Nothing is set aside, and `check` holds of the result."""
    return Case(name, breaks, "accepted", check=check)


def over(cases: list[Case]):
    """Runs a test once a case."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    return pytest.mark.parametrize("case", cases, ids=names)


def hold(case: Case, run: Callable[[], Outcome], secrets: frozenset[str] = frozenset()) -> None:
    """Asserts that `run` leads to what `case` says, and that what is told names none of `secrets`."""
    if case.answer == "stops":
        with pytest.raises(ANSWERS) as caught:
            run()
        told = [str(caught.value)]
        assert [word for word in case.words if word not in told[0]] == [], told[0]
        assert len(told[0]) <= LONGEST
    else:
        outcome = run()
        told = list(outcome.reasons)
        fitting = [reason for reason in told if all(word in reason for word in case.words)]
        assert len(fitting) == len(told) == case.count, told
        assert case.check is None or case.check(outcome.result)
    assert [secret for secret in secrets if any(secret in text for text in told)] == []
