"""The command `mmpkd`."""

import argparse
import json
import os
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

from mmpkd.check.study import check
from mmpkd.check.terminal import render
from mmpkd.cohorts.base import ChoiceError
from mmpkd.config.base import did_you_mean
from mmpkd.config.cohorts import Cohort
from mmpkd.config.layers import Layers, load_layers, parse_entries
from mmpkd.config.study import ConfigError
from mmpkd.design import Design
from mmpkd.provenance.record import RecordError, read_record
from mmpkd.provenance.verify import Verdict, verify
from mmpkd.recovery.recover import recover
from mmpkd.recovery.runs import BusyError
from mmpkd.rehearsal import fabricate
from mmpkd.results import Results
from mmpkd.skeleton import write_skeleton

GOOD, BAD, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: of the command; those of the process by default.

    Returns:
        The exit code. 0: the study can run, the results agree; 1: it cannot, they differ, a run is at work; 2: a wrong
        command, configuration or record; 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character shows its number
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ConfigError, RecordError, ChoiceError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    except BusyError as error:
        print(error, file=sys.stderr)
        return BAD
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _check(options: argparse.Namespace) -> int:
    layers = _layers(options.overlays, options)
    if options.real_data and all(layers.study.cohorts[name].phantom for name in layers.study.domain_of):
        return GOOD
    facts = check(layers, options.all, announce=_announce)
    _announce(None)
    _print(json.dumps(facts.as_dict(), indent=2) if options.json else render(facts, _colours(sys.stdout)))
    return GOOD if facts.can_run else BAD


def _verify(options: argparse.Namespace) -> int:
    record = read_record(options.results)
    cohorts = None if options.inputs is None else _data_sets(options, record["study"])
    verdict = verify(options.results, record, cohorts)
    _print("\n".join([*verdict.differences, *verdict.notes, _sum(verdict)]))
    return BAD if verdict.differences else GOOD


def _recover(options: argparse.Namespace) -> int:
    study = _layers(options.overlays, options).study
    for line in recover(Path.cwd(), Path("results") / study.study):
        _print(line)
    return GOOD


def _convert(options: argparse.Namespace) -> int:
    from mmpkd.teachers.encoder_conversion import convert
    from mmpkd.teachers.encoder_loading import EncoderError

    try:
        sha256 = convert(options.download, options.folder)
    except EncoderError as error:
        print(error, file=sys.stderr)
        return BAD
    _print(f"{options.folder}: converted and loaded; for the configuration: encoder.sha256: {sha256}")
    return GOOD


def _fabricate(options: argparse.Namespace) -> int:
    study = _layers(options.overlays, options).study
    for line in fabricate(study, options.folder, options.large, options.seed):
        _print(line)
    return GOOD


def _redraw(options: argparse.Namespace) -> int:
    from mmpkd.outputs.redraw import redraw

    for path in redraw(_layers(options.overlays, options).study, options.scores, options.out):
        _print(path)
    return GOOD


def _compare(options: argparse.Namespace) -> int:
    from mmpkd.outputs.words import cohort_name, domain_name
    from mmpkd.provenance.compare import DIFFERENT, as_text, compare, read_reference, summary, write_reference

    if options.write is not None:
        write_reference(options.results, options.write)
        return GOOD
    run = summary(options.results)
    design = Design.of(read_record(options.results)["configuration"])

    def name(domain: str, cohort: str, arm: str) -> str:
        return f"{design.title(arm)}, {domain_name(domain)} on {cohort_name(cohort)}"

    lines = compare(run, read_reference(run["study"], options.reference), name)
    _print(as_text(lines))
    return BAD if any(line.outcome == DIFFERENT for line in lines) else GOOD


