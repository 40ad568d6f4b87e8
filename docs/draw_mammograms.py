"""Draws the pictures of phantom mammograms in docs/phantom.md: `python docs/draw_mammograms.py` writes docs/figures."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mmpkd.phantom.lesions import Lesion, draw_lesion
from mmpkd.phantom.mammogram import (
    FILM,
    Appearance,
    Mammogram,
    draw_breast,
    draw_density,
    draw_mammogram,
)

FOLDER = Path(__file__).parent / "figures"
GAMMA = 0.7  # brightened for print
COLUMNS = 8
WORDS = (
    ("mass", "OVAL"),
    ("mass", "LOBULATED"),
    ("mass", "ROUND"),
    ("mass", "IRREGULAR"),
    ("mass", "ARCHITECTURAL_DISTORTION"),
    ("mass", "LYMPH_NODE"),
    ("mass", "FOCAL_ASYMMETRIC_DENSITY"),
    ("mass", "ASYMMETRIC_BREAST_TISSUE"),
    ("calcification", "PUNCTATE"),
    ("calcification", "AMORPHOUS"),
    ("calcification", "PLEOMORPHIC"),
    ("calcification", "FINE_LINEAR_BRANCHING"),
    ("calcification", "COARSE"),
    ("calcification", "ROUND_AND_REGULAR"),
    ("calcification", "LUCENT_CENTER"),
    ("calcification", "VASCULAR"),
)
Panel = tuple[np.ndarray, Sequence[np.ndarray], str]  # pixels, masks, title


def main() -> None:
    """Writes the two pictures."""
    save(two_views(FILM, patients=COLUMNS, seed=3), "phantom_mammogram_views", by_column=True)
    save([cut_out(kind, form, seed) for seed, (kind, form) in enumerate(WORDS)], "phantom_mammogram_words")


def two_views(appearance: Appearance, patients: int, seed: int) -> list[Panel]:
    """CC and MLO of each patient's breast with one lesion, masses and calcifications by turns."""
    panels = []
    for patient in range(patients):
        rng = np.random.default_rng([seed, patient])
        density = draw_density(rng)
        lesion = draw_lesion(rng, "calcification" if patient % 2 else "mass", density, label_noise=0.15)
        breast = draw_breast(rng, [lesion], density)
        side = "LR"[patient % 3 == 0]
        for view in ("CC", "MLO"):
            image = draw_mammogram(rng, breast, side, view, appearance)
            panels.append((image.pixels, image.masks, title(lesion) if view == "CC" else ""))
    return panels


def cut_out(kind: str, form: str, seed: int) -> Panel:
    """The surroundings of one lesion of the given shape or type."""
    rng = np.random.default_rng([5, seed])
    lesion = draw_lesion(rng, kind, 2, label_noise=0, form=form)
    image: Mammogram = draw_mammogram(rng, draw_breast(rng, [lesion], 2), "L", "CC", FILM)
    ys, xs = np.nonzero(image.masks[0])
    half = 36
    top = int(np.clip(ys.mean() - half, 0, image.pixels.shape[0] - 2 * half))
    left = int(np.clip(xs.mean() - half, 0, image.pixels.shape[1] - 2 * half))
    window = slice(top, top + 2 * half), slice(left, left + 2 * half)
    return image.pixels[window], [image.masks[0][window]], title(lesion)


def title(lesion: Lesion) -> str:
    """A lesion's descriptors, in words that fit above a picture."""
    return "\n".join(word.replace("_", " ").lower() for word in (lesion.form, "-".join(lesion.pattern)))


def save(panels: list[Panel], name: str, by_column: bool = False) -> None:
    """Two rows of panels with the outlines of their masks; `by_column` puts neighbours below each other."""
    figure, axes = plt.subplots(2, COLUMNS, figsize=(10, 4), layout="constrained")
    for place, (pixels, masks, words) in zip(axes.T.ravel() if by_column else axes.ravel(), panels, strict=True):
        place.imshow(pixels**GAMMA, cmap="gray", vmin=0, vmax=1)
        for mask in masks:
            place.contour(mask, levels=[0.5], colors="#E69F00", linewidths=0.9)
        place.set_title(words, fontsize=6)
        place.set_axis_off()
    figure.savefig(FOLDER / f"{name}.png", dpi=85)
    plt.close(figure)


if __name__ == "__main__":
    main()
