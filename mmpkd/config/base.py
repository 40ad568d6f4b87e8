"""The base of every section."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from mmpkd.config.hints import is_null


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
