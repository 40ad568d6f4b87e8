"""Writes the pages of docs/reference/ from the code: `python -m mmpkd.reference`."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules
from textwrap import dedent
from typing import Any

from mmpkd.cli import parser
from mmpkd.cohorts import datasets
from mmpkd.cohorts.base import find_data_set
from mmpkd.config.document import flow
from mmpkd.config.outputs import OUTPUTS, Output
from mmpkd.config.study import Study
from mmpkd.outputs.words import COLUMNS
from mmpkd.provenance.record import REPOSITORY

FOLDER = REPOSITORY / "docs" / "reference"
TYPES = {"string": "text", "boolean": "true or false"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

Schema = Mapping[str, Any]


def pages() -> dict[str, str]:
    """The text of every page, by the name of its file."""
    texts = {
        "configuration.md": _configuration(),
        "commands.md": _commands(),
        "adapters.md": _adapters(),
        "tables.md": _outputs(),
    }
    made = "Made by `python -m mmpkd.reference`."
    return {name: "\n\n".join([*blocks, made]) + "\n" for name, blocks in texts.items()}


def _configuration() -> Iterator[str]:
    """One table per section; the defaults are those of the models, not the values of the demo."""
    schema = Study.model_json_schema()
    yield "# Configuration"
    yield "Every key of a study, with the default that holds where the study leaves it out."
    for path, section in _sections("", schema, schema["$defs"]):
        kind = section["properties"].get("kind", {}).get("default")
        yield f"## {f'`{path}`' if path else 'Top level'}{f', kind `{kind}`' if kind else ''}"
        yield _text(section["description"])
        rows = [(f"`{name}`", *_key(key, name in section.get("required", ()))) for name, key in _keys(section)]
        yield _table(("key", "type", "default", "meaning"), rows)


def _keys(section: Schema) -> Iterable[tuple[str, Schema]]:
    return section["properties"].items()


def _key(schema: Schema, required: bool) -> tuple[str, str, str]:
    default = schema.get("default")
    shown = "" if isinstance(default, dict) and default and _references(schema) else f"`{flow(default)}`"
    return _type(schema), "required" if required else shown, schema["description"]


def _sections(path: str, section: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    yield path, section
    for name, schema in _keys(section):
        for suffix, reference in _references(schema):
            yield from _sections(f"{path}.{name}{suffix}".lstrip("."), known[reference], known)


def _references(schema: Schema) -> list[tuple[str, str]]:
    """The sections below a key: what follows the key in their path, and their names among the definitions."""
    if "$ref" in schema:
        return [("", schema["$ref"].rpartition("/")[2])]
    kinds = [part for choice in ("anyOf", "oneOf") for part in schema.get(choice, ())]
    entries = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    below = [(".<name>", part) for part in entries if isinstance(part, dict)]
    parts = [("", part) for part in kinds] + below
    return [(suffix + deeper, name) for suffix, part in parts for deeper, name in _references(part)]


def _type(schema: Schema) -> str:
    if kinds := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, kinds)))
    if "$ref" in schema:
        return "section"
    if choices := schema.get("enum") or ("const" in schema and [schema["const"]]):
        return ", ".join(f"`{flow(value)}`" for value in choices)
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if schema["type"] == "object":
        return "sections by name" if _references(schema) else "mapping"
    kind = schema.get("format") or TYPES.get(schema["type"], schema["type"])
    return f"{kind} {', '.join(f'{sign} {schema[name]}' for name, sign in BOUNDS.items() if name in schema)}".strip()


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield "## `make`"
    targets = re.findall(r"^([a-z_]+):.*## (.*)$", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    yield _table(("target", "what it does"), [(f"`make {target}`", words) for target, words in targets])
    (commands,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        yield f"## `mmpkd {name}`"
        yield _text(command.description)
        yield _table(("argument", "default", "meaning"), map(_argument, command._actions[1:]))  # the first is --help


def _argument(action: argparse.Action) -> tuple[str, str, str]:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    several = " ..." if action.nargs in ("*", "+") else ""
    name = " ".join(filter(None, ["/".join(action.option_strings), value])) + several
    default = "required" if action.required and action.nargs != "*" else ""
    if action.default not in (None, False, [], argparse.SUPPRESS):
        default = f"`{action.default}`"
    return f"`{name}`", default, action.help or ", ".join(action.choices or ())


def _adapters() -> Iterator[str]:
    yield "# Adapters"
    yield "How each data set is read. [data.md](../data.md) says how to get them and which to use."
    for adapter in sorted(module.name for module in iter_modules(datasets.__path__)):
        data_set = find_data_set(adapter)
        yield f"## `{adapter}`"
        yield from map(_block, _doc(import_module(f"{datasets.__name__}.{adapter}")).split("\n\n"))
        rows = [(f"`options.{name}`", f"`{flow(value)}`") for name, value in data_set.OPTIONS.items()]
        rows += [(f"`folders.{name}`", "") for name in data_set.FOLDERS]
        rows += [("`restricted`", "`true`, by its licence")] if data_set.RESTRICTED else []
        yield _table(("key of the cohort", "default"), rows)


def _block(text: str) -> str:
    """A paragraph of a docstring; indented lines below a line that ends in a colon keep their layout."""
    if found := re.match(r"(.*:)\n((?: {4}.*(?:\n|$))+)", text):
        layout = f"```text\n{dedent(found[2]).rstrip()}\n```"
        return "\n\n".join([_text(found[1]), layout, _text(text[found.end() :])]).strip()
    return _text(re.sub(r"^(Access|Licence|Citation)\b", r"- \1", text, flags=re.MULTILINE))


def _outputs() -> Iterator[str]:
    yield "# Tables and figures"
    yield (
        "Below `results/<study>/`; each is a rule of its own, `table_<name>` or `figure_<name>`. CSV files hold every "
        "column, with keys as values; Markdown, LaTeX and the report show some, with names."
    )
    for kind, files in (("table", "`tables/{}` (.csv, .md, .tex)"), ("figure", "`figures/{}` (.pdf, .png)")):
        yield f"## {kind.capitalize()}s"
        for output in OUTPUTS:
            if output.kind == kind:
                yield f"### {output.title}: {files.format(output.name)}"
                yield from _output(output)
    yield "## Columns"
    yield "`x_low` and `x_high` are the bounds of the interval of `x`. Further columns are explained at their table."
    rows = [(f"`{key}`", column.name, column.meaning) for key, column in COLUMNS.items()]
    yield _table(("column", "shown as", "meaning"), rows)


def _output(output: Output) -> Iterator[str]:
    """What an output answers and holds, from the docstrings of its module and of `make`."""
    module = import_module(f"mmpkd.outputs.{output.rule}")
    made, _, columns = _doc(module.make).partition("\n\nReturns:\n")
    yield _text(_doc(module))
    if output.kind == "table":
        yield _text(made)
        yield _text("Columns: " + re.sub(r"\n +", "\n", columns.partition("\n\n")[0].strip()))


def _doc(described: object) -> str:
    if not (text := getdoc(described)):
        raise ValueError(f"{described}: a docstring is missing")
    return text


def _text(words: str) -> str:
    """Words as Markdown: what looks like a tag is none."""
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", words)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, *([_text(cell).replace("|", r"\|") for cell in row] for row in rows)]
    lines.insert(1, ["---" for _ in lines[0]])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    if not FOLDER.is_dir():
        sys.exit("docs/reference/ is not part of the installed library: run this in a checkout of the project")
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