def _explain(options: argparse.Namespace) -> int:
    from mmpkd.device import resolve_device
    from mmpkd.explain import Explainer, explain_files
    from mmpkd.imaging.derived import Derivation

    try:
        explainer = Explainer.load(options.model, options.method, resolve_device(options.device))
        derivation = Derivation(explainer.sha256, options.method) if options.dicom else None
    except (ValueError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    lacking = explain_files(explainer, options.images, options.out, options.batch_size, derivation)
    number = len(options.images)
    without = f", {lacking.without_objects} of them without DICOM objects" if lacking.without_objects else ""
    _print(f"{number - lacking.unread} of {number} images explained in {options.out}{without}")
    return BAD if any(lacking) else GOOD


def _init(options: argparse.Namespace) -> int:
    for line in write_skeleton(options.folder, options.images, options.labels):
        _print(line)
    return GOOD


def _data_sets(options: argparse.Namespace, name: str) -> dict[str, Cohort]:
    """The configured data sets; the tree of a phantom lies among the results.

    Raises:
        ConfigError: the configuration is wrong, or that of another study.
    """
    study = _layers(options.inputs, options).study
    if study.study != name:
        raise ConfigError(f"--inputs: the configuration is that of the study {study.study}, the results are of {name}")
    cohorts = {key: study.cohorts[key] for key in study.domain_of}
    results = Results(str(options.results))
    for key in [key for key, cohort in cohorts.items() if cohort.phantom]:
        cohorts[key] = cohorts[key].model_copy(update={"root": Path(results.phantom(key)["tree"])})
    return cohorts


def _layers(overlays: list[Path], options: argparse.Namespace) -> Layers:
    return load_layers(overlays, parse_entries(options.config))


def _sum(verdict: Verdict) -> str:
    if verdict.differences:
        return f"{len(verdict.differences)} differences from provenance.json, {verdict.compared} entries compared"
    return f"all {verdict.compared} entries agree with provenance.json"


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands; `run` of what it parses is the function of the command."""
    whole = _Whole(prog="mmpkd", description="Privileged knowledge distillation: see README.md.")
    whole.add_argument("--version", action="version", version=f"mmpkd {_version()}")
    commands = whole.add_subparsers(required=True, metavar="command", parser_class=_Mixed)
    _add_check(commands)
    _add_verify(commands)
    _add_recover(commands)
    _add_convert(commands)
    _add_fabricate(commands)
    _add_redraw(commands)
    _add_compare(commands)
    _add_explain(commands)
    _add_init(commands)
    return whole


class _Whole(argparse.ArgumentParser):
    """The program, which names a command that is like the one that was typed."""

    def error(self, message: str) -> NoReturn:
        if typed := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            advice = did_you_mean(typed[1], re.findall(r"\w+", typed[2]))
            message = f"there is no command {typed[1]}{advice}"
        super().error(message)


class _Mixed(argparse.ArgumentParser):
    """Arguments of a command, whose files may stand on both sides of its options."""

    mixing = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        if self.mixing:  # this is the call that parse_known_intermixed_args makes itself
            return super().parse_known_args(args, namespace)
        self.mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixing = False


def _version() -> str:
    try:
        return version("mmpkd")
    except PackageNotFoundError:
        return "of this folder, not installed"


def _add_check(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "check",
        help="what a study finds, what it lacks, and whether it can run",
        description="Looks at data, weights, disk and machine before anything is computed. Run it where you run "
        "Snakemake, with the same overlays. Exit code: 0 if the study can run, 1 if it cannot, 2 for a mistake in the "
        "command or the configuration.",
    )
    command.set_defaults(run=_check)
    _add_study(command)
    command.add_argument("--all", action="store_true", help="read the header of every image, not of a sample")
    command.add_argument("--real-data", action="store_true", help="do nothing for a study of phantoms alone")
    command.add_argument("--json", action="store_true", help="print the facts for machines")


def _add_verify(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "verify",
        help="whether results still are what their provenance.json says",
        description="Hashes the files of a finished run once more and prints one line per difference: missing, "
        "changed, or not in the record (among tables and figures). Exit code: 0 if all agree, 1 if something differs, "
        "2 for a mistake in the command, or a provenance.json that is absent or broken.",
    )
    command.set_defaults(run=_verify)
    command.add_argument("results", type=Path, help="results/<study>")
    command.add_argument(
        "--inputs",
        nargs="*",
        type=Path,
        metavar="OVERLAY",
        help="compare the data sets too: their folders are those of config.yaml and these overlays; images are "
        "compared by path and size, tables by content",
    )
    _add_config(command)


def _add_recover(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "recover",
        help="make the folder ready to go on after a run that was killed or broke",
        description="Stops jobs whose Snakemake was killed, removes its lock and unfinished files, and sets files "
        "aside that are not as their jobs wrote them, so that Snakemake makes them again. Run it where you run "
        "Snakemake, with the same overlays; `make all` does so by itself. Exit code: 0 if a run can go on, 1 if one is "
        "at work, 2 for a mistake in the command or the configuration.",
    )
    command.set_defaults(run=_recover)
    _add_study(command)


def _add_convert(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "convert",
        help="make a text encoder usable whose weights are published as a pickle",
        description="Reads a downloaded encoder (config.json, the tokenizer's files, pytorch_model.bin) without "
        "running code, writes it with model.safetensors into a new folder, and loads it as a teacher will. Exit code: "
        "0, or 1 if the download is not whole.",
    )
    command.set_defaults(run=_convert)
    command.add_argument("download", type=Path, help="folder of the download")
    command.add_argument("folder", type=Path, help="new folder, for encoder.name of the configuration")


def _add_fabricate(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "fabricate",
        help="write small fabricated downloads where a study expects its data, to rehearse it",
        description="Writes phantom trees in the layouts of the real downloads, first weights with random values and a "
        "small text encoder to the places that the configuration names, all of which must lie below FOLDER and not be "
        "there yet. See studies/rehearsal.yaml.",
    )
    command.set_defaults(run=_fabricate)
    command.add_argument("folder", type=Path, help="everything is written below this folder")
    _add_study(command)
    command.add_argument("--large", type=int, default=2, help="patients per data set with images of real dimensions")
    command.add_argument("--seed", type=int, default=1, help="of everything that is drawn")


def _add_redraw(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "redraw",
        help="make tables and figures from the scores of a run, without its data",
        description="Makes every table and figure that reads nothing but the long table, from that table and the "
        "configuration of the run. Needs no images, torch or GPU. The table holds identifiers of patients. Exit code: "
        "0, or 2 for a mistake in the command or the configuration.",
    )
    command.set_defaults(run=_redraw)
    command.add_argument("scores", type=Path, help="results/<study>/evaluation/scores.parquet")
    _add_study(command)
    command.add_argument("--out", type=Path, required=True, help="folder for tables/ and figures/")


def _add_compare(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "compare",
        help="whether a run says what a reference said: verdicts, contrasts, scores",
        description="Compares the claims and the primary score of every arm with those of a reference. Reproduced: "
        "the same to three decimals. Within the scatter of seeds: the same verdict and intervals that overlap, or "
        "scores whose means a t test does not tell apart (5 % for all scores together). Different: all else. The "
        "project ships the reference of the demo. Exit code: 0, 1 if something is different, 2 for a mistake in the "
        "command, or a run or reference that is absent or broken.",
    )
    command.set_defaults(run=_compare)
    command.add_argument("results", type=Path, help="results/<study>")
    command.add_argument("--reference", type=Path, help="file of another run's reference")
    command.add_argument("--write", type=Path, metavar="FILE", help="write this run's reference, and compare nothing")


def _add_explain(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "explain",
        help="apply a trained student to images: probabilities, and where it looks",
        description="Writes a table of probabilities and for each image an overlay (PNG) and the map in the image's "
        "pixels (npy). Needs the student's file and the images, nothing else of the study. Not for diagnosis. Exit "
        "code: 0, 1 if an image cannot be read or not be written as DICOM, 2 for a mistake in the command or a file "
        "that is no student.",
    )
    command.set_defaults(run=_explain)
    command.add_argument("model", type=Path, help="results/<study>/students/<domain>/<arm>/seed<k>/model.safetensors")
    command.add_argument("images", type=Path, nargs="+", help="DICOM, PNG, JPEG or TIFF")
    command.add_argument("--out", type=Path, required=True, help="folder for the table, overlays and maps")
    command.add_argument("--method", default="rollout", help="of the maps (rollout)")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--batch-size", type=int, default=16, help="images per forward pass (16)")
    command.add_argument(
        "--dicom", action="store_true", help="write overlay and map of DICOM images as DICOM too; needs mmpkd[dicom]"
    )


def _add_init(commands: "argparse._SubParsersAction[_Mixed]") -> None:
    command = commands.add_parser(
        "init",
        help="begin a study of your own images: tables to fill in, and a study file",
        description="Writes images.csv with the images that are found, rois.csv and study.yaml to FOLDER, and "
        "overwrites nothing. See docs/tutorial.md.",
    )
    command.set_defaults(run=_init)
    command.add_argument("folder", type=Path, help="folder of the images")
    command.add_argument("--images", required=True, metavar="GLOB", help="in quotes, from FOLDER on: 'pictures/*.png'")
    command.add_argument(
        "--labels", nargs="+", default=["finding"], help="what the study predicts: columns of images.csv"
    )


def _add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument("overlays", nargs="*", type=Path, help="studies/*.yaml, as for snakemake --configfile")
    _add_config(command)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake --config")


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


def _colours(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
