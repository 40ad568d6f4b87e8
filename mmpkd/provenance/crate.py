"""`ro-crate-metadata.json`: the record of a run as RO-Crate 1.1, Workflow Run Crate 0.5.

https://www.researchobject.org/ro-crate/specification/1.1/ and https://w3id.org/ro/wfrun/workflow/0.5. One action, the
run, has the workflow as its instrument, the data sets and every section of the configuration as its objects and the
recorded files as its results. The jobs between them, the matter of the Provenance Run Crate profile, are left out.

Dates: RO-Crate demands `datePublished` and the profile wants `endTime`. Both are the newest modification time among
the results, so that the same files give the same bytes; `provenance.json` has no date. `agent` is left out: it would
name a person.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mmpkd.provenance.digests import digest
from mmpkd.provenance.record import RECORD

CRATE = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
RO_CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
APACHE = "https://spdx.org/licenses/Apache-2.0"
TERMS = "#terms"
RUN = "#run"
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

Entity = dict[str, Any]


def crate(record: Mapping[str, Any], folder: Path, workflow: Mapping[str, Mapping[str, Any]]) -> Entity:
    """The metadata document, as values for JSON.

    Args:
        record: what `mmpkd.provenance.record.record` returned; its text is already at `folder`/provenance.json.
        folder: the results, which are the crate's root.
        workflow: digests of the copies of the workflow's files by path below `folder`; the Snakefile is the first.
    """
    ended = datetime.fromtimestamp(_newest(folder, record["outputs"]), UTC).isoformat(timespec="seconds")
    parameters, values = _parameters(record["configuration"])
    data_sets, properties = _data_sets(record["inputs"])
    packages = _packages(record)
    results = [_file(path, entry) for path, entry in record["outputs"].items()]
    sources = [_file(path, entry) | {"license": _ref(APACHE)} for path, entry in workflow.items()]
    sources[0] |= _workflow(record, sources[1:], parameters, packages)
    own = _file(RECORD, digest(folder / RECORD)) | {"description": "Everything on record of the run, for mmpkd verify."}
    parts = [*results, *sources, own]
    graph = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": [_ref(RO_CRATE), _ref(WORKFLOW_CRATE)],
        },
        _root(record, ended, parts, sources[0]),
        _run(record, ended, sources[0], [*data_sets, *values], results),
        *parts,
        *data_sets,
        *properties,
        *parameters,
        *values,
        *packages,
        *_context_entities(),
    ]
    return {"@context": CONTEXT, "@graph": graph}


def _newest(folder: Path, paths: Mapping[str, Any]) -> float:
    return max((folder / path).stat().st_mtime for path in paths)


def _ref(identifier: str) -> Entity:
    return {"@id": identifier}


def _refs(entities: list[Entity]) -> Any:
    return _compact([_ref(entity["@id"]) for entity in entities])


def _compact(values: list[Any]) -> Any:
    """As JSON-LD writes a list: one of one entry is that entry."""
    return values[0] if len(values) == 1 else values


def _file(path: str, content: Mapping[str, Any]) -> Entity:
    return {
        "@id": quote(path),
        "@type": "File",
        "name": path,
        "encodingFormat": TYPES[Path(path).suffix],
        "contentSize": str(content["bytes"]),
        "sha256": content["sha256"],
    }


def _root(record: Mapping[str, Any], ended: str, parts: list[Entity], workflow: Entity) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"MMPKD study {record['study']}",
        "description": f"Results of the study {record['study']}: teachers, students, scores, tables, figures, report.",
        "datePublished": ended,
        "license": _ref(TERMS),
        "conformsTo": [_ref(profile) for profile in PROFILES],
        "hasPart": _refs(parts),
        "mainEntity": _ref(workflow["@id"]),
        "mentions": _ref(RUN),
    }


def _run(
    record: Mapping[str, Any], ended: str, workflow: Entity, objects: list[Entity], results: list[Entity]
) -> Entity:
    machine, git = record["platform"], record["git"]
    code = f"sources {record['code_sha256'][:12]}"
    if git:
        code += f", commit {git['commit']}" + (" with uncommitted changes" if git["dirty"] else "")
    return {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"Run of the study {record['study']}",
        "description": f"snakemake all, on {machine['system']} {machine['machine']} with {machine['cpus']} CPUs, "
        f"Python {record['python']}; {code}.",
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": _ref(workflow["@id"]),
        "object": _refs(objects),
        "result": _refs(results),
        "subjectOf": _ref(RECORD),
    }


def _workflow(
    record: Mapping[str, Any], rules: list[Entity], parameters: list[Entity], packages: list[Entity]
) -> Entity:
    """What makes the Snakefile's entity the workflow. Scripts and library are those of the commit."""
    return {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "MMPKD: multimodal privileged knowledge distillation, from DICOM to the last figure",
        "version": record["git"]["commit"] if record["git"] else record["code_sha256"],
        "programmingLanguage": _ref(SNAKEMAKE),
        "softwareRequirements": _refs(packages),
        "hasPart": _refs(rules),
        "input": _refs(parameters),
    }


