"""What a table or figure is made of, as its rule gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design


@dataclass(frozen=True)
class Inputs:
    """The argument of every `make`; what an output does not ask for in its entry of the registry is empty.

    Attributes:
        scores: the long table.
        evaluation: the section of the configuration; keys that the entry does not name have their defaults.
        design: cells, the roles and titles of the arms, and which cohorts are fabricated.
        files: further files by the name of the rule's input.
        keys: what belongs to these files (domains, arms, seeds, cohorts, folders), by name.
        study: whole sections of the configuration as plain values.
        columns: of a page that a figure fits, 1 or 2.
    """

    scores: pd.DataFrame = None
    evaluation: Evaluation = None  # type: ignore[assignment]  # None where the entry does not ask for it
    design: Design = None  # type: ignore[assignment]
    files: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    columns: int = 2

    @classmethod
    def of(cls, files: Mapping[str, Any], params: Mapping[str, Any]) -> "Inputs":
        """Reads what the rule of an output gives.

        Args:
            files: its input.
            params: its params, as `rules/outputs.smk` has them.
        """
        asked: dict[str, Any] = {"keys": params.get("of_files", {}), "study": params.get("study", {})}
        asked["columns"] = params.get("columns", 2)
        if "scores" in files:
            asked["scores"] = pd.read_parquet(files["scores"])
        if "evaluation" in params:
            asked["evaluation"] = Evaluation.model_validate(params["evaluation"])
        if "design" in params:
            asked["design"] = Design.of(params["design"])
        return cls(files=files, **asked)
