"""docs/tutorial.md, command by command, from a folder of pictures to the report."""

import os
import re
import subprocess
import sys

import pandas as pd

from tests.checkout import ROOT, Workflow

PAGE = (ROOT / "docs/tutorial.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
PROGRAMS = {name: f"{sys.executable} -m {name}" for name in ("mmpkd", "snakemake")}  # those of the checkout


def run(workflow: Workflow, command: str) -> str:
    program, _, arguments = command.partition(" ")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    process = subprocess.run(
        ["bash", "-c", f"{PROGRAMS.get(program, program)} {arguments}"],
        cwd=workflow.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.returncode == 0, f"{command}\n{process.stdout[-8000:]}"
    return process.stdout


def test_the_page_is_short_and_has_a_sentence_per_line():
    assert len(PAGE.split()) <= 1000
    text = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if re.search(r"[a-z)`][.?!] [A-Z]", line)] == []


def test_every_command_runs_and_the_report_says_so(checkout):
    told = {command: run(checkout, command) for command in COMMANDS}
    programs = [command.partition(" ")[0] for command in COMMANDS]
    assert programs == ["mmpkd", "mkdir", "cp", "mmpkd", "cp", "mmpkd", "snakemake", "mmpkd"]
    checked = " ".join(told[COMMANDS[5]].split())
    assert "images.csv, row 7, column path: there is no such file" in checked
    assert "80 images without a study whose image counts as one" in checked
    assert "The study can run: 0 errors, 1 warning" in checked
    results = checkout.folder / "results/films"
    assert "</html>" in (results / "report.html").read_text()
    claims = pd.read_csv(results / "tables/claims.csv")
    assert claims["verdict"].tolist() == ["inconclusive"], "as the page says"
    assert "entries agree with provenance.json" in told[COMMANDS[-1]]
