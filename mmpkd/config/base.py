"""The base of every section, and hints for values that YAML or the command line made something else of."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

NULLS = ("null", "Null", "NULL", "~")  # how YAML writes it; the command line hands it on as text


class Section(BaseModel):
    """Unknown keys are errors, values are not coerced between kinds, and a section does not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_of_the_command_line(cls, values: Any) -> Any:
        """`snakemake --config` hands null on as text: it is null where a key may be."""
        if not isinstance(values, Mapping):
            return values
        optional = {name for name, field in cls.model_fields.items() if type(None) in get_args(field.annotation)}
        return {name: None if name in optional and is_null(value) else value for name, value in values.items()}


def is_null(value: Any) -> bool:
    """Whether a value is null, or the command line's text for it."""
    return value is None or (isinstance(value, str) and value in NULLS)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean figure_localization?` if a known name is like it, else "".

    Args:
        name: what was written.
        known: what can be written.
    """
    alike = get_close_matches(name, list(known), n=1)
    return f"; did you mean {alike[0]}?" if alike else ""


def hint(mistake: Mapping[str, Any]) -> str:
    """What to write instead, for a mistake that pydantic found; "" where its message says enough."""
    kind, value = mistake["type"], mistake["input"]
    if kind == "literal_error" and isinstance(value, str):
        return did_you_mean(value, re.findall(r"'(.*?)'", mistake["ctx"]["expected"])).removeprefix("; ")
    if value is None:
        return "nothing, or null, is given: give it a value, or leave the key out and its default holds"
    if kind == "string_type":
        return _as_text(value)
    if kind == "list_type" and not isinstance(value, Mapping):
        return f"write a list: [{value}]" if _is_short(value) else "write a list"
    if kind in ("dict_type", "model_type", "model_attributes_type", "dataclass_type"):
        return "keys are expected below it, indented by two blanks"
    return ""


def keys_beside(place: Iterable[Any], root: Any) -> list[str]:
    """The keys that may stand where a mistake was found, below the annotation `root`.

    Args:
        place: the keys and positions that lead to the mistake.
        root: the annotation of the whole.
    """
    sections = _sections(root)
    for part in [*place][:-1]:  # keys, and names and numbers of entries, which are no key
        fields = [section.model_fields[part].annotation for section in sections if part in section.model_fields]
        sections = set().union(*map(_sections, fields)) if fields else sections
    return sorted({name for section in sections for name in section.model_fields})


def _sections(annotation: Any) -> set[type[Section]]:
    """The sections that an annotation allows, alone or as entries."""
    if isclass(annotation) and issubclass(annotation, Section):
        return {annotation}
    return set().union(*map(_sections, get_args(annotation)))


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "YAML reads yes, no, on and off as true or false: put the word into quotation marks"
    if isinstance(value, date):
        return "YAML reads it as a date: put it into quotation marks"
    if isinstance(value, int | float):
        return "YAML reads it as a number: put it into quotation marks"
    return "a single word or text is expected"


def _is_short(value: Any) -> bool:
    return isinstance(value, str | bool | float) and len(str(value)) < 40 or isinstance(value, int) and value < 10**39
