"""A study through profiles/slurm ends as the local run does, whatever happens to its jobs."""

from itertools import combinations
from pathlib import Path

GPU_RULES = ("teacher", "backbone", "train_student", "attention")  # or what begins so


def states(jobs) -> list[str]:
    return [job["JobState"] for job in jobs]


def test_tables_and_scores_are_those_of_the_local_run(run, local):
    names = [path.relative_to(local) for path in local.glob("tables/*")]
    assert len(names) == 4 * 5
    for name in [*names, "evaluation/scores.parquet"]:
        assert (run.folder / name).read_bytes() == (local / name).read_bytes(), name
    assert (run.folder / "report.html").stat().st_size > 0


def test_a_cancelled_job_is_tried_again(run):
    jobs = run.jobs_of("train_student")
    assert states(jobs).count("CANCELLED") == 1
    assert states(jobs).count("COMPLETED") == len(jobs) - 1 == 2
    assert {job["TimeLimit"] for job in jobs} == {"12:00:00", "1-00:00:00"}, "a retry has more time"


def test_a_job_that_runs_out_of_memory_gets_more(run):
    first, second = run.jobs_of("backbone")
    assert (first["JobState"], first["MinMemoryNode"]) == ("FAILED", "400M")
    assert "Exceeded job memory limit" in Path(first["StdOut"]).read_text()
    assert (second["JobState"], second["MinMemoryNode"]) == ("COMPLETED", "800M")


def test_jobs_of_a_failed_node_go_back_into_the_queue(run):
    requeued = [job for job in run.jobs if int(job["Restarts"]) > 0]
    assert requeued
    assert set(states(requeued)) == {"COMPLETED"}


def test_gpu_jobs_at_the_same_time_have_different_gpus(run):
    gpu_jobs = [job for rule in GPU_RULES for job in run.jobs_of(rule)]
    ended = [job for job in gpu_jobs if job["JobState"] == "COMPLETED"]
    devices = {job["JobId"]: run.devices[job["JobId"]] for job in ended}
    assert set(devices.values()) == {"0", "1"}
    for one, other in combinations(ended, 2):
        if one["StartTime"] < other["EndTime"] and other["StartTime"] < one["EndTime"]:
            assert devices[one["JobId"]] != devices[other["JobId"]]
    others = {job["JobId"] for job in run.jobs} - {job["JobId"] for job in gpu_jobs}
    assert {run.devices[job] for job in others} == {"none"}


def test_short_jobs_share_a_submission_and_long_ones_an_array(run):
    assert len(run.jobs_of("tables_of_cohorts")) == 1
    assert len(run.jobs_of("scores_of_students")) == 1
    shards = [job for job in run.jobs_of("preprocess") if "ArrayJobId" in job]
    assert {job["ArrayTaskId"] for job in shards} >= {"1", "2"}
