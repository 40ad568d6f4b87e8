"""The fingerprint of the code that a script uses."""

import re
from pathlib import Path

import pytest
import yaml

from mmpkd import dependencies
from mmpkd.dependencies import fingerprint, library_files, read_source

ROOT = Path(__file__).parents[2]
RULES = {  # the rule of all outputs has no name of its own
    name or "output": body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(r"^ *rule ?(\w*):\n(.*?)(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
}
MODULE = '''\
"""A module."""

from mmpkd.lower import lower


class Thing:
    """A class."""

    def twice(self, value):
        """A method."""
        return 2 * lower(value)
'''
SAME = {
    "comment": MODULE.replace("return", "# why\n        return"),
    "docstrings": MODULE.replace("A module", "Another").replace("A class", "Another").replace("A method", "Another"),
    "no docstring": MODULE.replace('    """A class."""\n\n', ""),
    "formatting": MODULE.replace("2 * lower(value)", "(2 *\n            lower(value))").replace("\n\n\n", "\n"),
    "quotes": MODULE.replace('"""A method."""', "'A method.'"),
}
OTHER = {
    "number": MODULE.replace("2 *", "3 *"),
    "name": MODULE.replace("twice", "double"),
    "default": MODULE.replace("value):", "value=1):"),
    "text that is no docstring": MODULE.replace("return 2", "label = 'a'\n        return 2"),
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of two modules that import one another, a third, and a script that uses the first."""
    library = tmp_path / "mmpkd"
    library.mkdir()
    (library / "module.py").write_text(MODULE)
    (library / "lower.py").write_text("def lower(value):\n    return value - 1\n")
    (library / "unused.py").write_text("UNUSED = 1\n")
    (tmp_path / "script.py").write_text("from mmpkd.module import Thing\n\nThing().twice(1)\n")
    monkeypatch.setattr(dependencies, "LIBRARY", library)
    return library


def current(library: Path) -> str:
    """The script's fingerprint for a process that has read no file yet."""
    read_source.cache_clear()
    return fingerprint(library.parent / "script.py")


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_comments_docstrings_and_formatting_do_not_count(library, text):
    before = current(library)
    assert text != MODULE
    (library / "module.py").write_text(text)
    assert current(library) == before


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_code_counts(library, text):
    before = current(library)
    (library / "module.py").write_text(text)
    assert current(library) != before


@pytest.mark.parametrize(("name", "counts"), [("lower.py", True), ("../script.py", True), ("unused.py", False)])
def test_what_is_imported_counts_and_nothing_else(library, name, counts):
    before = current(library)
    with (library / name).open("a") as stream:
        stream.write("CHANGED = 1\n")
    assert (current(library) != before) == counts


def test_a_further_module_is_one_that_is_loaded_by_name(library):
    assert fingerprint(library.parent / "script.py", library / "unused.py") != current(library)
    assert library / "unused.py" not in library_files(library.parent / "script.py")


def test_a_module_that_moves_counts(library):
    before = current(library)
    (library / "lower.py").rename(library / "below.py")
    (library / "module.py").write_text(MODULE.replace("mmpkd.lower", "mmpkd.below"))
    assert current(library) != before


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_the_fingerprint_of_its_script(rule):
    [script] = re.findall(r'^ +"../workflow_scripts/(\w+).py"$', RULES[rule], re.MULTILINE)
    [name] = re.findall(r'^ +code=(?:lambda w: )?code\(\s*"(\w+)"', RULES[rule], re.MULTILINE)
    assert name == script


def test_time_stamps_of_scripts_are_no_trigger():
    for path in sorted((ROOT / "profiles").glob("*/config.yaml")):
        assert yaml.safe_load(path.read_text())["rerun-triggers"] == ["mtime", "params", "input", "software-env"], path
