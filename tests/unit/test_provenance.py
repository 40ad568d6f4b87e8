"""The record of a run shows every change, the same run gives the same bytes, and neither names a person or a place."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from mmpkd.cli import main
from mmpkd.config.cohorts import Cohort
from mmpkd.config.demo import DEMO
from mmpkd.config.layers import load_study
from mmpkd.config.study import Study
from mmpkd.files import write_json
from mmpkd.provenance.crate import CRATE, PROFILES, crate
from mmpkd.provenance.inputs import InputError, combined, data_set, digest, digests, listing
from mmpkd.provenance.record import RECORD, RecordError, code_sha256, read_record, record, without_folders
from mmpkd.provenance.verify import verify

PATIENT = "p10000032"
OUTPUTS = {
    "tables/claims.csv": "claim,verdict\nin_domain,supported\n",
    "figures/claims.png": "picture",
    "report.html": "<html></html>",
    "images/vindr_cxr/shard0/pixels.npy": "pixels",
    "students/cxr/mmpkd/seed0/model.safetensors": "weights",
}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A study of one restricted data set, and a finished run of it with its record; tests take copies."""
    home = tmp_path_factory.mktemp("finished") / "somebody"
    download, results = home / "vindr-cxr", home / "results"
    for name in ("image_labels_train", "image_labels_test", "annotations_train", "annotations_test"):
        write(download / "annotations" / f"{name}.csv", f"image_id,{name}\n{PATIENT},1\n")
    write(download / "train" / f"{PATIENT}.dicom", "four")
    write(download / "test" / "s50414267" / "a.dicom", "seventh")
    for path, text in OUTPUTS.items():
        write(results / path, text)
        os.utime(results / path, (1_700_000_000, 1_700_000_000))
    write(results / "workflow" / "Snakefile", "rule all:\n")
    write(results / "workflow" / "rules" / "report.smk", "rule report:\n")
    configure(home)
    remember(home)
    return home


def configure(home: Path) -> None:
    """Writes the study's overlay, which names the folder of the data set."""
    real = {"adapter": "vindr_cxr", "phantom": None, "root": str(home / "vindr-cxr"), "restricted": True}
    others = {name: None for name in ("mimic_cxr", "cbis_ddsm", "vindr_mammo")}
    study = {
        "study": "tiny",
        "seeds": [3],
        "cohorts": {**others, "vindr_cxr": real},
        "domains": {"mammography": None, "cxr": {"training": "vindr_cxr", "cohorts": []}},
        "claims": dict.fromkeys(DEMO.claims),
    }
    (home / "tiny.yaml").write_text(yaml.safe_dump(study))


def remember(home: Path) -> None:
    """Does what the rule's script does."""
    study, results = load_study([home / "tiny.yaml"]), home / "results"
    known = record(study.model_dump(mode="json"), results, OUTPUTS, study.cohorts)
    write_json(known, results / RECORD)
    workflow = digests(results, ["workflow/Snakefile", "workflow/rules/report.smk"])
    write_json(crate(known, results, workflow), results / CRATE)


@pytest.fixture
def home(finished, tmp_path) -> Path:
    home = tmp_path / "somebody"
    shutil.copytree(finished, home)
    configure(home)
    return home


@pytest.fixture
def results(home) -> Path:
    return home / "results"


@pytest.fixture
def download(home) -> Path:
    return home / "vindr-cxr"


@pytest.fixture
def overlay(home) -> Path:
    return home / "tiny.yaml"


def verified(capsys, *arguments) -> tuple[int, list[str]]:
    code = main(["verify", *map(str, arguments)])
    return code, capsys.readouterr().out.splitlines()


def test_a_digest_is_the_published_one(tmp_path):
    write(tmp_path / "abc", "abc")  # FIPS 180-2, B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(tmp_path / "abc") == {"bytes": 3, "sha256": expected}


def test_a_listing_counts_files_and_tells_names_and_sizes_apart(tmp_path):
    write(tmp_path / "tree" / "a", "123")
    write(tmp_path / "tree" / "b" / "c", "4567")
    first = listing(tmp_path / "tree")
    assert first == {
        "files": 2,
        "bytes": 7,
        "listing_sha256": combined([("b/c", "4"), ("a", "3")]),
    }
    write(tmp_path / "tree" / "a", "321")  # content alone: the price of not reading 5 TB
    assert listing(tmp_path / "tree") == first
    (tmp_path / "tree" / "a").rename(tmp_path / "tree" / "d")
    assert listing(tmp_path / "tree")["listing_sha256"] != first["listing_sha256"]


