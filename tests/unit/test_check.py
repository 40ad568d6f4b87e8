"""The parts of `mmpkd check`: merging, redaction, headers, disk, the rules of the verdict, and the text."""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mmpkd.check import machine
from mmpkd.check.cohorts import group_reasons
from mmpkd.check.facts import (
    CohortFacts,
    DiskFacts,
    HeaderFacts,
    MachineFacts,
    NeedFacts,
    StudentFacts,
    StudyFacts,
    WeightFacts,
)
from mmpkd.check.headers import can_decode, read_headers
from mmpkd.check.judge import bytes_text, fits_teachers, judge, trains_students
from mmpkd.check.models import describe_student
from mmpkd.check.study import student_of
from mmpkd.check.terminal import WIDTH, render
from mmpkd.config.demo import DEMO
from mmpkd.config.layers import merge, parse_entries
from mmpkd.config.reading import read_config
from mmpkd.config.study import ConfigError, Study, load
from mmpkd.redaction import redact, repeatable

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "validate", "test", "all")

# merging


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": None}, {"a": {"b": {"c": 1}}}),
        ({"a": 1}, {"a": {"b": 2}, "d": []}),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [3]}}),
        ({}, {"a": {}}),
    ],
)
def test_merging_is_that_of_snakemake(config, changes):
    from snakemake.utils import update_config

    expected = copy.deepcopy(config)
    update_config(expected, copy.deepcopy(changes))
    assert merge(copy.deepcopy(config), changes) == expected


@pytest.mark.parametrize(
    "entries",
    [
        ["study=x", "gpus=2"],
        ["report=False", "training={learning_rate: 1e-4}"],
        ["cohorts={mimic_cxr: {root: /data/a, phantom: null}}", "cohorts={mimic_cxr: {shards: 3}}"],
        ["student={mean: 0.5}", "seeds=[1, 2]", "study=a=b", "number=1.5"],
    ],
)
def test_entries_are_read_as_snakemake_reads_them(entries):
    from snakemake.cli import parse_config

    assert parse_entries(entries) == parse_config(entries)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "just words\n", ""])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"odd\.yaml"):
        read_config(path)
    with pytest.raises(ConfigError, match=r"absent\.yaml: No such file"):
        read_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="key=value is expected"):
        parse_entries(["study"])


# redaction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("view LATERAL is not frontal", "view LATERAL is not frontal"),
        ("drawn on 3056 x 2544 pixels", "drawn on 3056 x 2544 pixels"),
        ("row 2, row 1208 and 1194 more: 5000 files", "row 2, row 1208 and 1194 more: 5000 files"),
        ("write it as 0 to 120", "write it as 0 to 120"),
        ("10000032 x 3, 50414267 files, 10000032 to 5", "# x 3, # files, # to 5"),
        ("p10000032 images of 1.2.840.113619 x 2544", "p# images of # x #"),
        (
            "label in mimic-cxr-2.0.0-chexpert.csv.gz is not 1, 0",
            "label in mimic-cxr-2.0.0-chexpert.csv.gz is not 1, 0",
        ),
        ("[Errno 2] No such file: '/x/p10/p10000032/s5.txt'", "[Errno 2] No such file: ..."),
        ("open p10000032/s50414267.txt", "open p#/s#.txt"),
        ("image 02aa804e-bde0afdd-112c0b34-7bc16630-4e384014 is odd", "image # is odd"),
        ("uid 1.3.6.1.4.1.9590.100.1.2.374115997511889073021386151921807063992", "uid #"),
        ("the word 'Mr. Smith has a\nsmall effusion' ends", "the word ... ends"),
        ("uid 1.2.840.113619.2 to 5, 1.2.840.113.12 files", "uid # to 5, # files"),
        ("decade added faced", "decade added faced"),
        ("P_00001_LEFT_CC has two", "P_#_LEFT_CC has two"),
        ("t.csv, row 1204: image 1204, arrow 1204", "t.csv, row 1204: image #, arrow #"),
    ],
)
def test_what_could_be_an_identifier_is_hidden(text, expected):
    assert redact(text) == expected


