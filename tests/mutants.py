"""A mutation run: which small changes of losses, geometry, scores and statistics would no test see?

    python -m tests.mutants mutants.csv [mmpkd.evaluation.* ...]

mutmut (in no lock file; `pip install mutmut==3.8.1`) writes every mutant of the functions in the modules that
`tool.mutmut` in pyproject.toml names, with a switch, into a copy of the library. It would start pytest anew for each
mutant. Here pytest collects the tests once, and each mutant is tried in a fork of that process: on the tests that reach
its function, those of a quick file first, until one fails. One that takes far more processor time than the tests do is
stopped, and counts as found. The switch leaves out properties and what a module computes as it is imported.
"""

import argparse
import ast
import csv
import difflib
import gc
import os
import resource
import shutil
import sys
import tempfile
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from time import process_time

import pytest
from _pytest.runner import runtestprotocol
from _pytest.warnings import catch_warnings_for_item
from mutmut.configuration import config
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

ORIGINAL = "__mutmut_orig"


class Trials:
    """The plugin that runs the collected tests: once as they are, then on each mutant."""

    def __init__(self, mutants: dict[str, str], out: Path) -> None:
        self.mutants = mutants
        self.out = out
        self.seconds: dict[pytest.Item, float] = {}
        self.reached: dict[pytest.Item, set[str]] = {}
        self.of_fixture: dict[object, set[str]] = {}  # what its set-up reaches, which several tests may share

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.measure(session.items)
        with self.out.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["module", "mutant", "outcome", "change"])
            for number, (mutant, change) in enumerate(self.mutants.items(), 1):
                module, _, name = mutant.rpartition(".")
                rows.writerow([module, name, outcome := self.outcome(mutant), change])
                file.flush()
                print(f"{number}/{len(self.mutants)} {outcome:9}{mutant}", file=sys.stderr)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef):
        before = set(state()._stats)
        state()._stats.clear()
        value = yield
        self.of_fixture.setdefault(fixturedef, set()).update(state()._stats)
        state()._stats.update(before)
        return value

    def measure(self, items: list[pytest.Item]) -> None:
        """Every test's processor time and the functions that it reaches, those of its fixtures included."""
        set_mutant_under_test("stats")
        for item, following in zip(items, [*items[1:], None], strict=True):
            state()._stats.clear()
            start = process_time()
            if _fails(item, following):
                raise SystemExit(f"{item.nodeid} fails without a mutant")
            fixtures = [fixture for group in item._fixtureinfo.name2fixturedefs.values() for fixture in group]
            self.reached[item] = state()._stats.union(*(self.of_fixture.get(fixture, ()) for fixture in fixtures))
            self.seconds[item] = process_time() - start

    def outcome(self, mutant: str) -> str:
        """killed, timeout or survived."""
        function = mutant.rpartition("__mutmut_")[0]
        items = [item for item, reached in self.reached.items() if function in reached]
        of_file = Counter()
        for item in items:
            of_file[item.path] += self.seconds[item]
        items.sort(key=lambda item: (of_file[item.path], str(item.path), self.seconds[item]))
        process = os.fork()
        if not process:
            limit = int(10 + 3 * sum(of_file.values()))
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            gc.disable()  # it would touch, and so copy, all that the fork shares
            os._exit(_one_fails(mutant, items))
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return "timeout" if status < 0 else "killed" if status else "survived"


def _fails(item: pytest.Item, following: pytest.Item | None) -> bool:
    with catch_warnings_for_item(item.config, item.ihook, "runtest", item):  # for tests that make errors of warnings
        return any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def _one_fails(mutant: str, items: list[pytest.Item]) -> bool:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    set_mutant_under_test(mutant)
    try:
        for item, following in zip(items, [*items[1:], None], strict=True):
            if _fails(item, following):
                return True
    except BaseException:  # whatever ends pytest itself
        return True
    return False


def write(library: Path, patterns: list[str]) -> dict[str, str]:
    """Puts the mutants into a copy of the library; the change of each by name."""
    changes = {}
    for path in config().only_mutate:
        module = path.removesuffix(".py").replace("/", ".")
        mutated = mutate_file_contents(path, Path(path).read_text())
        (library / path).write_text(mutated.code)
        tree = ast.parse(mutated.code)
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for name in mutated.mutant_names:
            if any(fnmatch(f"{module}.{name}", pattern) for pattern in patterns):
                original = functions[name.rpartition("__mutmut_")[0] + ORIGINAL]
                changes[f"{module}.{name}"] = _change(original, functions[name])
    return changes


def _change(original: ast.FunctionDef, mutant: ast.FunctionDef) -> str:
    before, after = (ast.unparse(function).splitlines()[1:] for function in (original, mutant))
    return "\n".join(line for line in difflib.ndiff(before, after) if line[0] in "+-")


def table(out: Path) -> str:
    """Counts by module, as Markdown."""
    counts: dict[str, Counter] = {}
    for row in csv.DictReader(out.open(newline="")):
        for name in (row["module"], "all"):
            counts.setdefault(name, Counter())[row["outcome"]] += 1
    counts["all"] = counts.pop("all")
    lines = ["| module | mutants | killed | timeout | survived | found |", "|---|---|---|---|---|---|"]
    for module, count in counts.items():
        found = (count["killed"] + count["timeout"]) / count.total()
        numbers = [count.total(), count["killed"], count["timeout"], count["survived"], f"{100 * found:.1f} %"]
        lines.append(f"| {module} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the outcome of every mutant, CSV")
    parser.add_argument("patterns", nargs="*", default=["*"], help="which mutants, by name")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("mmpkd", Path(folder) / "mmpkd", ignore=shutil.ignore_patterns("__pycache__"))
        mutants = write(Path(folder), args.patterns)
        sys.path.insert(0, folder)
        __import__("mmpkd")  # from the copy; pytest puts the checkout before it
        set_mutant_under_test("")
        tests = [*config().pytest_add_cli_args, *config().pytest_add_cli_args_test_selection]
        status = pytest.main(tests, plugins=[Trials(mutants, args.out)])
    if status:
        sys.exit(status)
    print(table(args.out))


if __name__ == "__main__":
    main()
