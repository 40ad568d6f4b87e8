"""Runs cases in a process of their own, which may crash, hang or be stopped for its memory without harm.

A case that ends the process is named by its index; what the process had not reported by then is run again without it.
"""

import faulthandler
import multiprocessing
import os
import resource
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from time import monotonic, process_time

import psutil

from tests.fuzz.targets import Target, case_random

SECONDS_BETWEEN_REPORTS = 0.5
MOST_ENDED = 100  # cases of a target that end the process, before it is given up
MIB = 1 << 20
PATIENCE = 6
MEMORY = Path("/dev/shm")  # files of cases, where there is one: a disk takes ten times the rest


@dataclass(frozen=True)
class Limits:
    """What one case may take: seconds of the processor, or PATIENCE times as many of the clock on a busy machine.

    The process may hold twice `memory`, so that a case above it is seen and not only cut.
    """

    seconds: float = 10.0
    memory: int = 2 << 30


@dataclass(frozen=True)
class Finding:
    """A case that did what it must not: kind is exception, broken, memory, hang or crash."""

    target: str
    seed: int
    index: int
    kind: str
    detail: str


@dataclass
class Tally:
    """What came of some cases; `refused` counts reason classes, `slowest` is (seconds of the processor, index)."""

    cases: int = 0
    succeeded: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    peak: int = 0  # bytes of memory

    def add(self, other: "Tally") -> None:
        self.cases += other.cases
        self.succeeded += other.succeeded
        self.refused += other.refused
        self.findings += other.findings
        self.slowest = max(self.slowest, other.slowest)
        self.peak = max(self.peak, other.peak)


def fuzz(
    target: Target, seed: int, cases: int, limits: Limits | None = None, advance: Callable[[int], None] | None = None
) -> Tally:
    """Runs the cases 0 to `cases` of a target; `advance` hears how many more are done."""
    limits, tally, ended = limits or Limits(), Tally(), set[int]()
    corpus = target.corpus()
    first = 0
    while first < cases and len(ended) < MOST_ENDED:
        run = _Run(target, corpus, seed, first, cases, ended, limits)
        for part in run.parts():
            tally.add(part)
            first += part.cases
            if advance:
                advance(part.cases)
        if run.finding is not None:
            ended.add(run.finding.index)
            tally.findings.append(run.finding)
    return tally


class _Run:
    """One process, until it is done or a case ends it; `finding` is that case."""

    def __init__(
        self, target: Target, corpus: Sequence, seed: int, first: int, end: int, skip: set[int], limits: Limits
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.fuzz.targets"])
        self._target, self._seed, self._limits = target.name, seed, limits
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY if MEMORY.is_dir() else None)
        # The case that runs, since when, and the processor's time by then.
        self._heart = context.RawArray("d", [-1, 0, 0])
        self._reports, sender = context.Pipe(duplex=False)
        work = (
            target,
            corpus,
            seed,
            range(first, end),
            frozenset(skip),
            limits,
            sender,
            self._heart,
            self._folder.name,
        )
        self._process = context.Process(target=_work, args=work)
        self._process.start()
        sender.close()
        self.finding: Finding | None = None

    def parts(self):
        """Yields the tallies that the process reports."""
        with self._folder:
            hanging = None  # the case that does
            while True:
                try:
                    if self._reports.poll(SECONDS_BETWEEN_REPORTS):
                        yield self._reports.recv()
                    elif (hanging := self._hangs()) is not None:
                        break
                except (EOFError, ConnectionResetError):
                    break
            if hanging is not None:
                os.kill(self._process.pid, signal.SIGUSR1)  # it writes down where it is
                self._process.join(1)
                self._process.kill()
            self._process.join()
            if hanging is not None:
                self.finding = self._ended(hanging, "hang")
            elif self._process.exitcode:
                self.finding = self._ended(int(self._heart[0]), "crash")

    def _hangs(self) -> int | None:
        """The case that takes too long, if one does."""
        index, started, processor = self._heart
        if index < 0 or monotonic() - started <= self._limits.seconds:
            return None
        used = sum(psutil.Process(self._process.pid).cpu_times()[:2]) - processor
        late = used > self._limits.seconds or monotonic() - started > PATIENCE * self._limits.seconds
        return int(index) if late else None

    def _ended(self, index: int, kind: str) -> Finding:
        code = self._process.exitcode
        said = Path(self._folder.name, "fault").read_text(errors="replace")
        lines = [line.strip() for line in said.splitlines() if "File" in line and "tests/fuzz" not in line]
        signals = {-number.value: number.name for number in signal.Signals}
        what = f"over {self._limits.seconds:g} s" if kind == "hang" else signals.get(code, f"exit code {code}")
        return Finding(self._target, self._seed, index, kind, " < ".join([what, *lines[:3]]))


def _work(
    target: Target,
    corpus: Sequence,
    seed: int,
    cases: range,
    skip: frozenset[int],
    limits: Limits,
    reports,
    heart,
    folder: str,
) -> None:
    """Runs cases and reports twice a second; ends early after a case that took too much memory."""
    with open(Path(folder, "fault"), "w") as fault:
        faulthandler.enable(fault)
        faulthandler.register(signal.SIGUSR1, fault)
        resource.setrlimit(resource.RLIMIT_DATA, (2 * limits.memory, 2 * limits.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders talk
        for module in target.imports:
            import_module(module)
        part, reported = Tally(), monotonic()
        for index in cases:
            heart[1], heart[2] = monotonic(), process_time()
            heart[0] = index
            part.cases += 1
            if index not in skip:
                _run_case(target, corpus, seed, index, Path(folder), limits, part)
            part.slowest = max(part.slowest, (process_time() - heart[2], index))
            full = part.peak > limits.memory
            if full or monotonic() - reported > SECONDS_BETWEEN_REPORTS or index == cases[-1]:
                heart[0] = -1
                reports.send(part)
                part, reported = Tally(), monotonic()
            if full:
                break


def _run_case(
    target: Target, corpus: Sequence, seed: int, index: int, folder: Path, limits: Limits, part: Tally
) -> None:
    finding = refusal = None
    try:
        refusal = run_case(target, corpus, seed, index, folder)
    except Exception as error:
        kind = {"Broken": "broken", "MemoryError": "memory"}.get(type(error).__name__, "exception")
        finding = kind, describe(error)
    part.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if part.peak > limits.memory and finding is None:
        finding = "memory", f"{part.peak // MIB} MiB"
    if finding:
        part.findings.append(Finding(target.name, seed, index, *finding))
    elif refusal:
        part.refused[refusal] += 1
    else:
        part.succeeded += 1


def run_case(target: Target, corpus: Sequence, seed: int, index: int, folder: Path) -> str:
    """Makes and checks one case: "" if it succeeds, else the class of its refusal."""
    rng = case_random(target.name, seed, index)
    return target.check(rng, target.make(rng, corpus), folder)


def describe(error: Exception) -> str:
    """The error, and where in the library or in what it calls it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/fuzz/" not in frame.filename]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return " < ".join([f"{type(error).__name__}: {str(error)[:200]}", *reversed(places)])