def test_paths_of_the_configuration_stay():
    root = "/data/project_465000123/mimic"
    none = f"{root}/files: holds none of the 377110 images"
    assert redact(none, [root]) == none
    assert redact(f"[Errno 13] Permission denied: '{root}'", [root]).endswith(root)
    assert "10000032" not in redact(f"{root}/files/p10/p10000032: denied", [root])
    assert repeatable("cannot identify <_io.BytesIO object at 0x7F12ab>\n at 0x10") == (
        "cannot identify <_io.BytesIO object> at 0x10"
    )
    assert redact("x" * 1000) == "x" * 397 + "..."


def test_reasons_are_grouped_without_what_differs():
    reasons = pd.Series([f"drawn on {rows} x 2000 pixels" for rows in range(1000, 1050)] + ["no file"] * 3)
    assert group_reasons(reasons) == {"drawn on # x # pixels": 50, "no file": 3}
    assert group_reasons(reasons[:1]) == {"drawn on 1000 x 2000 pixels": 1}
    many = pd.Series([f"reason {letter}" for letter in "abcdefghijklmnop"] + ["reason a"])
    grouped = group_reasons(many)
    assert len(grouped) == 13 and grouped["reason a"] == 2 and grouped["other reasons"] == 4
    assert sum(grouped.values()) == len(many)


# headers


def test_headers_are_sampled_with_a_seed_or_read_in_full(tmp_path):
    from PIL import Image

    for index in range(230):
        Image.new("L", (index + 1, 3)).save(tmp_path / f"{index:03}.png")
    (tmp_path / "229.png").write_bytes(b"no picture")
    paths = pd.Series([f"{index:03}.png" for index in range(230)] * 2)
    first, again, other = (read_headers(tmp_path, paths, seed=seed) for seed in (0, 0, 1))
    assert (first.read, first.files) == (200, 230) and first == again != other
    whole = read_headers(tmp_path, paths, everything=True)
    assert whole.read == 230 and sum(whole.unreadable.values()) == 1
    assert whole.rows == [3, 3, 3] and whole.columns == [1, 115, 229]
    assert not whole.transfer_syntaxes and not whole.undecodable


def test_all_headers_are_read_in_several_processes(tmp_path, monkeypatch):
    from PIL import Image

    Image.new("L", (5, 3)).save(tmp_path / "a.png")
    for index in range(600):
        os.link(tmp_path / "a.png", tmp_path / f"{index}.png")
    facts = read_headers(tmp_path, pd.Series([f"{index}.png" for index in range(600)]), everything=True)
    assert facts.read == 600 and not facts.unreadable and facts.columns == [5, 5, 5]


def test_transfer_syntaxes_are_counted_and_those_without_a_decoder_named(tmp_path, monkeypatch):
    from pydicom.data import get_testdata_file

    from mmpkd.check import headers

    names = ["CT_small.dcm", "JPEG2000.dcm"]
    for name in names:
        (tmp_path / name).write_bytes(Path(get_testdata_file(name)).read_bytes())
    facts = read_headers(tmp_path, pd.Series([*names, "absent.dcm"]))
    assert facts.transfer_syntaxes == {"Explicit VR Little Endian": 1, "JPEG 2000 Image Compression": 1}
    assert sum(facts.unreadable.values()) == 1 and not facts.undecodable and not facts.examples
    named = read_headers(tmp_path, pd.Series([*names, "absent.dcm"]), named=True)
    assert named.examples == dict.fromkeys(named.unreadable, "absent.dcm")
    monkeypatch.setattr(headers, "can_decode", lambda syntax: "1.2.4.91" not in syntax)
    facts = read_headers(tmp_path, pd.Series(names))
    assert facts.undecodable == {"JPEG 2000 Image Compression": 1}


def test_a_transfer_syntax_that_nothing_reads():
    assert can_decode("1.2.840.10008.1.2") and not can_decode("1.2.840.10008.1.2.4.100")


