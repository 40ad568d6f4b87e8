"""Whether a results folder still is what its `provenance.json` says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmpkd.config.cohorts import Cohort
from mmpkd.logs import progress
from mmpkd.provenance.inputs import InputError, data_set, sha256
from mmpkd.redaction import redact
from mmpkd.results import Results


@dataclass
class Verdict:
    """What a comparison found, a line each: differences, and notes on what could not be compared."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(folder: Path, record: Mapping[str, Any], cohorts: Mapping[str, Cohort] | None = None) -> Verdict:
    """Hashes the files of a run once more.

    Args:
        folder: the results.
        record: what `read_record` returned.
        cohorts: the data sets with their present folders, to be compared too; None: the run's own files alone.
    """
    verdict = Verdict(compared=len(record["outputs"]))
    for path in progress(sorted(record["outputs"]), "hashing", unit="files"):
        verdict.differences += _of_file(folder, path, record["outputs"][path])
    verdict.differences += [f"not in the record: {name}" for name in _unknown(folder, record)]
    if cohorts is not None:
        for name, recorded in sorted(record["inputs"].items()):
            _compare_data_set(verdict, name, recorded, cohorts.get(name))
    return verdict


def _of_file(folder: Path, path: str, recorded: Mapping[str, Any]) -> list[str]:
    """The size is looked at first: a file that has another need not be read."""
    file = folder / path
    if not file.is_file():
        return [f"missing: {path}"]
    if size := _other(file.stat().st_size, recorded["bytes"]):
        return [f"changed: {path}: {size} bytes"]
    return [] if sha256(file) == recorded["sha256"] else [f"changed: {path}: same size, other content"]


def _unknown(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Files that somebody put among tables and figures; a name that no rule gave may hold an identifier."""
    for part in Results(str(folder)).folders_of_outputs:
        for file in sorted(Path(part).rglob("*")):
            path = file.relative_to(folder)
            if file.is_file() and path.as_posix() not in record["outputs"] and not file.name.startswith("."):
                yield redact(path.as_posix())


def _compare_data_set(verdict: Verdict, name: str, recorded: Mapping[str, Any], cohort: Cohort | None) -> None:
    if cohort is None:
        verdict.notes.append(f"input not compared: {name} is not in the configuration")
        return
    places = {"root": cohort.root, **cohort.folders}
    absent = sorted(key for key, place in places.items() if place is None or not place.is_dir())
    if absent:
        verdict.notes.append(f"input not compared: {name}: its folder is not there: {', '.join(absent)}")
        return
    try:
        present = data_set(name, cohort)
    except InputError as error:
        verdict.differences.append(f"input unreadable: {error}")
        return
    verdict.compared += len(recorded["folders"]) + len(recorded["tables"])
    verdict.differences += [f"input {line}" for line in _of_data_set(name, recorded, present)]


def _of_data_set(name: str, recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("folders", "tables"):
        for key in sorted({*recorded[kind], *present[kind]}):
            then, now = recorded[kind].get(key), present[kind].get(key)
            if now is None:
                yield f"missing: {name}: {key}"
            elif then is None:
                yield f"not in the record: {name}: {key}"
            elif now != then:
                yield f"changed: {name}: {key}: {_how(then, now)}"


def _how(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The numbers that differ; names that changed without them are not listed."""
    parts = [f"{text} {key}" for key in ("files", "bytes") if key in then and (text := _other(now[key], then[key]))]
    return ", ".join(parts) or "same size, other content"


def _other(now: int, then: int) -> str:
    return "" if now == then else f"{now:,} instead of {then:,}"
