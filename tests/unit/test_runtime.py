import os
from pathlib import Path

import numpy as np
import pytest

from mmpkd.logs import SET_UP
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table_runtime import make
from tests.outputs import parts

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
START = 1_000_000.0


def job(folder: Path, name: str, start: float, seconds: float, memory: float | str = 500, set_up: float | None = None):
    """A job's benchmark, written when it ended, and its log."""
    path = folder / f"benchmarks/{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + f"{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t0\t0\n")
    os.utime(path, (START + start + seconds,) * 2)
    if set_up is not None:
        log = folder / f"logs/{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"2026-01-01 00:00:00,000 INFO mmpkd: {SET_UP.format(set_up)}\nsomething else\n")


def made(folder: Path):
    return parts(make(Inputs(keys={"results": str(folder)})))


def test_sums_by_rule_and_what_lies_between_the_jobs(tmp_path):
    job(tmp_path, "train/cxr/a", 0, 10, set_up=4)
    job(tmp_path, "train/b", 2, 30, 700, set_up=2)
    job(tmp_path, "table/x", 38, 2, "-")
    (tmp_path / "benchmarks/table/broken.tsv").write_text("")
    table, caption = made(tmp_path)
    assert table["rule"].tolist() == ["train", "table", "all rules", "between jobs"]
    assert table.iloc[0].tolist() == ["train", 2, 40.0, 20.0, 30.0, 6.0, 700.0]
    assert np.isnan(table.loc[1, "memory_peak_mb"]) and np.isnan(table.loc[1, "set_up_seconds"])
    assert table.loc[2, "jobs"] == 3
    # 40 s with at most two at once, less the 42 s of the jobs
    assert table.loc[3, "seconds_total"] == pytest.approx(2 * 40 - 42)
    assert "took 40 s with at most 2 at once; 45 % of that" in caption and "8 % set-up" in caption
    assert "1 unreadable" in caption


def test_jobs_of_several_runs_say_nothing_of_the_time_between(tmp_path):
    job(tmp_path, "train/a", 0, 10, set_up=4)
    job(tmp_path, "train/b", 10_000, 10, set_up=4)
    table, caption = made(tmp_path)
    assert table["rule"].tolist() == ["train", "all rules"]
    assert "of several runs" in caption


def test_without_files_it_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the study first"):
        made(tmp_path)