def _parameters(configuration: Mapping[str, Any]) -> tuple[list[Entity], list[Entity]]:
    """The sections of the configuration as formal parameters, and what they were set to."""
    parameters = [
        {
            "@id": f"#parameter-{key}",
            "@type": "FormalParameter",
            "name": key,
            "additionalType": "Integer" if key in ("seeds", "gpus") else "Text",
            "valueRequired": False,
        }
        for key in configuration
    ]
    values = [
        {
            "@id": f"#value-{key}",
            "@type": "PropertyValue",
            "name": key,
            "value": _plain(value),
            "exampleOfWork": _ref(f"#parameter-{key}"),
        }
        for key, value in configuration.items()
    ]
    return parameters, values


def _plain(value: Any) -> Any:
    """A scalar or a list of them as it is, a mapping as text."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return _compact(value) if isinstance(value, list) else value


def _data_sets(inputs: Mapping[str, Any]) -> tuple[list[Entity], list[Entity]]:
    """The data sets, which are not in the crate, and what is on record of their folders and tables."""
    data_sets, properties = [], []
    for name, data_set in inputs.items():
        own = [
            _property(f"#data-{name}-{quote(key, safe='')}", key, json.dumps(value, sort_keys=True))
            for key, value in {**data_set["folders"], **data_set["tables"]}.items()
        ]
        kind = "fabricated by the workflow" if data_set["phantom"] else "not part of this crate"
        data_sets.append(
            {
                "@id": f"#data-{name}",
                "@type": "CreativeWork",
                "name": name,
                "description": f"Data set in the layout of {data_set['adapter']}, {kind}.",
                "additionalProperty": _refs(own),
            }
        )
        properties += own
    return data_sets, properties


def _property(identifier: str, name: str, value: str) -> Entity:
    return {"@id": identifier, "@type": "PropertyValue", "name": name, "value": value}


def _packages(record: Mapping[str, Any]) -> list[Entity]:
    versions = {name: version for name, version in record["packages"].items() if version}
    python = {
        "@id": f"https://www.python.org/downloads/release/python-{record['python'].replace('.', '')}/",
        "@type": "SoftwareApplication",
        "name": "Python",
        "softwareVersion": record["python"],
        "url": "https://www.python.org/",
    }
    return [python] + [
        {
            "@id": f"https://pypi.org/project/{name}/{version.partition('+')[0]}/",  # a local build tag is not on PyPI
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
            "url": f"https://pypi.org/project/{name}/",
        }
        for name, version in versions.items()
    ]


def _context_entities() -> list[Entity]:
    return [
        *(
            {"@id": identifier, "@type": "CreativeWork", "name": name, "version": version}
            for identifier, (name, version) in PROFILES.items()
        ),
        {
            "@id": SNAKEMAKE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": "https://doi.org/10.1093/bioinformatics/bts480",
            "url": "https://snakemake.readthedocs.io",
        },
        {
            "@id": APACHE,
            "@type": "CreativeWork",
            "name": "Apache License 2.0",
            "identifier": APACHE,
            "url": "https://www.apache.org/licenses/LICENSE-2.0",
        },
        {
            "@id": TERMS,
            "@type": "CreativeWork",
            "name": "Terms of the results",
            "description": "The workflow is under the Apache License 2.0. What it made of a data set is under the "
            "terms of that data set; those of restricted ones forbid passing records on.",
        },
    ]
