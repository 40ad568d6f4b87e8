"""Some thousand cases of each target, and whether the fuzzer notices what it is there for."""

import os
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.promise import require
from tests.fuzz.runner import MIB, Limits, fuzz, run_case
from tests.fuzz.targets import TARGETS, Target, case_random

CASES = {"dicom": 1500, "picture": 500, "sections": 4000, "run_lengths": 4000, "xml": 2000, "table": 1000}
CASES |= {"mimic_report": 50, "text": 2000, "listing": 150, "encoder": 100}  # eight threads each, but for text
REACHED = {"dicom": 0.1, "picture": 0.1, "sections": 0.9, "run_lengths": 0.01, "xml": 0.02, "table": 0.05}
COUNT = 40  # planted cases, of which some each have the value 7
LIMITS = Limits(memory=400 * MIB)


@pytest.mark.parametrize("name", TARGETS)
def test_readers_answer_every_case(name):
    tally = fuzz(TARGETS[name], seed=1, cases=CASES[name])
    assert tally.findings == []
    assert tally.cases == CASES[name] == tally.succeeded + tally.refused.total()
    assert tally.succeeded > REACHED.get(name, 0.1) * CASES[name], "the mutations break nearly everything at once"


def values():
    return range(10)


def choose(rng, corpus):
    return rng.choice(corpus)


def crash(rng, value, folder):
    if value == 7:
        os.abort()
    return "" if value % 2 else "even"


def hang(rng, value, folder):
    while value == 7:
        pass
    return ""


def wait(rng, value, folder):
    if value == 7:
        sleep(60)
    return ""


def raise_another_error(rng, value, folder):
    if value == 7:
        raise KeyError("not documented")
    return ""


def break_a_promise(rng, value, folder):
    require(value != 7, "no value is seven")
    return ""


def take_memory(rng, value, folder):
    if value == 7:
        np.ones(LIMITS.memory + 50 * MIB, dtype=np.uint8)
    return ""


def take_too_much_memory(rng, value, folder):
    if value == 7:
        np.ones(3 * LIMITS.memory, dtype=np.uint8)
    return ""


def planted(check):
    return Target("planted", 1.0, values, choose, check)


def sevens():
    return [index for index in range(COUNT) if choose(case_random("planted", 0, index), values()) == 7]


@pytest.mark.parametrize(
    ("check", "kind", "detail"),
    [
        (crash, "crash", "SIGABRT"),
        (hang, "hang", "over 0.4 s"),
        (raise_another_error, "exception", "KeyError: 'not documented'"),
        (break_a_promise, "broken", "no value is seven"),
        (take_memory, "memory", "MiB"),
        (take_too_much_memory, "memory", "MemoryError"),
    ],
)
def test_a_planted_fault_is_found_and_the_other_cases_are_run(check, kind, detail):
    limits = Limits(seconds=0.4) if kind == "hang" else LIMITS
    tally = fuzz(planted(check), seed=0, cases=COUNT, limits=limits)
    assert sevens() and sorted(finding.index for finding in tally.findings) == sevens()
    assert {finding.kind for finding in tally.findings} == {kind}
    assert all(detail in finding.detail for finding in tally.findings)
    assert tally.cases == COUNT and tally.succeeded + tally.refused.total() == COUNT - len(sevens())


def test_a_case_that_waits_is_a_hang_too():
    limits = Limits(seconds=0.1)
    tally = fuzz(planted(wait), seed=0, cases=sevens()[0] + 1, limits=limits)
    assert [(finding.kind, finding.index) for finding in tally.findings] == [("hang", sevens()[0])]


@pytest.mark.parametrize("name", TARGETS)
def test_a_case_is_made_again_from_its_name(name, tmp_path):
    target = TARGETS[name]

    def case(seed, index):
        return target.make(case_random(name, seed, index), target.corpus())

    assert repr(case(3, 5)) == repr(case(3, 5))
    assert len({repr(case(seed, index)) for seed in range(3) for index in range(20)}) > 40
    assert run_case(target, target.corpus(), 3, 5, tmp_path) == run_case(target, target.corpus(), 3, 5, tmp_path)


def test_a_finding_is_reported_with_the_command_that_repeats_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(TARGETS, "planted", planted(raise_another_error))
    assert main(["--target", "planted", "--cases", str(COUNT)]) == 1
    first = f"--target planted --seed 0 --index {sevens()[0]}"
    told = capsys.readouterr().out
    assert f"{len(sevens())} findings" in told and f"python -m tests.fuzz {first}\n" in told
    saved = tmp_path / "case"
    assert main([*first.split(), "--save", str(saved)]) == 1
    assert "KeyError: 'not documented'" in capsys.readouterr().out and saved.read_text() == "7"
    assert main(["--target", "sections", "--index", "0"]) == 0


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.runner.MEMORY", Path(tmp_path))
    fuzz(planted(crash), seed=0, cases=COUNT)
    assert list(tmp_path.iterdir()) == []