def test_a_listing_enters_no_linked_folder(tmp_path):
    write(tmp_path / "elsewhere" / "a", "1")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "elsewhere")
    assert listing(tmp_path / "tree")["files"] == 0


def test_the_record_of_a_small_run(results, download):
    known = read_record(results)
    assert known["outputs"] == {path: digest(results / path) for path in OUTPUTS}
    assert known["seeds"] == [3] and known["study"] == "tiny"
    assert set(known["packages"]) >= {"numpy", "torch", "snakemake"}
    data = known["inputs"]["vindr_cxr"]
    assert data["restricted"] and not data["phantom"]
    assert data["folders"]["root"] == listing(download)
    assert data["folders"]["root"]["files"] == 6
    assert data["tables"]["root/annotations/image_labels_test.csv"] == digest(
        download / "annotations" / "image_labels_test.csv"
    )
    assert len(data["tables"]) == 2  # the training set's are not read


def test_the_same_run_gives_the_same_bytes_elsewhere(home, results):
    first = [(results / name).read_bytes() for name in (RECORD, CRATE)]
    remember(home)
    assert [(results / name).read_bytes() for name in (RECORD, CRATE)] == first


def test_no_place_person_date_or_identifier_is_recorded(results, finished):
    text, both = (results / RECORD).read_text(), (results / RECORD).read_text() + (results / CRATE).read_text()
    for secret in (str(finished), "somebody", PATIENT, "s50414267", "a.dicom"):
        assert secret not in both
    assert ".../vindr-cxr" in text
    assert not re.search(r'"(/|~|\.\./)', both)
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


def test_a_path_that_climbs_keeps_its_last_part_alone():
    assert without_folders({"a": "../../home/somebody/mimic", "b": "data/mimic", "c": "../.."}) == {
        "a": ".../mimic",
        "b": "data/mimic",
        "c": "...",
    }


def test_results_that_agree(results, capsys):
    assert verified(capsys, results) == (0, ["all 5 entries agree with provenance.json"])


@pytest.mark.parametrize("path", OUTPUTS)
def test_one_changed_byte_is_found(results, capsys, path):
    text = (results / path).read_text()
    (results / path).write_text(text[:-1] + "X")
    code, lines = verified(capsys, results)
    assert code == 1
    assert lines[0] == f"changed: {path}: same size, other content"
    assert len(lines) == 2


def test_every_kind_of_difference_is_one_line(results, capsys):
    (results / "report.html").unlink()
    (results / "tables" / "claims.csv").write_text("short")
    write(results / "figures" / "new.png", "new")
    write(results / "tables" / f"{PATIENT}.csv", "new")
    write(results / "logs" / "new.log", "only tables and figures are complete")
    assert verified(capsys, results) == (
        1,
        [
            "missing: report.html",
            "changed: tables/claims.csv: 5 instead of 34 bytes",
            "not in the record: tables/p#.csv",
            "not in the record: figures/new.png",
            "4 differences from provenance.json, 5 entries compared",
        ],
    )


def test_the_inputs_are_compared_when_asked_for(results, overlay, download, capsys):
    assert verified(capsys, results, "--inputs", overlay) == (0, ["all 8 entries agree with provenance.json"])
    (download / "train" / f"{PATIENT}.dicom").rename(download / "train" / "other.dicom")
    write(download / "annotations" / "annotations_test.csv", "changed\n")
    (download / "annotations" / "image_labels_test.csv").unlink()
    assert verified(capsys, results)[0] == 0
    code, lines = verified(capsys, results, "--inputs", overlay)
    assert code == 1
    assert lines[:3] == [
        "input changed: vindr_cxr: root: 5 instead of 6 files, 98 instead of 167 bytes",
        "input changed: vindr_cxr: root/annotations/annotations_test.csv: 8 instead of 38 bytes",
        "input missing: vindr_cxr: root/annotations/image_labels_test.csv",
    ]
    assert PATIENT not in "".join(lines)


def test_inputs_that_are_gone_are_noted(results, overlay, download, capsys):
    shutil.rmtree(download)
    code, lines = verified(capsys, results, "--inputs", overlay)
    assert code == 0
    assert lines[0] == "input not compared: vindr_cxr: its folder is not there: root"


