"""Writes the fabricated tree of a data set: `<adapter>_tree.py` with `write(phantom, folder) -> truth`."""

from importlib import import_module
from pathlib import Path

import pandas as pd

from mmpkd.config.cohorts import Phantom

TRUTH_COLUMNS = ["image_id", "patient_id", "label", "present", "severity", "x0", "y0", "x1", "y1"]


def write_tree(adapter: str, phantom: Phantom, folder: str | Path) -> pd.DataFrame:
    """Writes to `folder` a tree in the layout that `adapter` reads; returns what was drawn, which no adapter sees.

    The truth has one row an image and label: present (bool), severity (0 to 1, 0 when absent) and the lesion's box in
    pixels of the original image (NaN when absent). Raises ValueError for an adapter without a phantom.
    """
    known = sorted(path.stem.removesuffix("_tree") for path in Path(__file__).parent.glob("*_tree.py"))
    if adapter not in known:
        raise ValueError(f"adapter {adapter!r} has no phantom; set root to a folder, or use one of {', '.join(known)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth = import_module(f"mmpkd.phantom.{adapter}_tree").write(phantom, folder)
    missing = [column for column in TRUTH_COLUMNS if column not in truth.columns]
    if missing:
        raise ValueError(f"phantom of {adapter}: the truth lacks the column(s) {', '.join(missing)}")
    return truth
