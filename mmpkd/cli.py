"""The command `mmpkd`."""

import argparse
import json
import os
import sys
from pathlib import Path

from mmpkd.check.configuration import load_study
from mmpkd.check.study import check
from mmpkd.check.terminal import render
from mmpkd.config.study import ConfigError

CAN_RUN, CANNOT_RUN, WRONG_USE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, 1 if the study cannot run, 2 for a wrong command or configuration."""
    options = _parser().parse_args(arguments)
    try:
        study = load_study(options.overlays, options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    files = ["config.yaml", *map(str, options.overlays), *(["--config"] if options.config else [])]
    facts = check(study, files, options.all, announce=_announce)
    _announce(None)
    _print(json.dumps(facts.as_dict(), indent=2) if options.json else render(facts, _colours(sys.stdout)))
    return CAN_RUN if facts.can_run else CANNOT_RUN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mmpkd", description="Privileged knowledge distillation: see README.md.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "check",
        help="what a study finds, what it lacks, and whether it can run",
        description="Looks at data, weights, disk and machine before anything is computed. Run it where you run "
        "Snakemake, with the same overlays. Exit code: 0 if the study can run, 1 if it cannot, 2 for a mistake in the "
        "command or the configuration.",
    )
    command.add_argument("overlays", nargs="*", type=Path, help="studies/*.yaml, merged into config.yaml in order")
    command.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake --config")
    command.add_argument("--all", action="store_true", help="read the header of every image, not of a sample")
    command.add_argument("--json", action="store_true", help="print the facts for machines")
    return parser


def _announce(cohort: str | None) -> None:
    """Names the cohort that is being read on a terminal's last line; None clears it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{f'reading {cohort} ...' if cohort else ''}", end="", file=sys.stderr, flush=True)


def _print(text: str) -> None:
    """Prints to the standard output, whose reader (`| head`) may have gone."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or closing it at the end would fail once more


def _colours(stream) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
