"""How often 95 % intervals hold the truth, with few seeds crossed with many patients.

Run from the repository's root: python -m benchmarks.coverage [repetitions]

Draws gains from a two-way random-effects model (seed, patient, and residual of seed and image; one to three images a
patient) with a known mean, and counts the intervals that hold it: the crossed interval that the study reports, and the
percentile bootstrap over patients and seeds that stands beside it. `interaction` is the contrast of the study's claim
of that name: four cells of two domains and two cohorts. `permutation` is the share of repetitions in which flips of
patients do not reject the truth at the same level: they are not made for new seeds, and this shows by how much.
"""

import sys

import numpy as np

from mmpkd.evaluation.bootstrap import bootstrap
from mmpkd.evaluation.matrices import ScoreMatrix
from mmpkd.evaluation.permutation import permutation_patients
from mmpkd.evaluation.statistics import crossed_estimate

PATIENTS = 200
RESIDUAL_SD = 0.08
SCENARIOS = {  # standard deviations of the gain among seeds and among patients
    "no spread among seeds": (0.0, 0.04),
    "small": (0.003, 0.04),
    "as large as the patients' part": (0.006, 0.04),
    "large": (0.02, 0.04),
    "very large": (0.05, 0.04),
}
# domain, cohort, weight, and which of the two effects of its students and patients: both differ between own and other
CELLS = (("A", "a", 0.5, 0), ("B", "b", 0.5, 0), ("A", "b", -0.5, 1), ("B", "a", -0.5, 1))
TRUTH = 0.02
CONFIDENCE = 0.95
RESAMPLES = 400
SPARING = 4  # bootstrap and permutation, which take most of the time, are made in one of so many repetitions


def draw(domain: str, cohort: str, seed_effects: np.ndarray, patient_effects: np.ndarray, images, rng) -> ScoreMatrix:
    """The gains of one cell: S x N, with `images` the patient of each image."""
    residual = rng.normal(0, RESIDUAL_SD, (len(seed_effects), len(images)))
    values = TRUTH + seed_effects[:, None] + patient_effects[images] + residual
    names = np.array([f"p{patient}" for patient in range(len(patient_effects))], dtype=object)
    index = np.arange(len(images))
    return ScoreMatrix(values, np.arange(len(seed_effects)), index, names[images], domain, cohort)


def coverage(seeds: int, seed_sd: float, patient_sd: float, repetitions: int, rng: np.random.Generator) -> dict:
    """Shares of intervals and tests that hold the truth, and the median half-width of the crossed interval."""
    held = dict.fromkeys(("crossed", "interaction", "bootstrap", "permutation"), 0)
    widths, checked = [], max(repetitions // SPARING, 1)
    images = np.repeat(np.arange(PATIENTS), rng.integers(1, 4, PATIENTS))
    for repetition in range(repetitions):
        students = {domain: rng.normal(0, seed_sd, (2, seeds)) for domain in "AB"}
        patients = {cohort: rng.normal(0, patient_sd, (2, PATIENTS)) for cohort in "ab"}
        cells = [
            (weight, draw(domain, cohort, students[domain][own], patients[cohort][own], images, rng))
            for domain, cohort, weight, own in CELLS
        ]
        matrix = cells[0][1]
        single = crossed_estimate([(1.0, matrix)], CONFIDENCE)
        interaction = crossed_estimate(cells, CONFIDENCE)
        held["crossed"] += single.low <= TRUTH <= single.high
        held["interaction"] += interaction.low <= 0 <= interaction.high
        if repetition < checked:
            low, high = bootstrap([(1.0, matrix)], CONFIDENCE, RESAMPLES, rng)
            held["bootstrap"] += low <= TRUTH <= high
            held["permutation"] += permutation_patients([(1.0, matrix)], TRUTH, RESAMPLES, rng) > 1 - CONFIDENCE
        widths.append((single.high - single.low) / 2)
    made = {"crossed": repetitions, "interaction": repetitions, "bootstrap": checked, "permutation": checked}
    return {name: held[name] / made[name] for name in made} | {"half_width": float(np.median(widths))}


def main(repetitions: int = 300) -> None:
    """Prints the table."""
    rng = np.random.default_rng(0)
    error = (CONFIDENCE * (1 - CONFIDENCE) / repetitions) ** 0.5
    print(f"{repetitions} repetitions, {PATIENTS} patients; a coverage of 0.95 is measured to +-{2 * error:.3f},")
    print(f"that of bootstrap and permutation, made in 1 of {SPARING} of them, to +-{2 * SPARING**0.5 * error:.3f}\n")
    print("| seeds | spread among seeds | crossed | interaction | bootstrap | permutation | half-width |")
    print("|---|---|---|---|---|---|---|")
    for seeds in (3, 4, 5):
        for name, (seed_sd, patient_sd) in SCENARIOS.items():
            row = coverage(seeds, seed_sd, patient_sd, repetitions, rng)
            shares = " | ".join(f"{row[key]:.3f}" for key in ("crossed", "interaction", "bootstrap", "permutation"))
            print(f"| {seeds} | {name} | {shares} | {row['half_width']:.4f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
