"""How far two runs of a study are apart, as numbers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from mmpkd.files import read_npz
from tests.faults.study import Study

COLUMNS = ["files", "compared", "differ", "numbers", "largest difference", "of values up to", "other words"]
Values = dict[str, np.ndarray]


def compared(one: Study, other: Study) -> pd.DataFrame:
    """One row a kind of file: how many there are, how many differ, and the largest absolute difference of a number.

    `other words`: entries that are no numbers and are not the same, such as a verdict.
    """
    return pd.DataFrame(
        [_row(kind, pattern, read, one, other) for kind, (pattern, read) in KINDS.items()], columns=COLUMNS
    )


def _row(kind: str, pattern: str, read: Callable[[Path], Values], one: Study, other: Study) -> dict:
    names = [path.relative_to(one.results) for path in sorted(one.results.glob(pattern)) if "runtime" not in path.name]
    pairs = [(one.results / name, other.results / name) for name in names]
    apart, largest, words, numbers = 0.0, 0.0, 0, 0
    for here, there in pairs:
        for left, right in _aligned(read(here), read(there)):
            if left.dtype.kind in "fiub":
                numbers += left.size
                apart = max(apart, _largest(left.astype(float) - right.astype(float)))
                largest = max(largest, _largest(left.astype(float)))
            else:
                words += int((left != right).sum())
    return {
        "files": kind,
        "compared": len(pairs),
        "differ": sum(here.read_bytes() != there.read_bytes() for here, there in pairs),
        "numbers": numbers,
        "largest difference": f"{apart:.1e}",
        "of values up to": f"{largest:.3g}",
        "other words": words,
    }


def _aligned(one: Values, other: Values) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Raises ValueError where two files have not the same arrays of the same shapes."""
    if {name: array.shape for name, array in one.items()} != {name: array.shape for name, array in other.items()}:
        raise ValueError("files of other form")
    for name, array in one.items():
        yield array, other[name]


def _largest(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def _of_table(table: pd.DataFrame) -> Values:
    words = {name: column.fillna("").astype(str) for name, column in table.items() if column.dtype.kind not in "fiub"}
    return {str(name): words.get(name, column).to_numpy() for name, column in table.items()}


def _csv(path: Path) -> Values:
    return _of_table(pd.read_csv(path))


def _parquet(path: Path) -> Values:
    return _of_table(pd.read_parquet(path))


def _npy(path: Path) -> Values:
    return {"values": np.load(path, allow_pickle=False)}


KINDS: dict[str, tuple[str, Callable[[Path], Values]]] = {
    "image store": ("images/*/shard*/*.npy", _npy),
    "cohort tables": ("cohorts/*/*.parquet", _parquet),
    "teacher targets": ("teachers/*/*/targets.npz", read_npz),
    "student weights": ("students/**/model.safetensors", load_file),
    "training histories": ("students/**/history.csv", _csv),
    "attention maps and logits": ("attention/**/*.npz", read_npz),
    "scores": ("evaluation/scores.parquet", _parquet),
    "tables": ("tables/*.csv", _csv),
}
