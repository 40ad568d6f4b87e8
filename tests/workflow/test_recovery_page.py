"""docs/recovery.md, command by command, in a finished study. Its `make all` is run by tests/faults."""

import re

from tests.checkout import ROOT
from tests.studies.test_tutorial import run

PAGE = (ROOT / "docs/recovery.md").read_text()
COMMANDS = re.findall(r"^(?:mmpkd|snakemake) .*$", PAGE, re.MULTILINE)


def test_a_finished_study_needs_nothing_and_agrees_with_its_record(smoke):
    said = {command: run(smoke, command) for command in COMMANDS}
    assert len(said) == 4
    assert said["mmpkd recover studies/smoke.yaml"] == ""
    assert "agree with provenance.json" in said["mmpkd verify results/smoke"]
    assert "agree with provenance.json" in said["mmpkd verify results/smoke --inputs studies/smoke.yaml"]
