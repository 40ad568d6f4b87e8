"""How the workflow's scripts find the library, and what of its code each of them uses.

Snakemake compares a rule's parameters with those of the last run. The fingerprint of the code that a script uses is one
of them, so that a change of this code re-runs the stage, and a comment, a docstring or a line break does not.
"""

import ast
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent
DEFINITIONS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """What is known of one file: the library files that it imports, and a hash of its code."""

    imports: frozenset[Path]
    code: str


def make_importable() -> None:
    """Lets the processes that are started from here import the library, installed or not."""
    paths = [str(LIBRARY.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


def library_files(*scripts: Path) -> list[Path]:
    """The library files that `scripts` import, directly or not, whether at the top or inside a function; sorted."""
    found: set[Path] = set()
    waiting = list(scripts)
    while waiting:
        new = read_source(waiting.pop()).imports - found
        found |= new
        waiting.extend(new)
    return sorted(found)


def fingerprint(*scripts: Path) -> str:
    """One hash of the code of scripts and of all library files that they import.

    It follows from their syntax trees without docstrings, so neither comments nor formatting count.

    Args:
        *scripts: their paths.
    """
    files = sorted({*scripts, *library_files(*scripts)})
    names = [os.path.relpath(path, LIBRARY.parent) for path in files]
    return _hash(f"{name} {read_source(path).code}" for name, path in zip(names, files, strict=True))


@cache
def read_source(path: Path) -> Source:
    """Parses a file; each is read once per process."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return Source(frozenset(path for name in names for path in module_files(name)), _hash([ast.dump(tree)]))


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8")).hexdigest()[:16]


def module_files(module: str) -> list[Path]:
    """The file of a library module and of the packages above it; nothing for another name."""
    parts = module.split(".")
    if parts[0] != LIBRARY.name:
        return []
    folders = [LIBRARY.joinpath(*parts[1:end]) for end in range(1, len(parts) + 1)]
    candidates = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return [path for path in candidates if path.is_file()]
