"""A table or figure is one module and one entry of the registry; the workflow makes what it needs and no more."""

import subprocess
import sys

import pytest

from mmpkd.config.demo import DEMO
from tests.checkout import Workflow

RULES = {output.rule for output in DEMO.outputs}
MODULE = '''"""A figure of nothing."""

from mmpkd.outputs.figure import Drawing, new_figure
from mmpkd.outputs.inputs import Inputs


def make(inputs: Inputs) -> Drawing:
    """An empty figure, and what it was given."""
    return Drawing(new_figure(2, 2), f"Given: {sorted(inputs.files)}, {sorted(inputs.keys)}.")
'''


def add(workflow: Workflow, *needs: str) -> None:
    """Registers the figure `dummy`, and makes config.yaml anew as for every change of a default."""
    (workflow.folder / "mmpkd/outputs/figure_dummy.py").write_text(MODULE)
    registry = workflow.folder / "mmpkd/config/outputs.py"
    entry = f'OUTPUTS = (\n    Output("figure", "dummy", "Nothing", {needs!r}),\n'
    registry.write_text(registry.read_text().replace("OUTPUTS = (\n", entry))
    command = [sys.executable, "-m", "mmpkd.config.document"]
    text = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=True).stdout
    (workflow.folder / "config.yaml").write_text(text)


def test_every_output_is_in_all_and_in_the_report(checkout):
    assert set(checkout.planned("all")) >= RULES
    assert set(checkout.planned("report")) >= RULES


def test_a_further_figure_is_a_module_and_an_entry(checkout):
    before = checkout.planned("all")
    add(checkout)
    assert checkout.planned("figure_dummy") == {"figure_dummy": 1}
    assert checkout.planned("all") == {**before, "figure_dummy": 1}
    assert "figure_dummy" in checkout.planned("report")
    process = checkout.run("figure_dummy")
    assert process.returncode == 0, process.stdout[-4000:]
    figures = checkout.folder / "results/demo/figures"
    assert {path.name for path in figures.iterdir()} == {f"dummy.{kind}" for kind in ("pdf", "png", "caption.txt")}
    assert (figures / "dummy.caption.txt").read_text() == "Given: [], [].\n"


@pytest.mark.parametrize(
    ("target", "needs", "runs", "rests"),
    [
        ("figure_dummy", ("cohorts",), {"cohort", "preprocess"}, {"privileged", "teacher", "train_student"}),
        ("figure_dummy", ("predictions",), {"privileged", "teacher"}, {"preprocess", "backbone", "train_student"}),
        ("all", ("cohorts", "predictions"), {"preprocess", "teacher", "provenance"}, {"backbone", "train_student"}),
        ("figure_dummy", ("histories",), {"preprocess", "train_student"}, {"attention", "evaluate"}),
        ("figure_dummy", ("maps",), {"attention"}, {"evaluate", "scores", "attention_controls"}),
    ],
)
def test_what_an_output_needs_is_made_and_nothing_after_it(checkout, target, needs, runs, rests):
    add(checkout, *needs)
    alone = ("tables=[]", "figures=[dummy]", "report=false", "claims={}")
    jobs = set(checkout.planned(target, "--config", *alone))
    assert runs | {"figure_dummy"} <= jobs and not rests & jobs
