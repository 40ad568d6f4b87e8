"""The first tables and the study file for a folder of images, which their owner fills in."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from mmpkd.cohorts.listing import is_data
from mmpkd.config.study import ConfigError
from mmpkd.files import write_csv, write_text

TEMPLATE = Path(__file__).with_name("own.yaml")
TO_FILL_IN = ("patient", "study", "split", "view", "laterality")
REGIONS = ("image", "label", "x0", "y0", "x1", "y1")


def write_skeleton(folder: Path, pattern: str, labels: list[str]) -> Iterator[str]:
    """Writes images.csv, rois.csv and study.yaml to `folder`; yields a line for each.

    Args:
        folder: with images; results and the root in study.yaml are named after it.
        pattern: of the images' files, from the folder on, such as `pictures/*.png`.
        labels: columns of images.csv, and what the study predicts.

    Raises:
        ConfigError: no file fits the pattern, or one of the files is there already.
    """
    tables = {name: folder / name for name in ("images.csv", "rois.csv", "study.yaml")}
    there = [name for name, path in tables.items() if path.exists()]
    if there:
        raise ConfigError(
            f"{folder}: {', '.join(there)} is there already, and nothing is overwritten; move it away first"
        )
    images = _images(folder, pattern)
    write_csv(images.assign(**dict.fromkeys((*TO_FILL_IN, *labels, "report"), "")), tables["images.csv"])
    yield f"{tables['images.csv']}: {len(images)} images; fill in what is known, labels as 1, 0 or empty"
    write_csv(pd.DataFrame(columns=list(REGIONS)), tables["rois.csv"])
    yield f"{tables['rois.csv']}: no region yet; a row per box, or other forms, see the section own of docs/data.md"
    write_text(_study(folder, labels), tables["study.yaml"])
    yield f"{tables['study.yaml']}: a study of a small student; next: mmpkd check {tables['study.yaml']}"


def _images(folder: Path, pattern: str) -> pd.DataFrame:
    """The column path, and image where the names of files are not enough to tell images apart."""
    try:
        found = sorted(
            path.relative_to(folder) for path in folder.glob(pattern) if path.is_file() and is_data(path.name)
        )
    except (NotImplementedError, ValueError):  # an absolute pattern, or an empty one
        found = []
    if not found:
        raise ConfigError(
            f"{folder}: no file fits --images {pattern}; it starts from the folder, as in 'pictures/*.png'"
        )
    images = pd.DataFrame({"path": [path.as_posix() for path in found]})
    if len({path.stem for path in found}) < len(found):
        images["image"] = [re.sub(r"[^\w.-]+", "_", path.as_posix()) for path in found]
    return images


def _line(key: str, value: str, found: re.Match[str]) -> str:
    return f"{key}: {value}{found[1] or ''}"


def _study(folder: Path, labels: list[str]) -> str:
    """The template with another name, root and labels; each stands in a line of its own there."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", folder.resolve().name)
    text = TEMPLATE.read_text(encoding="utf-8").partition("extends:")
    lines = {"study": name, "    root": json.dumps(str(folder)), "    labels": json.dumps(labels, ensure_ascii=False)}
    study = "extends:" + text[2]
    for key, value in lines.items():
        study = re.sub(
            rf"^{key}: .*?( #.*)?$",
            partial(_line, key, value),
            study,
            count=1,
            flags=re.M,
        )
    return f"# A study of the images in {folder}, see docs/tutorial.md.\n{study}"
