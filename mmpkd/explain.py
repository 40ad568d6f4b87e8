"""A trained student on new images: probabilities, and where it looks, in the pixels of the image.

The file of a student holds everything that preprocessing needs, so that nothing of its study has to be there.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib import colormaps
from PIL import Image

from mmpkd.attention.gradient import predicted_score
from mmpkd.attention.maps import attention_maps, refuse_unknown
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.evaluation.localization import interpolation
from mmpkd.files import atomic, write_csv, write_json
from mmpkd.imaging.derived import Derivation
from mmpkd.imaging.geometry import Geometry
from mmpkd.imaging.image_file import UnreadableImage
from mmpkd.imaging.square import Square, read_square
from mmpkd.logs import progress
from mmpkd.provenance.inputs import sha256
from mmpkd.students.vit import CheckpointError, Student, load, log_odds

COLOURS, OPACITY = colormaps["viridis"], 0.5
LONGEST = 1024  # pixels of the longer side of an overlay
UNREADABLE = "unreadable"
NO_DICOM = "no_dicom"


class Lacking(NamedTuple):
    """Images that could not be read, and those that were explained without the DICOM objects that were asked for."""

    unread: int
    without_objects: int


@dataclass(frozen=True)
class Explainer:
    """A student and how its images are prepared.

    Attributes:
        sha256: of the student's file.
        method: of the maps, see `mmpkd.attention.maps.attention_maps`.
    """

    student: Student
    sha256: str
    imaging: Imaging
    breast: Breast
    problem: str
    method: str
    device: torch.device

    @classmethod
    def load(cls, path: Path, method: str, device: torch.device) -> "Explainer":
        """Reads a student that a study trained.

        Args:
            path: of the student's file.
            method: of the maps.
            device: that computes.

        Raises:
            CheckpointError: no such file, or one without what preprocessing needs.
            ValueError: the model has no such map.
        """
        if not path.is_file():
            raise CheckpointError(f"{path}: is not there; a study's are results/<study>/students/.../model.safetensors")
        student = load(path).to(device)
        if "imaging" not in student.facts:
            raise CheckpointError(f"{path}: does not say how its images were prepared; train it again, or name another")
        refuse_unknown([method], student.vit.blocks[-1].attn.num_heads, predicted_score)
        facts = student.facts
        imaging, breast = Imaging.model_validate(facts["imaging"]), Breast.model_validate(facts["breast"] or {})
        return cls(student, sha256(path), imaging, breast, facts["problem"], method, device)

    @torch.no_grad()
    def explain(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities N x L, and maps N x g x g in multiples of a uniform map, of squares uint8 N x S x S."""
        images = self.student.normalise(torch.from_numpy(pixels)[:, None].to(self.device).float() / 255)
        features, maps = attention_maps(
            self.student.vit,
            images,
            [self.method],
            lambda tokens: predicted_score(self.student.read(tokens).logits, self.problem),
        )
        odds = log_odds(self.student.read(features).logits, self.problem)
        grid = maps[self.method]
        return odds.sigmoid().cpu().numpy(), (grid * grid[0].numel()).cpu().numpy()


def explain_files(
    explainer: Explainer,
    files: Sequence[Path],
    folder: Path,
    batch_size: int = 16,
    derivation: Derivation | None = None,
) -> Lacking:
    """Explains images one after the other; returns how many could not be read, and how many have no DICOM objects.

    Writes to `folder` probabilities.csv (a row per file), for each image an overlay (PNG) and its map in the image's
    pixels (npy, float16, rows x columns, in multiples of a uniform map, 0 outside of what the student sees), and
    manifest.json. With `derivation`, DICOM objects of both as well, or in the table why there are none.

    Args:
        explainer: the student.
        files: the images.
        folder: created if absent; files of an earlier call are replaced.
        batch_size: images per forward pass.
        derivation: how DICOM objects are made; None makes none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, batch = [], []
    for square in progress(_squares(explainer, files), "images", total=len(files), unit="image"):
        if isinstance(square, dict):
            rows.append(square)
        else:
            batch.append(square)
        if len(batch) == batch_size:
            rows += _explained(explainer, batch, folder, derivation)
            batch = []
    rows += _explained(explainer, batch, folder, derivation) if batch else []
    table = pd.DataFrame(sorted(rows, key=lambda row: row["number"])).drop(columns="number")
    write_csv(table, folder / "probabilities.csv")
    write_json(_manifest(explainer, table), folder / "manifest.json")
    given = {name: int(table[name].fillna("").ne("").sum()) for name in (UNREADABLE, NO_DICOM) if name in table}
    return Lacking(given.get(UNREADABLE, 0), given.get(NO_DICOM, 0))


def map_in_image(grid: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A map in the pixels of its image.

    Interpolated bilinearly between the centres of patches, as `mmpkd.evaluation.localization.upsample` does it.

    Args:
        grid: the map on the patch grid, g x g.
        geometry: of the image.

    Returns:
        float32 rows x columns, 0 outside of the crop.
    """
    x, y = np.arange(geometry.columns) + 0.5, np.arange(geometry.rows) + 0.5
    to_x = geometry.points_to_store(np.stack([x, np.zeros_like(x)], axis=1))[:, 0]
    to_y = geometry.points_to_store(np.stack([np.zeros_like(y), y], axis=1))[:, 1]
    across, down = (
        interpolation(position / geometry.size * patches - 0.5, patches)
        for position, patches in ((to_x, grid.shape[1]), (to_y, grid.shape[0]))
    )
    rows, columns = _seen(geometry)
    across[~columns] = 0
    down[~rows] = 0
    return (down @ grid @ across.T).astype(np.float32)


