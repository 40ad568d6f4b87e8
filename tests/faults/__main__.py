"""`python -m tests.faults`: the smoke study, run from the start while fault after fault strikes it, and compared."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.checkout import copy_repository
from tests.faults.faults import Fault, Outcome, all_faults, chains, suffer
from tests.faults.study import Run, Study


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", type=int, help="these alone, each in a finished study (see --list)")
    parser.add_argument("--list", action="store_true", help="number, kind and rule of each fault")
    parser.add_argument("--chains", nargs="*", type=int, help="these of the runs alone")
    parser.add_argument("--finished", type=Path, help="a checkout with the finished smoke study; else it is run first")
    parser.add_argument("--scratch", type=Path, help="a folder for the checkouts; else a temporary one")
    options = parser.parse_args()
    if options.list:
        print(*all_faults(), sep="\n")
        return 0
    with TemporaryDirectory(dir=options.scratch) as scratch:
        finished = Study(options.finished) if options.finished else _finish(Path(scratch) / "finished")
        if options.faults:
            runs = [([fault], False) for fault in all_faults() if fault.number in options.faults]
        else:
            numbers = options.chains or range(len(chains()))
            runs = [(chains()[number], True) for number in numbers]
        outcomes = [_suffer(faults, finished, Path(scratch), afresh) for faults, afresh in runs]
    struck, missed = (sum(len(getattr(outcome, name)) for outcome in outcomes) for name in ("struck", "missed"))
    lost = sum(not outcome.survived for outcome in outcomes)
    print(
        f"{struck} faults struck in {len(outcomes)} runs, {missed} missed; {lost} runs ended otherwise than undisturbed"
    )
    return int(lost > 0 or missed > 0)


def _finish(folder: Path) -> Study:
    study = Study(copy_repository(folder).folder)
    if Run(study).wait():
        raise SystemExit(f"the undisturbed run failed:\n{(study.folder / 'run.log').read_text()[-4000:]}")
    return study


def _suffer(faults: list[Fault], finished: Study, scratch: Path, afresh: bool) -> Outcome:
    possible = [fault for fault in faults if not fault.impossible]
    outcome = suffer(possible, finished, scratch, afresh)
    outcome.missed += [fault for fault in faults if fault not in possible]
    print(f"struck: {', '.join(map(str, outcome.struck))}; missed: {', '.join(map(str, outcome.missed)) or 'none'}")
    result = "the same" if outcome.survived else f"NOT the same: {outcome.differences[:5]}\n{outcome.said[-3000:]}"
    print(f"-> exit code {outcome.code} after {outcome.seconds:.0f} s; {result}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
