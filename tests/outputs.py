"""What tables and figures make of scores, as tests compare it."""

from types import ModuleType
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.design import Design
from mmpkd.outputs import table_claims
from mmpkd.outputs.figure import Drawing
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table


def parts(made: Table | Drawing) -> tuple[pd.DataFrame | Figure, str]:
    """The table or figure, and its caption."""
    return made.frame if isinstance(made, Table) else made.figure, made.caption


def make(module: ModuleType, scores: pd.DataFrame, evaluation: Evaluation, design: Design, **more: Any) -> tuple:
    """The parts of the output of a module that reads the long table."""
    return parts(module.make(Inputs(scores, evaluation, design, **more)))


def make_claims(scores: pd.DataFrame, claims: dict[str, Claim], evaluation: Evaluation, design: Design) -> tuple:
    """The table of claims and its caption."""
    study = {"claims": {name: claim.model_dump() for name, claim in claims.items()}}
    return make(table_claims, scores, evaluation, design, study=study)
