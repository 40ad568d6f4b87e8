"""Regions of interest as people have them: rows of a table, COCO annotations, and masks in a folder."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mmpkd.cohorts.paths import TableFileError, read_json
from mmpkd.cohorts.rois import CORNERS, RunLengths

CIRCLE = 72  # corners of the polygon that stands for a circle
FORMS = {  # form: the columns that a row of it fills
    "polygon": ("polygon",),
    "mask": ("mask",),
    "circle": ("x", "y", "radius"),
    "box by its size": ("x", "y", "width", "height"),
    "box": tuple(CORNERS),
}
STATED_BY = {"polygon": "polygon", "mask": "mask", "radius": "circle", "width": "box by its size", "x0": "box"}
POINTS = re.compile(r"[-+\d.,;eE\s\[\]()]*")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class RegionError(ValueError):
    """A region cannot be read; `column` says where."""

    def __init__(self, column: str, fix: str) -> None:
        self.column, self.fix = column, fix
        super().__init__(f"column {column}: {fix}")


Place = tuple[str, int | str]  # the source, and the row, annotation or file in it


@dataclass(frozen=True)
class Region:
    """A region of one image.

    Attributes:
        place: of its row, for messages.
        image: as the source names it.
        drawn: rows, columns.
    """

    place: Place
    image: str
    label: str | None  # as the source names it; None where it names none
    kind: str = "polygon"
    corners: tuple[float, float, float, float] = (math.nan,) * 4
    polygon: str = ""
    mask_path: str = ""
    drawn: tuple[int, int] | None = None

    @property
    def span(self) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of a box or a polygon, in pixels of the image; None for a mask."""
        if self.kind == "box":
            return self.corners
        if self.kind != "polygon":
            return None
        x, y = zip(*json.loads(self.polygon), strict=True)
        return min(x), min(y), max(x), max(y)


def shape_of_row(cells: Mapping[str, str]) -> dict[str, Any]:
    """Kind, corners, polygon and mask_path of a row of a table.

    A mask with x and y is a part of the image, whose top left pixel lies there.

    Raises:
        RegionError: it has no form, or a number is wrong.
    """
    forms = [form for column, form in STATED_BY.items() if cells.get(column)]
    if len(forms) != 1:
        raise RegionError(", ".join(STATED_BY), "fill exactly one of these: it states the form")
    form = forms[0]
    if form == "polygon":
        return {"polygon": json.dumps(_points(cells["polygon"]))}
    if form == "mask":
        offset = [name for name in ("x", "y") if cells.get(name)]
        x, y = [_number(cells, name) for name in ("x", "y")] if offset else (math.nan, math.nan)
        return {"kind": "mask", "mask_path": cells["mask"], "corners": (x, y, math.nan, math.nan)}
    numbers = [_number(cells, column) for column in FORMS[form]]
    if form == "circle":
        return {"polygon": json.dumps(_circle(*numbers))}
    if form == "box by its size":
        x, y, width, height = numbers
        numbers = [x, y, x + width, y + height]
    if not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise RegionError(FORMS[form][-2], "the box has no area; its right and lower edge must be the larger numbers")
    return {"kind": "box", "corners": tuple(numbers)}


def _number(cells: Mapping[str, str], column: str) -> float:
    try:
        number = float(cells.get(column, ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RegionError(column, "must be a number")
    return number


def _points(text: str) -> list[list[float]]:
    numbers = [float(number) for number in NUMBER.findall(text)]
    if not POINTS.fullmatch(text) or len(numbers) < 6 or len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise RegionError("polygon", "must be at least three points, x and y by turns, as in 10 20 30 20 30 40")
    return [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def _circle(x: float, y: float, radius: float) -> list[list[float]]:
    if radius <= 0:
        raise RegionError("radius", "must be larger than 0")
    angles = [2 * math.pi * corner / CIRCLE for corner in range(CIRCLE)]
    return [[x + radius * math.cos(angle), y + radius * math.sin(angle)] for angle in angles]


def coco_regions(path: Path, fault: Callable[[Place, RegionError], None]) -> Iterator[Region]:
    """The regions of a COCO file: of each annotation its segmentation, a region per part, else its box.

    An annotation that cannot be read is passed to `fault`.

    Args:
        path: of the file.
        fault: called with the place of an annotation that cannot be read, and why.

    Raises:
        TableFileError: if it is no COCO file.
    """
    try:
        content = read_json(path)
        images = {image["id"]: image for image in content["images"]}
        names = {category["id"]: str(category["name"]) for category in content["categories"]}
        annotations = list(content["annotations"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TableFileError(
            f"{path}: not a COCO file ({type(error).__name__}); it must have the lists images, categories, annotations"
        ) from None
    for number, annotation in enumerate(annotations, start=1):
        place = path.name, number
        try:
            image, label = images[annotation["image_id"]], names[annotation["category_id"]]
            size = (image["height"], image["width"]) if {"height", "width"} <= set(image) else None
            for shape in _coco_shapes(annotation):
                yield Region(place, str(image["file_name"]), label, **{"drawn": size, **shape})
        except RegionError as error:
            fault(place, error)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            fault(place, RegionError("annotations", "it lacks its image, its category or a form that can be read"))


def _coco_shapes(annotation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    outline = annotation.get("segmentation")
    if isinstance(outline, Mapping):
        mask = RunLengths.from_coco(outline)
        if mask.area:
            yield {"kind": "rle", "polygon": json.dumps(dict(outline)), "drawn": (mask.rows, mask.columns)}
    elif outline:
        for part in outline:
            yield {"polygon": json.dumps(_points(" ".join(str(float(number)) for number in part)))}
    else:
        x, y, width, height = (float(number) for number in annotation["bbox"])
        cells = dict(zip(("x", "y", "width", "height"), map(str, (x, y, width, height)), strict=True))
        yield shape_of_row(cells)


def mask_regions(folder: str, files: list[str], known: Mapping[str, str]) -> Iterator[Region]:
    """The masks in a folder, `<folder>/<label>/<image>.png` or `<folder>/<image>.png`.

    Several of one image have `_1`, `_2`, ... at the end of their names.

    Args:
        folder: its name, in lower case.
        files: in which they are looked for.
        known: what images are called.
    """
    for path in (path for path in files if path.lower().startswith(f"{folder}/")):
        place = PurePosixPath(path)
        name = place.stem if place.stem in known else re.sub(r"_\d+$", "", place.stem)
        label = place.parts[1] if len(place.parts) > 2 else None
        yield Region((folder, path), name, label, kind="mask", mask_path=path)
