"""What a run says on the terminal."""

import errno
import io
import logging

import pytest

from mmpkd.config.demo import DEMO
from mmpkd.console import COMMAND, COSTS, USUAL, Console, advise, failure, progress, speak_plainly, success
from mmpkd.results import Results


class Settings:
    def __init__(self, **asked):
        self.__dict__.update(asked)


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def logger(stream):
    usual = logging.StreamHandler(stream)
    usual.name = USUAL
    logger = logging.Logger("snakemake")
    logger.addHandler(usual)
    return logger


def start(logger, number: int, rule: str, words: str | None) -> None:
    event = {"event": "job_info", "jobid": number, "rule_name": rule, "rule_msg": words}
    logger.info("Rule: x", extra=event)
    logger.info("Shell command: None", extra={"event": "shellcmd"})


def fail(logger, number: int, *logs, indent: bool = False) -> None:
    event = {"event": "job_error", "jobid": number, "rule_name": "teacher", "log": [*map(str, logs)], "indent": indent}
    logger.error("Error in rule teacher", extra=event)


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0, 200, 5, "  0 %"),
        (9, 200, 5, "  4 %"),  # too early to tell
        (50, 200, 300, " 25 %, about 15 min left"),
        (199, 200, 300, " 99 %, less than 1 min left"),
        (50, 200, 7200, " 25 %, about 6 h left"),
        (200, 200, 300, "100 %"),
    ],
)
def test_the_rest_takes_as_long_as_the_work_done_so_far(done, total, seconds, text):
    assert progress(done, total, seconds) == text


def test_a_job_is_a_line_and_weighs_what_it_costs(logger, stream, monkeypatch):
    clock = iter([0, 60, 120, 180])
    monkeypatch.setattr("mmpkd.console.monotonic", lambda: next(clock))
    speak_plainly(logger, Settings(quiet=set(), dryrun=False))
    logger.info("Building DAG of jobs...")
    stats = {"train_student": 1, "scores": 1, "all": 1, "total": 3}
    logger.info("Job stats: ...", extra={"event": "run_info", "stats": stats})
    for number, (rule, words) in enumerate([("train_student", "Student"), ("scores", "Scores"), ("all", None)]):
        start(logger, number, rule, words)
        logger.info("Finished", extra={"event": "job_finished", "job_id": number})
        logger.info(None, extra={"event": "progress", "done": 1, "total": 3})
    logger.warning("a warning")
    logger.info("Nothing to be done")
    share = 100 * COSTS["train_student"] // (COSTS["train_student"] + 2)
    assert stream.getvalue().splitlines() == [
        "Jobs: 3; a line for each that ends",
        f" {share} %, less than 1 min left Student",
        "100 %                       Scores",
        "a warning",
        "Nothing to be done",
    ]


@pytest.mark.parametrize("asked", [{"verbose": True}, {"dryrun": True}, {"quiet": {"rules"}}])
def test_who_asks_for_more_or_less_gets_snakemakes_own(logger, asked):
    before = [*logger.handlers]
    speak_plainly(logger, Settings(**asked))
    assert logger.handlers == before


def test_another_handler_stays(logger):
    logger.handlers[0].name = "that of a plugin"
    speak_plainly(logger, Settings())
    assert not any(isinstance(handler, Console) for handler in logger.handlers)


def test_a_handler_that_writes_to_no_stream_stays(logger):
    (usual,) = logger.handlers
    logger.handlers = [logging.NullHandler()]
    logger.handlers[0].name = usual.name
    speak_plainly(logger, Settings())
    assert not any(isinstance(handler, Console) for handler in logger.handlers)


def test_a_full_disk_under_the_output_does_not_end_snakemakes_thread(logger, monkeypatch):
    def full(text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    speak_plainly(logger, Settings())
    logger.info("Job stats: ...", extra={"event": "run_info", "stats": {"teacher": 1, "total": 1}})
    start(logger, 7, "teacher", "Teacher main of cxr")
    monkeypatch.setattr(logger.handlers[0].usual.stream, "write", full)
    logger.info("Finished", extra={"event": "job_finished", "job_id": 7})
    assert logger.handlers[0].done == COSTS["teacher"]


def test_a_failure_ends_with_the_last_line_of_its_log(logger, stream, tmp_path):
    log = tmp_path / "teacher.log"
    log.write_text("INFO begin\nCRITICAL mmpkd: stopped\nValueError: no report is left\n\n")
    speak_plainly(logger, Settings())
    start(logger, 7, "teacher", "Teacher main of cxr")
    fail(logger, 7, log)
    logger.error("RuleException:\nCalledProcessError in file ...")
    assert stream.getvalue() == f"FAILED: Teacher main of cxr: ValueError: no report is left\n  log: {log}\n"


def test_a_job_without_a_log_failed_too_and_its_neighbours_in_a_group_did_not(logger, stream, tmp_path):
    good = tmp_path / "good.log"
    good.write_text("INFO done\n")
    speak_plainly(logger, Settings())
    fail(logger, 1, tmp_path / "none.log")
    fail(logger, 2, good, indent=True)
    assert stream.getvalue() == f"FAILED: teacher: it ended without a word\n  log: {tmp_path / 'none.log'}\n"


def test_after_an_interrupt_jobs_are_stopped_unless_they_had_failed(logger, stream, tmp_path):
    speak_plainly(logger, Settings())
    start(logger, 7, "teacher", "Teacher main of cxr")
    logger.info("Terminating processes on user request, this might take some time.")
    fail(logger, 7, tmp_path / "none.log")
    failed = tmp_path / "failed.log"
    failed.write_text("CRITICAL mmpkd: stopped\nValueError: no report is left\n")
    fail(logger, 8, failed)
    assert stream.getvalue().splitlines() == [
        "Stopping the jobs that are at work.",
        "stopped: Teacher main of cxr",
        "FAILED: teacher: ValueError: no report is left",
        f"  log: {failed}",
    ]


def test_the_same_command_goes_on(monkeypatch):
    monkeypatch.delenv(COMMAND, raising=False)
    assert failure() == "Run the same command again to continue; finished jobs are kept."
    monkeypatch.setenv(COMMAND, "make all")
    assert failure() == "Run `make all` again to continue; finished jobs are kept."


def test_a_study_without_claims_and_report_is_verified_all_the_same():
    study = DEMO.model_copy(update={"claims": {}, "report": False})
    words = success(study, Results("results/x"))
    assert words.startswith("Verify: ") and words.endswith("/mmpkd verify results/x") and "\n" not in words


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "MissingRuleException:\nNo rule to produce figure_localisation (if you use input functions ...).",
            "there is no rule figure_localisation; did you mean figure_localization?",
        ),
        ("There is no rule named tabel_claims.", "there is no rule tabel_claims; did you mean table_claims?"),
        ("No rule to produce results/x.csv (if ...).", "No rule to produce results/x.csv (if ...)."),
        ("There is no rule named zzz.", "There is no rule named zzz."),
    ],
)
def test_the_rule_that_was_meant_is_named(message, expected):
    record = logging.makeLogRecord({"msg": message})
    assert advise(record, ["figure_localization", "table_claims"]) and record.msg == expected
