"""What the run cost, from Snakemake's benchmark files."""

import logging
from pathlib import Path

import pandas as pd

log = logging.getLogger("mmpkd.tables")
COLUMNS = ["rule", "jobs", "seconds_total", "seconds_mean", "seconds_max", "memory_peak_mb"]
TOTAL = "all rules"


def table(benchmarks: str | Path) -> tuple[pd.DataFrame, str]:
    """One row a rule, the costliest first, and a last row for all.

    Args:
        benchmarks: folder of `<rule>/<anything>.tsv`, at any depth below the rule; columns `s` (wall seconds) and
            `max_rss` (MB) are used. A job too short for Snakemake to see its memory has none there.

    Raises:
        FileNotFoundError: no benchmark file.
    """
    folder = Path(benchmarks)
    jobs, broken = [], 0
    for path in sorted(folder.glob("*/**/*.tsv")):
        job = pd.read_csv(path, sep="\t", na_values=["-", "NA"]) if path.stat().st_size else pd.DataFrame()
        if not {"s", "max_rss"} <= set(job.columns):
            broken += 1
            continue
        jobs.append(job[["s", "max_rss"]].astype("float64").assign(rule=path.relative_to(folder).parts[0]))
    if not jobs:
        raise FileNotFoundError(f"{folder}: no <rule>/*.tsv with columns s and max_rss; run the study first")
    if broken:
        log.warning("%d benchmark files without columns s and max_rss were left out", broken)
    measured = pd.concat(jobs, ignore_index=True)
    rows = [_summary(rule, of_rule) for rule, of_rule in measured.groupby("rule")]
    rows.sort(key=lambda row: -row["seconds_total"])
    caption = (
        f"Wall time and peak memory of the {len(measured)} jobs of the run as measured by Snakemake, by rule. "
        "Jobs may run side by side, so the total is longer than the run took. Memory is the resident set of a job "
        "(MB), - where the job was too short to be measured."
    )
    if broken:
        caption += f" {broken} unreadable benchmark files were left out."
    return pd.DataFrame([*rows, _summary(TOTAL, measured)], columns=COLUMNS), caption


def _summary(rule: str, jobs: pd.DataFrame) -> dict:
    return {
        "rule": rule,
        "jobs": len(jobs),
        "seconds_total": jobs["s"].sum(),
        "seconds_mean": jobs["s"].mean(),
        "seconds_max": jobs["s"].max(),
        "memory_peak_mb": jobs["max_rss"].max(),
    }
