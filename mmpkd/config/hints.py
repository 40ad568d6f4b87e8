"""What YAML or the command line made of a value, for the message that it is of the wrong kind."""

from collections.abc import Mapping
from datetime import date
from typing import Any

NULLS = ("null", "Null", "NULL", "~")  # how YAML writes it; the command line hands it on as text


def is_null(value: Any) -> bool:
    """Whether a value is null, or the command line's text for it."""
    return value is None or (isinstance(value, str) and value in NULLS)


def hint(mistake: Mapping[str, Any]) -> str:
    """What to write instead, for a mistake that pydantic found; "" where its message says enough."""
    kind, value = mistake["type"], mistake["input"]
    if value is None:
        return "nothing, or null, stands there: give it a value, or leave the key out and its default holds"
    if kind == "string_type":
        return _as_text(value)
    if kind == "list_type" and not isinstance(value, Mapping):
        return f"write a list: [{value}]" if _is_short(value) else "write a list"
    if kind in ("dict_type", "model_type", "model_attributes_type", "dataclass_type"):
        return "keys are wanted below it, indented by two blanks"
    return ""


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "YAML reads yes, no, on and off as true or false: put the word into quotation marks"
    if isinstance(value, date):
        return "YAML reads it as a date: put it into quotation marks"
    if isinstance(value, int | float):
        return "YAML reads it as a number: put it into quotation marks"
    return "a single word or text is wanted"


def _is_short(value: Any) -> bool:
    return isinstance(value, str | bool | float) and len(str(value)) < 40 or isinstance(value, int) and value < 10**39
