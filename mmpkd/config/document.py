"""Writes `config.yaml` from the models: `python -m mmpkd.config.document > config.yaml`."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from mmpkd.config.demo import DEMO
from mmpkd.config.study import Study

HEADER = """\
# The default study. Made by `python -m mmpkd.config.document` from mmpkd/config/, where each key is described once.
# To change a few values, put them into an overlay such as studies/smoke.yaml and run
# `snakemake --cores 8 all --configfile studies/smoke.yaml`. null leaves out an entry of cohorts, domains, arms or
# claims. The student and its training are tuned to phantoms of 56 pixels. A study of real images, such as
# studies/paper.yaml, starts with `extends: null` and takes nothing from this file: see docs/studies.md.
"""
COMMENT_COLUMN = 48


def document(study: Study) -> str:
    """The commented YAML of a study; each key is explained where it first occurs."""
    return HEADER + "\n" + "\n".join(_section(study, 0, set())) + "\n"


def _section(section: BaseModel, depth: int, explained: set[tuple[type, str]]) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        comment = None if (type(section), name) in explained else field.description
        explained.add((type(section), name))
        if depth == 0 and name != "study":
            yield ""
        yield from _entry(name, getattr(section, name), comment, depth, explained)


def _entry(name: str, value: Any, comment: str | None, depth: int, explained: set) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, BaseModel) or (isinstance(value, Mapping) and _holds_sections(value)):
        if comment:
            yield f"{indent}# {comment}"
        yield f"{indent}{name}:"
        if isinstance(value, BaseModel):
            yield from _section(value, depth + 1, explained)
        else:
            for key, entry in value.items():
                yield from _entry(key, entry, None, depth + 1, explained)
    else:
        line = f"{indent}{name}: {flow(value)}"
        yield f"{line:<{COMMENT_COLUMN}}  # {comment}" if comment else line


def _holds_sections(value: Mapping) -> bool:
    return any(isinstance(entry, BaseModel) for entry in value.values())


def flow(value: Any) -> str:
    """A value as YAML, in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


if __name__ == "__main__":
    print(document(DEMO), end="")