# disk and machine


def test_gpus_are_those_that_the_driver_lists(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A (UUID: x)'\necho '  MIG 1g.10gb'\necho 'GPU 1: NVIDIA B'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.look_at_machine("cuda").gpus == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.look_at_machine("cuda").gpus == 0
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine.look_at_machine("cuda").gpus == 0


def test_disk_counts_what_will_be_written_and_what_is_there(tmp_path):
    study = DEMO
    (tmp_path / "demo" / "images").mkdir(parents=True)
    (tmp_path / "demo" / "images" / "pixels.npy").write_bytes(b"x" * 1000)
    cohorts = {"mimic_cxr": cohort_facts(images=100, store_bytes=5_000_000)}
    student = describe_student(study.student, study.training, 56, 5)
    disk = machine.look_at_disk(study, cohorts, student, tmp_path)
    assert disk.there == 1000 and disk.free > 0
    # 56 px in patches of 8, 2 methods, float16; 2 domains x 3 arms x 5 seeds, 5 untrained, 1 pretrained
    assert disk.needed["attention maps"] == 100 * 36 * 49 * 2 * 2
    assert disk.needed["students"] == 31 * student.parameters * 4
    assert disk.needed["image store"] == 5_000_000
    without = machine.look_at_disk(study, cohorts, None, tmp_path / "not" / "there")
    assert without.needed["students"] == without.needed["attention maps"] == without.there == 0


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1234, "1.23 kB"),
        (99_950, "100 kB"),
        (2.5e9, "2.5 GB"),
        (1.23e13, "12.3 TB"),
    ],
)
def test_sizes_are_written_for_people(count, text):
    assert bytes_text(count) == text


# the verdict


def by_split(train=80, validate=10, test=10):
    return {"train": train, "validate": validate, "test": test, "all": train + validate + test}


def cohort_facts(training=False, images=100, labels=("a",), **further) -> CohortFacts:
    """A data set with which nothing is wrong."""
    counts = {
        "images": by_split() if training else by_split(0, 0, images),
        "studies": by_split() if training else by_split(0, 0, images),
        "patients": by_split() if training else by_split(0, 0, images),
        "rois": by_split(0, 0, 10),
        "records": by_split() if training else by_split(0, 0, 0),
    }
    label = {"positive": by_split(8, 1, 1), "negative": by_split(72, 9, 9), "unknown": by_split(0, 0, 0)}
    values = {
        "domain": "cxr",
        "training": training,
        "adapter": "mimic_cxr",
        "root": "/data/x",
        "restricted": True,
        "licence_restricts": True,
        "images_wanted": True,
        "needs": [NeedFacts("/data/x/files", "images", "there", True, True)],
        "counts": counts,
        "labels": dict.fromkeys(labels, label),
        "privileged_kind": "text" if training else "none",
        "headers": HeaderFacts(200, 1000, {}, {"Implicit VR Little Endian": 200}, {}, [10, 20, 30], [10, 20, 30]),
    }
    return CohortFacts(**{**values, **further})


