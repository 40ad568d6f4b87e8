"""What the run cost, from Snakemake's benchmark files and the first lines of the jobs' logs."""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from mmpkd.logs import SET_UP
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.results import Results

log = logging.getLogger(__name__)
COLUMNS = ["rule", "jobs", "seconds_total", "seconds_mean", "seconds_max", "set_up_seconds", "memory_peak_mb"]
TOTAL = "all rules"
BETWEEN = "between jobs"
SET_UP_LINE = re.compile(re.escape(SET_UP).replace(re.escape("{:.2f}"), r"([\d.]+)"))
LONGEST_PAUSE = 120.0  # seconds without any job after which two jobs are of different runs


def make(inputs: Inputs) -> Table:
    """One row per rule, the costliest first, a row for all, and one for the time in which a core had no job.

    It reads the benchmarks (columns `s`, wall seconds, and `max_rss`, MB; a job too short for Snakemake to see its
    memory has none) and the first lines of the logs, which say how long interpreter and imports took.

    Returns:
        rule, jobs, seconds_total, seconds_mean, seconds_max, set_up_seconds (of all jobs together; part of
        seconds_total), memory_peak_mb. The row `between jobs` is the span of the run times the most jobs that ran at
        once, less the jobs' own seconds: scheduling, and cores that had nothing to do. It is only there if all jobs are
        of one run. The caption has the share of all this that went into the stages' own work.

    Raises:
        FileNotFoundError: no benchmark file.
    """
    results = Results(inputs.keys["results"])
    measured, broken = _jobs(results)
    if measured.empty:
        raise FileNotFoundError(
            f"{results.benchmarks}: no <rule>/*.tsv with columns s and max_rss; run the study first"
        )
    if broken:
        log.warning("%d benchmark files without columns s and max_rss were left out", broken)
    rows = [_summary(rule, of_rule) for rule, of_rule in measured.groupby("rule")]
    rows.sort(key=lambda row: -row["seconds_total"])
    rows.append(_summary(TOTAL, measured))
    caption = (
        f"Wall time and peak memory of the {len(measured)} jobs of the run as measured by Snakemake, by rule. "
        "Jobs may run side by side, so the total is longer than the run took. Set-up: interpreter and imports, before "
        "a stage's own work begins; part of the total. Memory is the resident set of a job (MB), - where the job was "
        "too short to be measured." + _broken_words(broken)
    )
    timeline = _timeline(measured)
    if timeline is None:
        caption += " The jobs are of several runs, so that the time between them is not known."
        return Table(_typed(rows), caption)
    span, at_once = timeline
    rows.append({"rule": BETWEEN, "seconds_total": at_once * span - measured["s"].sum()})
    return Table(_typed(rows), caption + _share_words(measured, span, at_once))


def _typed(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"jobs": "Int64"})


def _jobs(results: Results) -> tuple[pd.DataFrame, int]:
    """rule, s, max_rss, end (seconds of the clock) and set_up of each job; and how many files could not be read."""
    jobs, broken = [], 0
    for rule, path, log_file in results.measured_jobs():
        job = pd.read_csv(path, sep="\t", na_values=["-", "NA"]) if path.stat().st_size else pd.DataFrame()
        if not {"s", "max_rss"} <= set(job.columns):
            broken += 1
            continue
        job = job[["s", "max_rss"]].astype("float64")
        jobs.append(job.assign(rule=rule, end=path.stat().st_mtime, set_up=_set_up(log_file)))
    return (pd.concat(jobs, ignore_index=True) if jobs else pd.DataFrame()), broken


def _set_up(path: Path) -> float:
    """Seconds that the log's first line states; NaN where it does not."""
    if not path.is_file():
        return np.nan
    with path.open(encoding="utf-8", errors="replace") as stream:
        found = SET_UP_LINE.search(stream.readline())
    return float(found[1]) if found else np.nan


def _timeline(jobs: pd.DataFrame) -> tuple[float, int] | None:
    """Seconds from the first job's start to the last one's end, and the most jobs at once; None for several runs."""
    begin, end = jobs["end"] - jobs["s"], jobs["end"]
    order = np.argsort(begin.to_numpy())
    pauses = begin.to_numpy()[order][1:] - np.maximum.accumulate(end.to_numpy()[order])[:-1]
    if (pauses > LONGEST_PAUSE).any():
        return None
    middle = begin + jobs["s"] / 2  # a benchmark is written a moment after its job: ends are no place to count
    at_once = max(int(((begin < time) & (time < end)).sum()) for time in middle)
    return float(end.max() - begin.min()), max(at_once, 1)


def _share_words(jobs: pd.DataFrame, span: float, at_once: int) -> str:
    own = jobs["s"].sum() - jobs["set_up"].sum()
    return (
        f" From the first job to the last the run took {span:.0f} s with at most {at_once} at once; "
        f"{100 * own / (span * at_once):.0f} % of that was the stages' own work, "
        f"{100 * jobs['set_up'].sum() / (span * at_once):.0f} % set-up, the rest scheduling and cores without a job."
    )


def _broken_words(broken: int) -> str:
    return f" {broken} unreadable benchmark files were left out." if broken else ""


def _summary(rule: str, jobs: pd.DataFrame) -> dict:
    return {
        "rule": rule,
        "jobs": len(jobs),
        "seconds_total": jobs["s"].sum(),
        "seconds_mean": jobs["s"].mean(),
        "seconds_max": jobs["s"].max(),
        "set_up_seconds": jobs["set_up"].sum(min_count=1),
        "memory_peak_mb": jobs["max_rss"].max(),
    }