def _seen(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Which rows and which columns of its image the student sees, bool."""
    x, y = np.arange(geometry.columns) + 0.5, np.arange(geometry.rows) + 0.5
    return (y >= geometry.crop_y0) & (y <= geometry.crop_y1), (x >= geometry.crop_x0) & (x <= geometry.crop_x1)


def overlay(square: Square, grid: np.ndarray) -> Image.Image:
    """The picture with its map over it in colour, from nothing to the map's maximum.

    Args:
        square: the image.
        grid: the map on the patch grid, g x g.

    Returns:
        A picture of at most LONGEST pixels per side.
    """
    rows, columns = square.geometry.rows, square.geometry.columns
    scale = min(1.0, LONGEST / max(rows, columns))
    shape = max(1, round(rows * scale)), max(1, round(columns * scale))
    whole = Geometry.fit(rows, columns, max(shape), keep_aspect=True)
    grey = whole.image_to_store(square.display)[whole.content]
    heat = map_in_image(grid, square.geometry.resampled(*grey.shape))
    share = heat / max(float(heat.max()), np.finfo(np.float32).tiny)
    colour = COLOURS(share)[..., :3] * 255
    weight = OPACITY * share[..., None]
    return Image.fromarray(np.rint(grey[..., None] * (1 - weight) + colour * weight).astype(np.uint8))


def _squares(explainer: Explainer, files: Sequence[Path]) -> Iterator[tuple[int, Path, Square] | dict]:
    """Number, file and square of each image, or the row of one that cannot be read, which is reported at once."""
    for number, file in enumerate(files, start=1):
        try:
            yield number, file, read_square(file, explainer.imaging, explainer.breast)
        except UnreadableImage as error:
            yield {"number": number, "file": str(file), UNREADABLE: _reason(file, error)}


def _reason(file: Path, error: UnreadableImage) -> str:
    print(f"{file}: {error}", file=sys.stderr, flush=True)
    return str(error)


def _explained(
    explainer: Explainer, batch: list[tuple[int, Path, Square]], folder: Path, derivation: Derivation | None
) -> Iterator[dict]:
    """Writes overlay and map of each image of a batch; yields its row of the table."""
    probabilities, grids = explainer.explain(np.stack([square.pixels for _, _, square in batch]))
    for (number, file, square), probability, grid in zip(batch, probabilities, grids, strict=True):
        name = f"{number:05d}_{file.stem}"
        picture, drawn = overlay(square, grid), map_in_image(grid, square.geometry).astype(np.float16)
        with atomic(folder / f"{name}.png") as temporary:
            picture.save(temporary, format="PNG")
        with atomic(folder / f"{name}.npy") as temporary:
            np.save(temporary, drawn)
        reasons = {UNREADABLE: ""}
        if derivation is not None:
            shown = np.asarray(picture), drawn.astype(np.float32), np.logical_and.outer(*_seen(square.geometry))
            reasons[NO_DICOM] = _write_objects(derivation, file, shown, folder / name)
        yield {
            "number": number,
            "file": str(file),
            "overlay": f"{name}.png",
            "map": f"{name}.npy",
            "notes": "; ".join(square.notes),
            **reasons,
            **dict(zip(explainer.student.labels, np.round(probability.astype(float), 6), strict=True)),
        }


def _write_objects(derivation: Derivation, source: Path, shown: tuple[np.ndarray, ...], target: Path) -> str:
    """Writes the DICOM objects of an image beside `target`; returns why there are none, which is reported at once."""
    try:
        objects = derivation.objects(source, *shown)
    except UnreadableImage as error:
        return _reason(source, error)
    for kind, content in objects.items():
        with atomic(target.with_name(f"{target.name}_{kind}.dcm")) as temporary:
            temporary.write_bytes(content)
    return ""


def _manifest(explainer: Explainer, table: pd.DataFrame) -> dict:
    return {
        "mmpkd": version("mmpkd"),
        "model_sha256": explainer.sha256,
        "labels": explainer.student.labels,
        "method": explainer.method,
        "map_unit": "multiples of a uniform map",
        "imaging": explainer.imaging.model_dump(mode="json"),
        "breast": explainer.breast.model_dump(mode="json"),
        "images": json.loads(table.to_json(orient="records")),
    }
