"""What a study takes: hours and memory by stage and disk by kind, from measured rates and the numbers of its images.

Run from the repository's root, with the overlays of the study:

    mmpkd check studies/paper.yaml --json > counts.json       # or benchmarks/paper_counts.json: what is published
    python -m benchmarks.scale --rates rates.json             # or benchmarks/scale_rates.json: docs/records/scale.md
    python -m benchmarks.forecast studies/paper.yaml --counts counts.json --rates rates.json --per-second train=900

Hours are of one processor core or one GPU, one job after the other; jobs that run at a time divide them. Rates that
depend on your disk and GPU are given as `--per-second stage=units`; a stage without a rate shows its number of units.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpkd.check.cohorts import ROW_BYTES
from mmpkd.check.facts import CohortFacts
from mmpkd.check.machine import look_at_disk
from mmpkd.check.study import student_of
from mmpkd.config.layers import load_study
from mmpkd.config.study import Study

GIVEN = ("preprocess", "teacher", "train", "attention")  # stages whose rates depend on disk and GPU
Counts = Mapping[str, Mapping[str, Mapping[str, int]]]  # cohort -> images, rois, records -> split


@dataclass(frozen=True)
class Row:
    """A stage. hours: None without a rate. peak_mb: of its largest job, None if that was not measured."""

    stage: str
    units: int
    unit: str
    hours: float | None
    peak_mb: float | None = None


def forecast(study: Study, counts: Counts, rates: Mapping[str, Any], per_second: Mapping[str, float]) -> list[Row]:
    """The stages in their order.

    Args:
        study: the configuration.
        counts: of each cohort in use, as in `mmpkd check --json`.
        rates: what `python -m benchmarks.scale --rates` wrote.
        per_second: units per second of the stages in `GIVEN`, as far as they are known.

    Raises:
        KeyError: a cohort in use has no counts.
    """
    images = {name: counts[name]["images"] for name in study.domain_of}
    pictured = [name for name in images if study.cohorts[name].images]
    exports = len(study.students) + len(study.seeds) + 1  # the untrained students and the pretrained one
    tested = sum(images[name]["test"] for name in pictured)
    with_roi = sum(min(images[name]["test"], counts[name]["rois"]["test"]) for name in pictured)
    maps = with_roi * exports * len(study.evaluation.methods)
    # Each ROI is scored as such and in its image's union; a logit and a target a label, and the rate of artefacts.
    labels = max(len(domain.labels) for domain in study.domains.values())
    long = 2 * maps * len(study.evaluation.scored) + tested * exports * (2 * labels + 1)
    scaled = [long / rates["claims_rows_an_image"]]
    given = {
        "preprocess": (sum(images[name]["all"] for name in pictured), "images"),
        "teacher": (_fitted_records(study, counts), "records, teachers and networks"),
        "train": (_images_trained_on(study, images), "images, epochs and students"),
        "attention": (tested * exports, "images and students"),
    }
    rows = [Row(stage, *units, _hours(units[0], per_second.get(stage))) for stage, units in given.items()]
    every, stages = [split["all"] for split in images.values()], rates["stages"]
    # The fabricated masks are small: those of the store, and the union of each ROI's image and label, come on top.
    masks = (sum(counts[name]["rois"]["all"] for name in pictured) + 2 * with_roi) * study.imaging.size**2 / 1e6
    return [
        Row("cohort", sum(every), "images", _extended(stages["catalogue"], every), _peak(stages["catalogue"], every)),
        Row("check", sum(every), "images", _extended(stages["check"], every), _peak(stages["check"], every)),
        *rows,
        Row("evaluate", maps, "maps", maps * rates["seconds_a_map"] / 3600, _peak(stages["scores"], [tested]) + masks),
        Row("claims", long, "rows at most", _extended(stages["claims"], scaled), _peak(stages["claims"], scaled)),
    ]


def disk(study: Study, counts: Counts) -> dict[str, int]:
    """Bytes below `results/` by kind, as `mmpkd check` estimates them."""
    cohorts = {}
    for name, domain in study.domain_of.items():
        cohort, found = study.cohorts[name], counts[name]
        stored = (found["images"]["all"] + found["rois"]["all"]) * (study.imaging.size**2 + ROW_BYTES)
        cohorts[name] = CohortFacts(
            domain=domain,
            training=name == study.domains[domain].training,
            adapter=cohort.adapter,
            root=None,
            restricted=cohort.restricted,
            licence_restricts=False,
            images_wanted=cohort.images,
            counts=dict(found),
            store_bytes=stored if cohort.images else 0,
        )
    return look_at_disk(study, cohorts, student_of(study), Path("results")).needed


def _images_trained_on(study: Study, images: Mapping[str, Mapping[str, int]]) -> int:
    """Steps times batch size of all students: an image counts once an epoch and student."""
    return sum(
        images[study.domains[domain].training]["train"] * study.training_of(domain, arm).epochs
        for domain, arm, _ in study.students
    )


def _fitted_records(study: Study, counts: Counts) -> int:
    """Records of a teacher's training cohort times its networks: one per fold and the last, of each variant."""
    return sum(
        counts[study.domains[domain].training]["records"]["train"] * (teacher.folds + 1)
        for (domain, _), teacher in study.teachers.items()
    )