@pytest.fixture
def study(tmp_path) -> Study:
    """Two cohorts of one domain, on real data."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    folder = {"phantom": None, "root": str(tmp_path)}
    config["cohorts"] = {"learnt": {"adapter": "mimic_cxr", **folder}, "tested": {"adapter": "vindr_cxr", **folder}}
    config["domains"] = {
        "cxr": {"training": "learnt", "cohorts": ["tested"], "labels": ["a", "b"], "teacher": {"kind": "text"}}
    }
    config["claims"] = {"one": {"title": "It gains", "cells": ["cxr@learnt", "cxr@tested"]}}
    return load(config)


def study_facts(**further) -> StudyFacts:
    cohorts = {"learnt": cohort_facts(training=True, labels=("a", "b")), "tested": cohort_facts()}
    values = {
        "study": "x",
        "files": ["config.yaml"],
        "cohorts": cohorts,
        "student": StudentFacts(
            "vit", parameters=1000, patch=8, grid=7, heads=2, file_bytes=4000, training_bytes=20_000
        ),
        "weights": [WeightFacts("student.backbone", "shapes", "made here", "drawn")],
        "disk": DiskFacts("results", {"image store": 1000}, 0, 10_000),
        "machine": MachineFacts("auto", 0, "2.13.0", {"RLE": True}),
    }
    return StudyFacts(**{**values, **further})


def problems(study: Study, facts: StudyFacts) -> set[tuple[str, str]]:
    return {(problem.level, problem.where) for problem in judge(study, facts)}


def test_a_good_study_has_no_problem(study):
    assert judge(study, study_facts()) == []


def set_count(cohort: str, key: str, split: str, count: int = 0):
    def change(facts: StudyFacts) -> None:
        facts.cohorts[cohort].counts[key][split] = count

    return change


def set_field(cohort: str, **fields):
    def change(facts: StudyFacts) -> None:
        for name, value in fields.items():
            setattr(facts.cohorts[cohort], name, value)

    return change


def headers(read=200, unreadable=0, undecodable=0) -> HeaderFacts:
    return HeaderFacts(read, 1000, {"x": unreadable} if unreadable else {}, {}, {"J": undecodable}, [], [])


PROBLEMS = {
    "a cohort cannot be read": (set_field("tested", error="no"), {("error", "cohorts.tested")}),
    "no image": (set_count("tested", "images", "all"), {("error", "cohorts.tested")}),
    "nothing to learn from": (set_count("learnt", "images", "train"), {("error", "cohorts.learnt")}),
    "nothing to validate on": (set_count("learnt", "images", "validate"), {("error", "cohorts.learnt")}),
    "no reports": (set_count("learnt", "records", "train"), {("error", "cohorts.learnt")}),
    "case descriptions for a text teacher": (
        set_field("learnt", privileged_kind="tabular"),
        {("error", "domains.cxr.teacher.kind")},
    ),
    "training images are not wanted": (
        set_field("learnt", images_wanted=False),
        {("error", "cohorts.learnt.images"), ("warning", "claims.one")},
    ),
    "a label that is not learnt": (set_field("learnt", unknown_labels=["b"]), {("error", "domains.cxr.labels")}),
    "a label that one test cohort does not know": (set_field("tested", unknown_labels=["b"]), set()),
    "no label at all": (set_field("tested", labels={}), {("warning", "cohorts.tested")}),
    "no test image": (set_count("tested", "images", "test"), {("warning", "cohorts.tested")}),
    "no ROI": (
        set_count("tested", "rois", "test"),
        {("warning", "cohorts.tested"), ("warning", "claims.one")},
    ),
    "not marked as restricted": (set_field("tested", restricted=False), {("warning", "cohorts.tested")}),
    "open, not marked": (set_field("tested", restricted=False, licence_restricts=False), set()),
    "some unreadable": (set_field("tested", headers=headers(unreadable=3)), {("warning", "cohorts.tested")}),
    "all unreadable": (set_field("tested", headers=headers(unreadable=200)), {("error", "cohorts.tested")}),
    "some undecodable": (set_field("tested", headers=headers(undecodable=3)), {("warning", "cohorts.tested")}),
    "all undecodable": (set_field("tested", headers=headers(undecodable=200)), {("error", "cohorts.tested")}),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_wrong_with_a_cohort_is_reported(study, name):
    change, expected = PROBLEMS[name]
    facts = copy.deepcopy(study_facts())
    change(facts)
    assert problems(study, facts) == expected
    facts.problems = judge(study, facts)
    assert facts.can_run == all(level != "error" for level, _ in expected)


@pytest.mark.parametrize(
    ("split", "labels", "level"),
    [("validate", "b", "warning"), ("train", "b", "warning"), ("train", "ab", "error"), ("validate", "ab", "warning")],
)
def test_labels_without_a_positive_image_are_reported(study, split, labels, level):
    facts = copy.deepcopy(study_facts())
    learnt = facts.cohorts["learnt"]
    learnt.labels = {name: copy.deepcopy(counts) for name, counts in learnt.labels.items()}  # the fixture shares them
    for label in labels:
        learnt.labels[label]["positive"][split] = 0
    (problem,) = judge(study, facts)
    assert problem.level == level and problem.message.endswith(f"in {split} has {', '.join(labels)}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"weights": [WeightFacts("w", "file", "missing", "no")]}, {("error", "w")}),
        ({"weights": [WeightFacts("w", "file", "does not fit", "no")]}, {("error", "w")}),
        ({"weights": [WeightFacts("w", "timm", "needs network", "no")]}, {("warning", "w")}),
        ({"student": StudentFacts("vit", error="no")}, {("error", "student")}),
        ({"student": None}, set()),
        ({"left_open": {"training": ["ema"]}}, {("warning", "training")}),
        ({"weights": [WeightFacts("w", "timm", "at hand", "there")]}, set()),
        ({"disk": DiskFacts("results", {"image store": 1000}, 0, 999)}, {("error", "disk")}),
        ({"disk": DiskFacts("results", {"image store": 1000}, 100, 950)}, set()),
        ({"machine": MachineFacts("auto", 0, None, {})}, {("error", "torch")}),
        ({"machine": MachineFacts("auto", 0, "2.13.0+cpu", {})}, set()),
    ],
)
def test_what_is_wrong_with_weights_disk_and_machine(study, changes, expected):
    assert problems(study, study_facts(**changes)) == expected


def test_a_gpu_that_is_asked_for_and_not_here(study):
    study = study.model_copy(update={"device": "cuda"})
    assert problems(study, study_facts()) == {("warning", "device")}
    facts = study_facts(machine=MachineFacts("cuda", 1, "2.13.0", {}))
    assert problems(study, facts) == set()
    facts = study_facts(machine=MachineFacts("cuda", 1, "2.13.0+cpu", {}))
    assert problems(study, facts) == {("warning", "device")}


def test_a_folder_of_the_configuration_that_is_not_there(study, tmp_path):
    cohort = study.cohorts["learnt"].model_copy(update={"folders": {"tables": tmp_path / "none"}})
    study = study.model_copy(update={"cohorts": {**study.cohorts, "learnt": cohort}})
    assert problems(study, study_facts()) == {("error", "cohorts.learnt.folders.tables")}


def test_errors_come_first(study):
    facts = copy.deepcopy(study_facts(weights=[WeightFacts("w", "file", "missing", "no")]))
    facts.cohorts["tested"].restricted = False
    assert [problem.level for problem in judge(study, facts)] == ["error", "warning"]


@pytest.mark.parametrize(
    ("section", "changes", "where"),
    [
        ("evaluation", {"methods": ["rollout", "last_layer_head2"]}, "evaluation.methods"),
        ("training", {"tensorboard": True}, "training.tensorboard"),
        ("evaluation", {"methods": ["grad_cam"]}, "evaluation.methods"),
    ],
)
def test_what_the_student_or_the_installation_lacks_is_reported(study, section, changes, where, monkeypatch):
    monkeypatch.setattr("mmpkd.check.judge.find_spec", lambda name: None)
    changed = getattr(study, section).model_copy(update=changes)
    assert problems(study.model_copy(update={section: changed}), study_facts()) == {("error", where)}
    assert problems(study, study_facts()) == set()


def test_a_study_of_tables_alone_needs_no_images(study):
    quiet = study.model_copy(update={"tables": ["cohorts", "teachers"], "figures": [], "report": False})
    assert not trains_students(quiet) and fits_teachers(quiet)
    assert not fits_teachers(quiet.model_copy(update={"tables": ["cohorts"]}))
    assert trains_students(quiet.model_copy(update={"figures": ["training"]}))
    facts = copy.deepcopy(study_facts())
    facts.cohorts["learnt"].images_wanted = False
    facts.cohorts["learnt"].counts["images"]["validate"] = 0
    assert problems(quiet, facts) == set()


# the text


def text_of(**changes) -> str:
    facts = study_facts(**changes)
    facts.cohorts["tested"].needs = [
        NeedFacts(f"/data/x/{name}", f"the file {name}", "https://example.org", name != "c", name == "a")
        for name in "abcd"
    ]
    facts.cohorts["tested"].rejected = {"a reason that is " + "very " * 30 + "long": 12_345}
    facts.cohorts["tested"].unknown_labels = ["b"]
    return render(facts)


def test_the_text_fits_a_terminal_and_needs_no_colour():
    text = text_of()
    assert max(map(len, text.splitlines())) <= WIDTH <= 100
    assert "\033" not in text and text.isascii()
    assert "  ok       a: the file a" in text
    assert text.count("-> https://example.org") == 1  # told once for the three that are missing
    assert re.search(r"MISSING\s+b: the file b\n\s+absent\s+c: the file c \(not required\)\n\s+MISSING\s+d", text)
    assert re.search(r"images +80 +10 +10 +100\n", text)
    assert re.search(r"with a +8 +1 +1 +10 +100\n", text)
    assert "labels that it does not know: b" in text and "12,345  a reason" in text
    assert text.endswith("The study can run: 0 errors, 0 warnings.")


@pytest.mark.parametrize(
    ("machine", "line"),
    [
        (MachineFacts("cuda", 0, "2.13", {}), "absent   device cuda: no GPU seen; torch 2.13"),
        (MachineFacts("cuda", 1, "2.13", {}), "ok       device cuda: 1 GPU seen; torch 2.13"),
        (
            MachineFacts("auto", 0, "2.13", {}),
            "ok       device auto: no GPU seen, so that the CPU computes; torch 2.13",
        ),
        (MachineFacts("cpu", 2, None, {}), "MISSING  device cpu: 2 GPUs seen; torch not installed"),
    ],
)
def test_a_device_that_is_not_seen_is_not_ok(machine, line):
    assert line in render(study_facts(machine=machine)).splitlines()


def test_what_is_there_and_does_not_fit_is_not_missing():
    facts = study_facts(disk=DiskFacts("results", {"students": 10}, 0, 5))
    facts.cohorts["tested"].needs = [NeedFacts("/data/x/a", "the file a", "https://example.org", True, False, True)]
    text = render(facts)
    assert "  ERROR    a: the file a, empty or of another kind" in text
    assert "ERROR    disk" in text and "MISSING" not in text


def test_colour_takes_nothing_away():
    facts = study_facts()
    facts.problems = []
    plain, coloured = render(facts), render(facts, colour=True)
    assert coloured != plain
    assert re.sub(r"\033\[\d+m", "", coloured) == plain


def test_the_facts_are_plain_json():
    facts = study_facts()
    content = json.loads(json.dumps(facts.as_dict()))
    assert content["schema"] == 1 and content["can_run"] is True
    assert set(content) == {
        "schema",
        "can_run",
        "study",
        "files",
        "cohorts",
        "student",
        "left_open",
        "open_source",
        "weights",
        "disk",
        "machine",
        "problems",
    }
    assert content["cohorts"]["learnt"]["counts"]["images"] == by_split()


# start-up


def test_the_command_starts_without_torch():
    code = "import sys, mmpkd.cli; print([name for name in ('torch', 'transformers', 'timm') if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert output.strip() == "[]"


def test_the_memory_of_a_step_is_that_of_the_arm_with_the_largest():
    usual = student_of(DEMO)
    arms = {**DEMO.arms, "large": DEMO.arms["baseline"].model_copy(update={"course": {"batch_size": 32}})}
    doubled = student_of(DEMO.model_copy(update={"arms": arms}))
    weights = 5 * 4 * usual.parameters  # with the moving average
    assert doubled.training_bytes - weights == 2 * (usual.training_bytes - weights)