def test_inputs_of_another_study_are_refused(results, overlay, capsys):
    assert main(["verify", str(results), "--inputs"]) == 2
    assert "the study demo, the results are of tiny" in capsys.readouterr().err


def test_an_unreadable_data_set_is_reported_without_its_place(download):
    cohort = Cohort(adapter="vindr_cxr", root=download / "nowhere")
    with pytest.raises(InputError, match="cohort chest: .*No such file") as error:
        data_set("chest", cohort)
    assert str(download) not in str(error.value)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "not finished"),
        ("{", "no JSON"),
        ("[]", "not a record"),
        ('{"study": "a", "inputs": {}, "outputs": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}', "not a record"),
        ('{"study": "a", "inputs": {}, "outputs": {"/etc/passwd": {"bytes": 1, "sha256": ""}}}', "not a record"),
        ('{"study": "a", "inputs": {}, "outputs": {"a": "b"}}', "not a record"),
    ],
)
def test_an_absent_or_broken_record_is_one_clear_message(results, capsys, text, message):
    (results / RECORD).unlink()
    if text is not None:
        (results / RECORD).write_text(text)
    with pytest.raises(RecordError, match=message):
        read_record(results)
    assert main(["verify", str(results)]) == 2
    told = capsys.readouterr().err
    assert message in told and "provenance.json" in told and len(told.splitlines()) == 1


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_record_of_the_library_alone_needs_no_data_set(results):
    verdict = verify(results, read_record(results))
    assert (verdict.compared, verdict.differences, verdict.notes) == (5, [], [])


def test_the_code_is_recognised(tmp_path):
    write(tmp_path / "mmpkd" / "a.py", "1")
    first = code_sha256(tmp_path)
    write(tmp_path / "mmpkd" / "__pycache__" / "a.pyc", "1")
    write(tmp_path / "docs" / "a.md", "1")
    assert code_sha256(tmp_path) == first
    write(tmp_path / "mmpkd" / "a.py", "2")
    assert code_sha256(tmp_path) != first


def references(value):
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        else:
            yield from (entry for inner in value.values() for entry in references(inner))
    elif isinstance(value, list):
        yield from (entry for inner in value for entry in references(inner))


def test_the_crate_is_a_workflow_run_crate(results):
    document = json.loads((results / CRATE).read_text())
    entities = {entity["@id"]: entity for entity in document["@graph"]}
    assert document["@context"] == [
        "https://w3id.org/ro/crate/1.1/context",
        "https://w3id.org/ro/terms/workflow-run/context",
    ]
    assert len(entities) == len(document["@graph"])
    outside = {
        "https://w3id.org/ro/crate/1.1",
        "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE",
        "https://doi.org/10.1093/bioinformatics/bts480",
        "https://snakemake.readthedocs.io",
    }
    assert set(references(document["@graph"])) - set(entities) == outside

    assert entities[CRATE]["about"] == {"@id": "./"}
    root = entities["./"]
    assert root["@type"] == "Dataset" and root["datePublished"] == "2023-11-14T22:13:20+00:00"
    assert [profile["@id"] for profile in root["conformsTo"]] == list(PROFILES)
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in PROFILES

    files = {name: entity for name, entity in entities.items() if "File" in entity["@type"]}
    assert {part["@id"] for part in root["hasPart"]} == set(files)
    for name, entity in files.items():
        assert digest(results / name) == {"bytes": int(entity["contentSize"]), "sha256": entity["sha256"]}

    workflow = entities[root["mainEntity"]["@id"]]
    assert workflow["@type"] == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert entities[workflow["programmingLanguage"]["@id"]]["name"] == "Snakemake"


def test_the_run_of_the_crate_has_the_seeds_the_data_and_the_results(results):
    graph = json.loads((results / CRATE).read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    run = entities[entities["./"]["mentions"]["@id"]]
    assert run["@type"] == "CreateAction"
    assert run["instrument"] == entities["./"]["mainEntity"]
    assert {result["@id"] for result in run["result"]} == set(OUTPUTS)
    objects = {entity["@id"]: entities[entity["@id"]] for entity in run["object"]}
    assert objects["#value-seeds"]["value"] == 3
    assert "#data-vindr_cxr" in objects
    values = [entity for entity in objects.values() if entity["@type"] == "PropertyValue"]
    assert {value["exampleOfWork"]["@id"] for value in values} == {
        parameter["@id"] for parameter in entities["workflow/Snakefile"]["input"]
    }
    assert {entity["name"] for entity in values} == set(Study.model_fields)
