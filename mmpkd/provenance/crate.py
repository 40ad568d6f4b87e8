"""`ro-crate-metadata.json`: the record of a run as RO-Crate 1.1, Workflow Run Crate 0.5.

https://www.researchobject.org/ro-crate/specification/1.1/ and https://w3id.org/ro/wfrun/workflow/0.5. One action, the
run, has the workflow as its instrument, the data sets and every section of the configuration as its objects and the
recorded files as its results. The jobs between them, the matter of the Provenance Run Crate profile, are left out.

Dates: RO-Crate demands `datePublished` and the profile needs `endTime`. Both are the newest modification time among
the results, so that the same files give the same bytes; `provenance.json` has no date. `agent` is left out: it would
name a person.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model.computerlanguage import get_lang
from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from mmpkd.provenance.inputs import digest
from mmpkd.provenance.record import RECORD

CRATE = "ro-crate-metadata.json"
VERSION = "1.1"
TERMS_OF_RUNS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
APACHE = "https://spdx.org/licenses/Apache-2.0"
TERMS = "#terms"
RUN = "#run"
LICENSE = {
    "name": "Apache License 2.0",
    "identifier": APACHE,
    "url": "https://www.apache.org/licenses/LICENSE-2.0",
}
TERMS_OF_RESULTS = {
    "name": "Terms of the results",
    "description": "The workflow is under the Apache License 2.0. What it made of a data set is under the "
    "terms of that data set; those of restricted ones forbid passing records on.",
}
TYPES = {
    "": "text/x-python",  # Snakefile
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npy": "application/x-npy",
    ".npz": "application/zip",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/x-safetensors",
    ".smk": "text/x-python",
    ".tex": "application/x-tex",
    ".txt": "text/plain",
}


def crate(record: Mapping[str, Any], folder: Path, workflow: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The metadata document, as values for JSON.

    Args:
        record: what `mmpkd.provenance.record.record` returned; its text is already at `folder`/provenance.json.
        folder: the results, which are the crate's root.
        workflow: digests of the copies of the workflow's files by path below `folder`; the Snakefile is the first.
    """
    made = ROCrate(version=VERSION)
    made.metadata.extra_contexts.append(TERMS_OF_RUNS)
    profiles = [_add(made, key, "CreativeWork", name=n, version=v) for key, (n, v) in PROFILES.items()]
    results = [_file(made, path, entry) for path, entry in record["outputs"].items()]
    license = _add(made, APACHE, "CreativeWork", **LICENSE)
    snakefile, *rules = (_file(made, path, entry, license=license) for path, entry in workflow.items())
    _file(made, RECORD, digest(folder / RECORD), description="Everything on record of the run, for mmpkd verify.")
    values = _configuration(made, record["configuration"])
    data_sets = [_data_set(made, name, entry) for name, entry in record["inputs"].items()]
    _describe_workflow(made, snakefile, record, rules)
    snakefile["input"] = [value["exampleOfWork"] for value in values]
    ended = datetime.fromtimestamp(_newest(folder, record["outputs"]), UTC).isoformat(timespec="seconds")
    run = made.add_action(snakefile, RUN, [*data_sets, *values], results, _run(record, ended))
    made.name = f"MMPKD study {record['study']}"
    made.description = f"Results of the study {record['study']}: teachers, students, scores, tables, figures, report."
    made.datePublished = ended
    made.license = _add(made, TERMS, "CreativeWork", **TERMS_OF_RESULTS)
    made.mainEntity = snakefile
    made.root_dataset["conformsTo"] = profiles
    made.root_dataset["mentions"] = run
    made.metadata["conformsTo"] = [{"@id": made.metadata.profile}, profiles[-1]]
    return made.metadata.generate()


def _newest(folder: Path, paths: Mapping[str, Any]) -> float:
    return max((folder / path).stat().st_mtime for path in paths)


def _add(made: ROCrate, identifier: str, kind: str, /, **properties: Any) -> Entity:
    return made.add(ContextEntity(made, identifier, {"@type": kind, **properties}))


def _file(made: ROCrate, path: str, content: Mapping[str, Any], **properties: Any) -> Entity:
    properties |= {
        "name": path,
        "encodingFormat": TYPES[Path(path).suffix],
        "contentSize": str(content["bytes"]),
        "sha256": content["sha256"],
    }
    return made.add_file(dest_path=path, properties=properties)


def _run(record: Mapping[str, Any], ended: str) -> dict[str, Any]:
    machine, git = record["platform"], record["git"]
    code = f"sources {record['code_sha256'][:12]}"
    if git:
        code += f", commit {git['commit']}" + (" with uncommitted changes" if git["dirty"] else "")
    return {
        "name": f"Run of the study {record['study']}",
        "description": f"snakemake all, on {machine['system']} {machine['machine']} with {machine['cpus']} CPUs, "
        f"Python {record['python']}; {code}.",
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "subjectOf": {"@id": RECORD},
    }


def _describe_workflow(made: ROCrate, snakefile: Entity, record: Mapping[str, Any], rules: Sequence[Entity]) -> None:
    """Makes the Snakefile's entity the workflow. Scripts and library are those of the commit."""
    snakefile.properties()["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    snakefile["name"] = "MMPKD: multimodal privileged knowledge distillation, from DICOM to the last figure"
    snakefile["version"] = record["git"]["commit"] if record["git"] else record["code_sha256"]
    snakefile["programmingLanguage"] = made.add(get_lang(made, "snakemake"))
    snakefile["softwareRequirements"] = _packages(made, record)
    snakefile["hasPart"] = list(rules)


def _configuration(made: ROCrate, configuration: Mapping[str, Any]) -> list[Entity]:
    """What each section of the configuration, a formal parameter, was set to."""
    values = []
    for key, value in configuration.items():
        kind = "Integer" if key in ("seeds", "gpus") else "Text"
        parameter = made.add_formal_parameter(key, kind, f"#parameter-{key}")
        text = _plain(value)
        values.append(_add(made, f"#value-{key}", "PropertyValue", name=key, value=text, exampleOfWork=parameter))
    return values


def _plain(value: Any) -> Any:
    """A scalar or a list of them as it is, a mapping as text; a list of one entry is that entry, as in JSON-LD."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _data_set(made: ROCrate, name: str, data_set: Mapping[str, Any]) -> Entity:
    """A data set, which is not in the crate, and what is on record of its folders and tables."""
    kind = "fabricated by the workflow" if data_set["phantom"] else "not part of this crate"
    about = [
        _add(
            made,
            f"#data-{name}-{quote(key, safe='')}",
            "PropertyValue",
            name=key,
            value=json.dumps(value, sort_keys=True),
        )
        for key, value in {**data_set["folders"], **data_set["tables"]}.items()
    ]
    words = f"Data set in the layout of {data_set['adapter']}, {kind}."
    return _add(made, f"#data-{name}", "CreativeWork", name=name, description=words, additionalProperty=about)


def _packages(made: ROCrate, record: Mapping[str, Any]) -> list[Entity]:
    release = f"https://www.python.org/downloads/release/python-{record['python'].replace('.', '')}/"
    found = {release: ("Python", record["python"], "https://www.python.org/")}
    for name, version in record["packages"].items():
        if version:
            page = f"https://pypi.org/project/{name}/"
            found[f"{page}{version.partition('+')[0]}/"] = (name, version, page)  # a local build tag is not on PyPI
    return [
        _add(made, key, "SoftwareApplication", name=name, softwareVersion=version, url=page)
        for key, (name, version, page) in found.items()
    ]
