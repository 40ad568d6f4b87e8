"""The library imports downwards only, and a stage depends on its own section of the configuration."""

import ast
from pathlib import Path

import pytest

from mmpkd.dependencies import LIBRARY, library_files

ORDER = (
    ("interrupts", "presence"),
    ("files", "logs", "auroc", "dependencies", "redaction", "text", "results", "design"),
    ("config",),
    ("cohorts",),
    ("phantom",),
    ("provenance",),
    ("recovery",),
    ("job",),
    ("device", "torchvision_schema"),
    ("imaging", "privileged"),
    ("students",),
    ("teachers",),
    ("attention",),
    ("evaluation",),
    ("outputs",),
    ("report", "check", "rehearsal", "explain", "skeleton"),
    ("console", "cli"),
    ("reference",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY or path.name != "__init__.py")
SCRIPTS = sorted((LIBRARY.parent / "workflow_scripts").glob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imported_modules(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the order"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_imports_go_downwards(path):
    for module in imported_modules(path):
        if module.startswith("mmpkd."):
            other = module.split(".")[1]
            assert other == room(path) or LEVEL[other] < LEVEL[room(path)], f"{room(path)} imports {module}"
        assert not module.startswith("snakemake"), "the library knows nothing of Snakemake"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_does_not_depend_on_the_whole_configuration(path):
    files = {file.relative_to(LIBRARY).as_posix() for file in library_files(path)}
    assert "config/study.py" not in files or path.stem == "report"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_thin(path):
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= 50
    assert not [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_the_dependencies_of_a_script_are_what_python_loads(tmp_path):
    """What the parser finds contains what an import really loads."""
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text("import mmpkd.students.loop\nimport mmpkd.attention\n")
    loaded = "import sys\nprint([m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'mmpkd'])"
    output = subprocess.run(
        [sys.executable, "-c", script.read_text() + loaded], capture_output=True, text=True, check=True
    ).stdout
    assert {Path(file) for file in ast.literal_eval(output)} == set(library_files(script))


def test_imports_inside_functions_count(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def late():\n    from mmpkd.config.students import Arm\n    return Arm\n")
    names = {path.relative_to(LIBRARY).as_posix() for path in library_files(script)}
    assert names == {
        "__init__.py",
        "interrupts.py",
        *(f"config/{name}.py" for name in ("__init__", "base", "folders", "students")),
    }
