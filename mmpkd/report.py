"""`report.html`: every table and figure in one file that opens offline, the claims in words; and `provenance.json`."""

import base64
import hashlib
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmpkd.plotting.claims import p_text
from mmpkd.plotting.style import METHOD_NAMES, METRIC_NAMES, arm_name, count

TEMPLATE = Path(__file__).parent / "report_template.html"
REPOSITORY = Path(__file__).parent.parent
PACKAGES = (
    "matplotlib",
    "numpy",
    "pandas",
    "pydicom",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "snakemake",
    "timm",
    "torch",
    "transformers",
)
TITLES = {
    "attention_examples": "Examples of attention maps",
    "cross_domain": "Across cohorts and domains",
    "localization": "Localisation",
    "method": "The method",
    "runtime": "Run time",
    "strata": "Localisation by ROI size, prediction and label",
}
MEANINGS = {
    "supported": "The data of this run speak for the claim.",
    "contradicted": "The data of this run speak against the claim.",
    "inconclusive": "This run cannot tell. That is not evidence against the claim.",
}


@dataclass(frozen=True)
class TableItem:
    """A table as the template shows it."""

    name: str
    title: str
    caption: str
    file: str
    columns: list[str]
    right: list[bool]  # numbers, aligned to the right
    rows: list[list[str]]


@dataclass(frozen=True)
class FigureItem:
    """A figure as the template shows it."""

    name: str
    title: str
    caption: str
    summary: str  # first sentence of the caption: what stands for the picture
    file: str
    data: str  # the PNG, base64


@dataclass(frozen=True)
class ClaimItem:
    """A claim and what became of it, in words."""

    title: str
    verdict: str
    meaning: str
    evidence: list[str]


def build(
    study: Mapping[str, Any],
    tables: Mapping[str, tuple[Path, Path, Path]],
    figures: Mapping[str, tuple[Path, Path]],
    origin: Mapping[str, Any],
) -> str:
    """The report as HTML that needs no other file and no network.

    Args:
        study: the configuration as plain values.
        tables: paths of CSV, Markdown and caption by name, in order; the claims in words come from `claims`.
        figures: paths of PNG and caption by name, in order.
        origin: what `provenance` returned.

    Raises:
        FileNotFoundError: a table, figure or caption is missing.
        ValueError: a Markdown file holds no table, or a PNG file is none.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE.name).render(
        study=study["study"],
        size=_size_words(study),
        phantoms=phantoms(study),
        real=[name for name in _used(study) if name not in phantoms(study)],
        claims=read_claims(tables["claims"][0], study["evaluation"]) if "claims" in tables else [],
        figures=[read_figure(name, Path(png), Path(caption)) for name, (png, caption) in figures.items()],
        tables=[read_table(name, *map(Path, paths)) for name, paths in tables.items()],
        configuration=yaml.safe_dump(origin["configuration"], sort_keys=False, allow_unicode=True),
        provenance=json.dumps({key: value for key, value in origin.items() if key != "configuration"}, indent=2),
    )


def provenance(study: Mapping[str, Any], scores: str | Path, repository: Path = REPOSITORY) -> dict[str, Any]:
    """What a run came from: code, machine, packages, configuration, and the hash of the scores.

    Nothing in it names a user or a host, and of a path outside the repository only the last part is kept. There is no
    date, so that the same run gives the same file.

    Args:
        study: the configuration as plain values.
        scores: `evaluation/scores.parquet`, of which all tables and figures of results are made.
        repository: where the commit is asked for.
    """
    return {
        "study": study["study"],
        "seeds": list(study["seeds"]),
        "git": git_state(repository),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()},
        "scores_sha256": _sha256(Path(scores)),
        "configuration": _without_folders(study),
    }


def git_state(repository: Path) -> dict[str, Any] | None:
    """Commit, and whether tracked files differ from it; None where there is no git or no checkout of this project."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != repository.resolve():
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def phantoms(study: Mapping[str, Any]) -> list[str]:
    """The cohorts in use that are fabricated."""
    return [name for name in _used(study) if study["cohorts"][name]["phantom"] is not None]


def read_claims(csv: str | Path, evaluation: Mapping[str, Any]) -> list[ClaimItem]:
    """The claims of `tables/claims.csv`, put into words."""
    items = []
    for claim in pd.read_csv(csv).to_dict("records"):
        evidence = [*_estimate_words(claim, evaluation), *_credit_words(claim), *_control_words(claim)]
        items.append(ClaimItem(claim["title"], claim["verdict"], MEANINGS[claim["verdict"]], evidence))
    return items


