"""What a run says on the terminal: a line per job and how far it is, at the end what it found or how it goes on.

The records of Snakemake's log carry an event and its fields, as its logger plugins get them. A plugin would have to be
a package of its own that every profile names. A handler on the logger needs neither.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from mmpkd.config.base import did_you_mean
from mmpkd.config.study import Study
from mmpkd.design import Design
from mmpkd.results import Results

# Seconds of a job of the demo: what the jobs of a rule weigh in the progress.
COSTS = {"backbone": 84, "train_student": 67, "teacher": 19, "phantom": 12, "attention": 7, "preprocess": 6}
COSTS |= {"evaluate": 6, "all": 0}
OTHER_COST = 2
EARLY = 0.1  # share of the work before which no remaining time is shown
COMMAND = "MMPKD_COMMAND"  # how the Makefile says what was typed
USUAL = "DefaultStreamHandler"  # Snakemake's name of its own handler of the terminal
QUIET = {"workflow_started", "resources_info", "job_started", "group_info", "shellcmd", "progress", "rulegraph"}
NO_RULE = re.compile(r"(?:No rule to produce|There is no rule named) (\w+)(?: \(|\.$)")
INTERRUPTED = "Terminating processes on user request"
NOISE = (
    "Assuming unrestricted",
    "Building DAG",
    "Using shell",
    "Conda environments",
    "Group jobs",
    "Select jobs",
    "RuleException",
    "CalledProcessError",
    "At least one job",
    "WorkflowError:\nAt least one job",
    "Exiting because",
    "Shutting down",
    "Complete log",
    "Elapsed time",
)


def speak_plainly(logger: logging.Logger, settings: Any) -> None:
    """Puts a `Console` in the place of Snakemake's own handler, unless the user asked for more, less or another one.

    Args:
        logger: Snakemake's.
        settings: its output settings.
    """
    asked = any(getattr(settings, name, None) for name in ("dryrun", "verbose", "debug_dag", "quiet"))
    for usual in list(logger.handlers):
        if isinstance(usual, logging.StreamHandler) and usual.name == USUAL and not asked:
            logger.removeHandler(usual)
            logger.addHandler(Console(usual))


def advise(record: logging.LogRecord, rules: Iterable[str]) -> bool:
    """A filter of Snakemake's logger: where it knows no such rule and one is like it, that one is named.

    Args:
        record: of Snakemake's logger; its message may be replaced.
        rules: that the workflow has.
    """
    if (wanted := NO_RULE.search(str(record.msg))) and (advice := did_you_mean(wanted[1], rules)):
        record.msg = f"there is no rule {wanted[1]}{advice}"
    return True


class Console(logging.Handler):
    """A line for every job that ended. What is not about jobs, such as a warning, goes to the `usual` handler."""

    def __init__(self, usual: logging.StreamHandler) -> None:
        super().__init__()
        self.usual, self.started = usual, monotonic()
        self.jobs: dict[int, tuple[str, str]] = {}  # rule and words of those that were started
        self.done = self.total = 0
        self.interrupted = False

    def emit(self, record: logging.LogRecord) -> None:
        """Tells of one event. As other handlers, it raises nothing: Snakemake's thread would end, and the run hang."""
        try:
            self._tell(record)
        except OSError:  # no space for the file, or nobody at the other end of the pipe
            self.handleError(record)

    def _tell(self, record: logging.LogRecord) -> None:
        facts = vars(record)  # what Snakemake says of the event
        event = facts.get("event")
        if event == "run_info":
            self._begin(facts["stats"])
        elif event == "job_info":
            self.jobs[facts["jobid"]] = facts["rule_name"], facts["rule_msg"] or ""
        elif event == "job_finished":
            self._finish(*self.jobs[facts["job_id"]])
        elif event == "job_error":
            self._fail(facts)
        elif str(record.msg).startswith(INTERRUPTED):
            self.interrupted = True
            self._write("Stopping the jobs that are at work.")
        elif event not in QUIET and not str(record.msg).startswith(NOISE):
            self.usual.handle(record)

    def _begin(self, jobs: Mapping[str, int]) -> None:
        self.total = sum(count * _cost(rule) for rule, count in jobs.items() if rule != "total")
        self._write(f"Jobs: {jobs['total']}; a line for each that ends")

    def _finish(self, rule: str, words: str) -> None:
        self.done += _cost(rule)
        if words:  # the target `all` has none
            self._write(f"{progress(self.done, self.total, monotonic() - self.started):<28}{words}")

    def _fail(self, facts: Mapping[str, Any]) -> None:
        texts = [Path(log).read_text(errors="replace") for log in facts["log"] if Path(log).is_file()]
        if facts["indent"] and not any("CRITICAL" in text for text in texts):
            return  # it stands in a group with the job that failed
        lines = "\n".join(texts).split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")
        rule, words = self.jobs.get(facts["jobid"], (facts["rule_name"], ""))
        if self.interrupted and not any("CRITICAL" in text for text in texts):
            self._write(f"stopped: {words or rule}")
            return
        self._write(f"FAILED: {words or rule}: {said}\n  log: {', '.join(facts['log'])}")

    def _write(self, text: str) -> None:
        stream = self.usual.stream
        clear = "\r\033[K" if stream.isatty() else ""  # the bar of a job that is at work
        stream.write(f"{clear}{text}\n")
        stream.flush()


def _cost(rule: str) -> int:
    return COSTS.get(rule, OTHER_COST)


def progress(done: float, total: float, seconds: float) -> str:
    """How much of the work is done and, once that says something, how long the rest takes at the same pace.

    Args:
        done: weight of the jobs that ended.
        total: weight of all jobs.
        seconds: since the run began.
    """
    text = f"{int(100 * done / total):>3} %"
    if not EARLY <= done / total < 1:
        return text
    minutes = seconds / 60 * (total - done) / done
    if minutes < 1:
        return f"{text}, less than 1 min left"
    return f"{text}, about {f'{minutes:.0f} min' if minutes < 100 else f'{minutes / 60:.0f} h'} left"


def success(study: Study, results: Results) -> str:
    """What a finished study found, where that stands, and how it is verified.

    Args:
        study: that was run.
        results: where its results lie.
    """
    from mmpkd.report.study import headline, read_claims

    lines = []
    if study.claims and "claims" in study.tables:
        design = Design.of(study.model_dump(mode="json"))
        lines.append(headline(read_claims(results.table("claims")["csv"], study.evaluation.confidence, design)))
    if study.report:
        lines.append(f"Report: {results.report}")
    program = Path(os.path.relpath(sys.executable)).with_name("mmpkd")
    return "\n".join([*lines, f"Verify: {program} verify {results.root}"])


def failure() -> str:
    """How a run that failed or was stopped goes on."""
    command = os.environ.get(COMMAND)
    return f"Run {f'`{command}`' if command else 'the same command'} again to continue; finished jobs are kept."
