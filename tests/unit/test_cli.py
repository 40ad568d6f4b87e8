"""The command line: what the parser accepts, and mistakes that end in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mmpkd.cli import INTERRUPTED, WRONG_USE, main, parser


@pytest.mark.parametrize(
    "arguments",
    [
        ["redraw", "s.parquet", "a.yaml", "b.yaml", "--out", "o"],
        ["redraw", "--out", "o", "s.parquet", "a.yaml", "b.yaml"],
        ["redraw", "s.parquet", "--out", "o", "a.yaml", "b.yaml"],
        ["redraw", "s.parquet", "a.yaml", "--out", "o", "b.yaml"],
    ],
)
def test_files_may_stand_on_both_sides_of_options(arguments):
    options = parser().parse_args(arguments)
    assert (options.scores, options.out) == (Path("s.parquet"), Path("o"))
    assert options.overlays == [Path("a.yaml"), Path("b.yaml")]


def test_a_missing_file_is_still_asked_for(capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(["redraw", "--out", "o"])
    assert stopped.value.code == WRONG_USE and "required: scores" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "text", {"mean": [1.0]}])
def test_redraw_needs_a_table_of_scores(tmp_path, capsys, content):
    scores = tmp_path / "scores.parquet"
    if isinstance(content, str):
        scores.write_text(content)
    elif content:
        pd.DataFrame(content).to_parquet(scores)
    assert main(["redraw", str(scores), "--out", str(tmp_path / "out")]) == WRONG_USE
    problem = "is no table of scores" if content else "is not there"
    assert capsys.readouterr().err == f"{scores}: {problem}; name evaluation/scores.parquet of a finished run\n"


@pytest.mark.parametrize(
    ("typed", "advice"),
    [("chek", "there is no command chek; did you mean check?"), ("xyz", "there is no command xyz\n")],
)
def test_a_command_that_is_like_the_one_typed_is_named(capsys, typed, advice):
    with pytest.raises(SystemExit) as stopped:
        main([typed])
    assert stopped.value.code == WRONG_USE and advice in capsys.readouterr().err


def test_an_interrupt_ends_in_a_word(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmpkd.cli.read_record", interrupted)
    assert main(["verify", "results/demo"]) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_an_interrupt_during_the_imports_is_silent(tmp_path):
    (tmp_path / "json.py").write_text("raise KeyboardInterrupt")  # what the command imports
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    command = [sys.executable, "-m", "mmpkd", "check"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (INTERRUPTED, "")
