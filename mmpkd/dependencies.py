"""How the workflow's scripts find the library, and which of its files each of them imports.

Snakemake watches a rule's script, not the modules that it imports. The files found here are inputs of the rules, so
that an edit of one re-runs the stages that use it.
"""

import ast
import os
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent


def make_importable() -> None:
    """Lets the processes that are started from here import the library, installed or not."""
    paths = [str(LIBRARY.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


def library_files(script: Path) -> list[Path]:
    """The library files that `script` imports, directly or not, whether at its top or inside a function; sorted."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        new = _imported(waiting.pop()) - found
        found |= new
        waiting.extend(new)
    return sorted(found)


@cache
def _imported(source: Path) -> frozenset[Path]:
    tree = ast.parse(source.read_text(encoding="utf-8"), filename=str(source))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(path for name in names for path in _files(name))


def _files(module: str) -> list[Path]:
    """The file of a library module and of the packages above it; nothing for another name."""
    parts = module.split(".")
    if parts[0] != LIBRARY.name:
        return []
    folders = [LIBRARY.joinpath(*parts[1:end]) for end in range(1, len(parts) + 1)]
    candidates = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return [path for path in candidates if path.is_file()]
