"""The registry of outputs: an entry is complete, cheap to read, and says what its output is made of."""

import subprocess
import sys
from importlib import import_module

import pandas as pd
import pytest

from mmpkd.config.demo import DEMO
from mmpkd.config.outputs import FIGURES, NEEDS, OUTPUTS, STAGES, TABLES, chosen
from mmpkd.config.plain import settings_of
from mmpkd.dependencies import LIBRARY, library_files
from mmpkd.outputs.figure import Drawing
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table

RULES = [output.rule for output in OUTPUTS]
BORROWED = {"figure_cross_domain": {"figure_localization"}}  # sentences of captions


def test_every_module_of_an_output_has_an_entry_and_every_entry_a_module():
    modules = [path.stem for kind in ("table", "figure") for path in LIBRARY.glob(f"outputs/{kind}_*.py")]
    assert sorted(modules) == sorted(RULES) and len(set(RULES)) == len(RULES)
    assert len(TABLES) + len(FIGURES) == len(OUTPUTS) == len(chosen(TABLES, FIGURES))


@pytest.mark.parametrize("rule", RULES)
def test_each_module_offers_the_same_function(rule):
    make = import_module(f"mmpkd.outputs.{rule}").make
    while hasattr(make, "__wrapped__"):
        make = make.__wrapped__
    result = Table if rule.startswith("table_") else Drawing
    assert make.__annotations__ == {"inputs": Inputs, "return": result}


@pytest.mark.parametrize("output", OUTPUTS, ids=RULES)
def test_an_entry_names_what_there_is(output):
    assert set(output.needs) <= set(NEEDS) and set(NEEDS.values()) == set(STAGES)
    assert set(output.evaluation) <= set(type(DEMO.evaluation).model_fields)
    assert set(output.sections) <= set(type(DEMO).model_fields)
    assert output.title and output.title[0].isupper()


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.rule)
def test_an_output_reads_what_its_rule_gives(output):
    given = settings_of(DEMO, output)
    keys = [f"evaluation.{key}" for key in given.get("evaluation", ())] + ["figure_columns"] * ("columns" in given)
    assert set(output.reads) == {*keys, *given.get("study", ()), *given.get("design", ())}
    assert len(set(output.reads)) == len(output.reads)


@pytest.mark.parametrize("rule", RULES)
def test_a_changed_output_is_no_part_of_another(rule):
    """What `code` in rules/common.smk makes the fingerprint of."""
    files = library_files(LIBRARY.parent / "workflow_scripts/output.py", LIBRARY / f"outputs/{rule}.py")
    names = {path.stem for path in files if path.parent.name == "outputs"}
    assert names & set(RULES) == BORROWED.get(rule, set())
    assert ("figure" in names) == rule.startswith("figure_") and ("table" in names) == rule.startswith("table_")
    assert LIBRARY / "config/outputs.py" not in files, "a further entry re-runs no output"


def test_stages_follow_from_the_needs():
    untrained = {output.rule for output in OUTPUTS if not output.takes("students")}
    assert untrained == {"table_cohorts", "table_teachers", "figure_method", "figure_cohorts"}
    assert {output.rule for output in OUTPUTS if not output.takes("cohorts")} == {"figure_method"}
    quiet = DEMO.model_copy(update={"tables": ["teachers"], "figures": ["method"], "report": False})
    assert [quiet.takes(stage) for stage in STAGES] == [True, True, False, False]
    assert all(quiet.model_copy(update={"report": True}).takes(stage) for stage in STAGES)


def test_inputs_hold_what_the_rule_gives_and_no_more(tmp_path):
    file = str(tmp_path / "scores.parquet")
    pd.DataFrame({"value": [1.0]}).to_parquet(file)
    inputs = Inputs.of({"scores": file}, {"evaluation": {"confidence": 0.9}, "of_files": {"maps": []}, "code": "0"})
    assert inputs.scores["value"].tolist() == [1.0] and inputs.evaluation.confidence == 0.9
    assert inputs.keys == {"maps": []} and inputs.design is None
    assert Inputs.of({}, {}) == Inputs()


def test_the_registry_is_cheap_to_import():
    heavy = "{'numpy', 'pandas', 'torch', 'matplotlib', 'pydantic'}"
    code = f"import sys, mmpkd.config.outputs; print({heavy} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"
