"""A problem that a tiny student learns in seconds."""

import numpy as np
import torch

from mmpkd.config.students import StudentConfig
from mmpkd.students.data import ArrayStore, LabelledImages

SMALL = StudentConfig(arguments={"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}, std=0.25)
CPU = torch.device("cpu")


def squares(count: int, seed: int) -> LabelledImages:
    """Noise, with a bright square somewhere in one half of the images: the label."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 32, 32)).astype(np.uint8)
    present = rng.random(count) < 0.5
    for number in np.flatnonzero(present):
        row, column = rng.integers(0, 24, 2)
        images[number, row : row + 8, column : column + 8] = 220
    labels = present[:, None].astype(np.float32)
    names = np.array([f"image{k}" for k in range(count)])
    return LabelledImages(ArrayStore(images), np.arange(count), labels, image_ids=names, patients=names, keys=names)
