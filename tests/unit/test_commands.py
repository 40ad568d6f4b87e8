"""Every command of the documents is one that its program accepts, and names what is there."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

from mmpkd.cli import parser
from mmpkd.config.demo import DEMO

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
OF_THE_SYSTEM = {"apt-get", "cd", "cp", "export", "git", "hf", "mkdir", "source", "squeue"}
OF_THE_READER = ("studies/yours.yaml", "data/films/study.yaml")  # overlays that the reader writes
TARGETS = {"all", *(output.rule for output in DEMO.outputs)}


def commands(page: Path) -> list[list[str]]:
    """The words of each command in a page's blocks of code."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "\n".join(text for language, text in blocks if not language).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.replace("<your fork>", "fork"), comments=True) for line in lines]
    return [words for words in found if words and page.name != "architecture.md"]  # whose block is a drawing


COMMANDS = [(page.name, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(words)}" for page, words in COMMANDS])
def test_a_command_is_accepted(page, words):
    words = words[: words.index(">")] if ">" in words else words
    program, arguments = Path(words[0]).name, words[1:]
    if program == "make":
        targets = re.findall(r"^([^\s:#=][^:#=]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert arguments[0] in " ".join(targets).replace("$(VENV)", ".venv").split()
    elif program == "mmpkd":
        check_overlays(getattr(parser().parse_args(arguments), "overlays", []))
    elif program == "snakemake":
        options = get_argument_parser().parse_args(arguments)
        assert set(options.targets) <= TARGETS
        check_overlays(options.configfile or [])
        assert options.workflow_profile is None or (ROOT / options.workflow_profile / "config.yaml").is_file()
    elif program == "python":
        assert arguments[0] == "-m" and find_spec(arguments[1])
    else:
        assert program in OF_THE_SYSTEM


def check_overlays(overlays) -> None:
    assert [path for path in map(str, overlays) if path not in OF_THE_READER and not (ROOT / path).is_file()] == []


def test_commands_are_found():
    programs = {words[0] for _, words in COMMANDS}
    assert {"make", "mmpkd", "snakemake", "python"} <= programs and len(COMMANDS) > 30