def _hours(units: float, per_second: float | None) -> float | None:
    return None if per_second is None else units / per_second / 3600


def _extended(stage: Mapping[str, Any], counts: Iterable[float]) -> float:
    """Hours for so many images: between the measured sizes on a line, above them at the rate of the largest."""
    sizes, seconds = stage["images"], stage["seconds"]
    beyond = [max(count / sizes[-1], 1) for count in counts]
    return sum(np.interp(count, sizes, seconds) * more for count, more in zip(counts, beyond, strict=True)) / 3600


def _peak(stage: Mapping[str, Any], counts: Iterable[float]) -> float:
    """MB of the job with the most images: on the line through the smallest and the largest size that was measured."""
    sizes, peaks = stage["images"], stage["peak_mb"]
    slope = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
    return peaks[0] + slope * (max(counts) - sizes[0])


def show(rows: Iterable[Row], needed: Mapping[str, int]) -> None:
    """Prints both tables."""
    print("| stage | units | hours | peak memory, GB |\n|---|---|---|---|")
    for row in rows:
        hours = "no rate" if row.hours is None else f"{row.hours:.2g}"
        peak = "" if row.peak_mb is None else f"{row.peak_mb / 1000:.1f}"
        print(f"| {row.stage} | {row.units:,} {row.unit} | {hours} | {peak} |")
    print("\n| disk | GB |\n|---|---|")
    for name, size in needed.items():
        print(f"| {name} | {size / 1e9:.1f} |")


def main() -> None:
    """Prints what the study takes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("overlays", nargs="+", type=Path, help="studies/*.yaml, as for snakemake --configfile")
    parser.add_argument("--counts", type=Path, required=True, help="what `mmpkd check --json` printed")
    parser.add_argument("--rates", type=Path, required=True, help="what `python -m benchmarks.scale --rates` wrote")
    parser.add_argument("--per-second", nargs="+", default=[], metavar="STAGE=UNITS", help=f"of {', '.join(GIVEN)}")
    arguments = parser.parse_args()
    study = load_study(arguments.overlays)
    cohorts = json.loads(arguments.counts.read_text(encoding="utf-8"))["cohorts"]
    counts = {name: cohort["counts"] for name, cohort in cohorts.items()}
    per_second = {stage: float(units) for stage, units in (entry.split("=") for entry in arguments.per_second)}
    if unknown := sorted(set(per_second) - set(GIVEN)):
        parser.error(f"--per-second: no stage {', '.join(unknown)}; known are {', '.join(GIVEN)}")
    rates = json.loads(arguments.rates.read_text(encoding="utf-8"))
    show(forecast(study, counts, rates, per_second), disk(study, counts))


if __name__ == "__main__":
    main()