def read_table(name: str, csv: Path, markdown: Path, caption: Path) -> TableItem:
    """The rounded table of a Markdown file; `csv`, which holds all columns and digits, is named beside it."""
    lines = [line for line in markdown.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    if len(lines) < 2:
        raise ValueError(f"{markdown.name} holds no table; make tables/{name} again")
    header, rule, *rows = (_cells(line) for line in lines)
    return TableItem(
        name=name,
        title=_title(name),
        caption=caption.read_text(encoding="utf-8").strip(),
        file=f"tables/{csv.name}",
        columns=header,
        right=[cell.endswith(":") for cell in rule],
        rows=rows,
    )


def read_figure(name: str, png: Path, caption: Path) -> FigureItem:
    """The picture, inline, and its caption."""
    content = png.read_bytes()
    if not content.startswith(b"\x89PNG"):
        raise ValueError(f"{png.name} is no PNG file; make figures/{name} again")
    text = caption.read_text(encoding="utf-8").strip()
    return FigureItem(
        name=name,
        title=_title(name),
        caption=text,
        summary=re.split(r"(?<=\.)\s", text, maxsplit=1)[0],
        file=f"figures/{name}.pdf",
        data=base64.b64encode(content).decode("ascii"),
    )


def _used(study: Mapping[str, Any]) -> list[str]:
    return [name for domain in study["domains"].values() for name in (domain["training"], *domain["cohorts"])]


def _size_words(study: Mapping[str, Any]) -> str:
    domains, arms, seeds = study["domains"], study["arms"], study["seeds"]
    pairs = sum(len(arm.get("domains") or domains) for arm in arms.values())  # null: an arm of every domain
    students = count(pairs * len(seeds), "student")
    factors = (
        f"{count(len(domains), 'training domain')} ({', '.join(domains)})",
        f"{count(len(arms), 'arm')} ({', '.join(map(arm_name, arms))})",
        count(len(seeds), "seed"),
    )
    return f"{' x '.join(factors)}: {students}, tested on {count(len(_used(study)), 'cohort')}"


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table; an escaped bar belongs to its cell."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _estimate_words(claim: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    if not _known(claim["estimate"]):
        return [f"It could not be tested: {claim['reason']}."]
    metric, method = METRIC_NAMES[evaluation["metric"]], METHOD_NAMES[evaluation["methods"][0]]
    contrast = "Difference of gains" if isinstance(claim["minus"], str) and claim["minus"] else "Gain"
    sentence = f"{contrast} of {arm_name(claim['arm'])} over {arm_name(claim['reference'])} in {metric} ({method}): "
    sentence += f"{_signed(claim['estimate'])}"
    if not _known(claim["low"]):
        return [f"{sentence}, without an interval: {claim['reason']}."]
    level = f"{100 * evaluation['confidence']:g} %"
    sentence += f", {level} interval {_signed(claim['low'])} to {_signed(claim['high'])}"
    sentence += f", Holm-adjusted p {_p_words(claim['p_holm'])}"
    if claim["expect"] == "no_gain":
        sentence += (
            f" for the margin of {claim['margin']:g}: a claim of no gain is supported if the gain stays below it"
        )
    power = f"A run of this size finds a contrast of {claim['minimum_detectable']:.3f} with 80 % power."
    return [sentence + ".", power]


def _credit_words(claim: Mapping[str, Any]) -> list[str]:
    """Whether the privileged content did it, or soft targets of any kind."""
    if claim["verdict"] != "supported" or claim["expect"] != "gain":
        return []
    if not _known(claim["shuffled_gain"]):
        return ["There is no shuffled teacher to compare with, so the gain is not credited to the privileged content."]
    against = (
        f"Against the shuffled teacher: {_signed(claim['shuffled_gain'])} ({_signed(claim['shuffled_gain_low'])} to "
        f"{_signed(claim['shuffled_gain_high'])}). "
    )
    if claim["credited"]:
        return [against + "The gain is credited to the privileged content."]
    return [against + "Soft targets alone may explain the gain: it is not credited to the privileged content."]


def _control_words(claim: Mapping[str, Any]) -> list[str]:
    """Controls that the arm does not clearly beat: a gain of attention that is worse than no model is worth little."""
    names = {"over_centre": "a centred Gaussian", "over_untrained": "an untrained student"}
    unbeaten = [name for key, name in names.items() if _known(claim.get(key)) and not claim[f"{key}_low"] > 0]
    if not unbeaten:
        return []
    return [f"Note: the maps of {arm_name(claim['arm'])} are not shown to be better than {' or '.join(unbeaten)}."]


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and not math.isnan(value)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _p_words(p: float) -> str:
    text = p_text(p)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _without_folders(value: Any) -> Any:
    """Absolute paths end up as their last part: where data lie on a machine is nobody's business."""
    if isinstance(value, Mapping):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_folders(entry) for entry in value]
    if isinstance(value, Path) or (isinstance(value, str) and value.startswith(("/", "~"))):
        path = Path(value).expanduser()
        if not path.is_absolute():
            return str(path)
        return "..." if path == Path.home() or path.name == Path.home().name else f".../{path.name}"
    return value
