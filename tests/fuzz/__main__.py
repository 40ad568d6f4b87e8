"""`python -m tests.fuzz --cases 1000000 --seed 0` runs all targets; with `--target` and `--index`, one case."""

import argparse
import json
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mmpkd.logs import Bar
from tests.fuzz.runner import MIB, Finding, Tally, describe, fuzz, run_case
from tests.fuzz.targets import TARGETS, Target, case_random

REASONS = 12  # of a target that are told
FINDINGS = 20


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 if there is any finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, help="this one alone")
    parser.add_argument("--index", type=int, help="this case of the target alone, in this process")
    parser.add_argument("--save", type=Path, help="write the case to this file")
    options = parser.parse_args(arguments)
    if options.index is not None:
        if options.target is None:
            parser.error("--index needs a --target")
        return _one(TARGETS[options.target], options.seed, options.index, options.save)
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # a line of the progress every half minute
    targets = [TARGETS[options.target]] if options.target else list(TARGETS.values())
    whole = sum(target.share for target in targets)
    tallies = {}
    for target in targets:
        cases = round(options.cases * target.share / whole)
        with Bar(f"fuzz {target.name}", cases, "cases") as bar:
            tallies[target.name] = fuzz(target, options.seed, cases, advance=bar.advance)
        print(_row(target.name, tallies[target.name]), flush=True)
    findings = [finding for tally in tallies.values() for finding in tally.findings]
    for name, tally in tallies.items():
        print(f"\n{name}, refused:")
        for reason, count in tally.refused.most_common(REASONS):
            print(f"  {count:>8} {reason}")
    for finding in _of_each_kind(findings)[:FINDINGS]:
        print(f"\n{finding.kind}: {finding.detail}")
        print(f"  python -m tests.fuzz --target {finding.target} --seed {finding.seed} --index {finding.index}")
    print(f"\n{sum(tally.cases for tally in tallies.values())} cases, {len(findings)} findings")
    return 1 if findings else 0


def _row(name: str, tally: Tally) -> str:
    seconds, index = tally.slowest
    return (
        f"{name:<13}{tally.cases:>9} cases {tally.succeeded:>8} succeeded {tally.refused.total():>8} refused"
        f" {len(tally.findings):>5} findings, slowest {seconds:.3f} s ({index}), peak {tally.peak // MIB} MiB"
    )


def _of_each_kind(findings: list[Finding]) -> list[Finding]:
    """The first finding of each target, kind and detail."""
    first: dict[tuple, Finding] = {}
    for finding in findings:
        first.setdefault((finding.target, finding.kind, finding.detail), finding)
    return list(first.values())


def _one(target: Target, seed: int, index: int, save: Path | None) -> int:
    corpus = target.corpus()
    if save:
        case = target.make(case_random(target.name, seed, index), corpus)
        save.write_bytes(
            case if isinstance(case, bytes) else (case if isinstance(case, str) else json.dumps(case)).encode()
        )
    try:
        with TemporaryDirectory() as folder:
            refusal = run_case(target, corpus, seed, index, Path(folder))
    except Exception as error:
        print(describe(error))
        return 1
    print(f"refused: {refusal}" if refusal else "succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
