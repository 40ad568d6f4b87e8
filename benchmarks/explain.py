"""How many images `mmpkd explain` takes per minute, and how far a map's peak lies from where the student saw it.

Run from the repository's root: python -m benchmarks.explain [--images 64]

Speed: fabricated radiographs of 2500 x 2000 pixels and 12 bits (uncompressed DICOM) through a ViT-S/16 at 224 pixels
and through the demo's student at 56, one thread, processor time. Next to it the forward pass of the same model in
plain timm on squares that are in memory: what the network alone costs.

Position: a map with one hot patch, for every patch and several shapes of image, drawn into the image's own pixels; the
distance of its peak from the centre of that patch, in patches.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.preprocess import dicom, draw
from mmpkd.config.demo import DEMO
from mmpkd.config.imaging import Imaging
from mmpkd.config.students import StudentConfig
from mmpkd.explain import Explainer, explain_files, map_in_image
from mmpkd.imaging.geometry import Geometry
from mmpkd.students.vision import timm
from mmpkd.students.vit import create, save

LABELS = ["Atelectasis", "Cardiomegaly"]
STUDENTS = {
    "ViT-S/16, 224 px": (StudentConfig(model="vit_small_patch16_224", arguments={}), 224),
    "demo, 56 px": (DEMO.student, DEMO.imaging.size),
}
SHAPES = {
    "2500 x 2000": (2500, 2000),
    "2000 x 2500": (2000, 2500),
    "1024 x 1024": (1024, 1024),
    "300 x 500": (300, 500),
}


def per_minute(config: StudentConfig, size: int, files: list[Path], folder: Path) -> tuple[float, float]:
    """Images per minute of `explain_files`, and of plain timm's forward pass."""
    model = folder / "model.safetensors"
    imaging = Imaging(size=size).model_dump(mode="json")
    save(create(config, size, LABELS, seed=1), model, imaging=imaging, breast=None, problem="multi_label")
    explainer = Explainer.load(model, "rollout", torch.device("cpu"))
    plain = timm.create_model(config.model, img_size=size, in_chans=1, num_classes=2, **config.arguments).eval()
    squares = torch.rand(16, 1, size, size, generator=torch.Generator().manual_seed(1))
    explain_files(explainer, files[:16], folder / "out")
    begin = time.process_time()
    if any(explain_files(explainer, files, folder / "out")):
        raise RuntimeError("an image could not be read")
    middle = time.process_time()
    with torch.no_grad():
        for _ in range(len(files) // 16):
            plain(squares)
    end = time.process_time()
    return 60 * len(files) / (middle - begin), 60 * len(files) / (end - middle)


def position_error(rows: int, columns: int, size: int, patches: int) -> float:
    """The largest distance of a peak from the centre of its patch, in patches, over all patches that show the image."""
    geometry = Geometry.fit(rows, columns, size, keep_aspect=True)
    worst = 0.0
    for place in np.ndindex(patches, patches):
        centre = (np.array(place) + 0.5) * size / patches
        if not geometry.content[0].start <= centre[0] < geometry.content[0].stop:
            continue
        if not geometry.content[1].start <= centre[1] < geometry.content[1].stop:
            continue
        grid = np.zeros((patches, patches))
        grid[place] = 1
        drawn = map_in_image(grid, geometry)
        y, x = np.unravel_index(drawn.argmax(), drawn.shape)
        at = geometry.points_to_store(np.array([[x + 0.5, y + 0.5]]))[0][::-1]
        worst = max(worst, float(np.hypot(*(at - centre))) * patches / size)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of mmpkd explain.")
    parser.add_argument("--images", type=int, default=64, help="a multiple of 16")
    images = parser.parse_args().images
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.dcm" for number in range(images)]
        rng = np.random.default_rng(0)
        for file in files:
            file.write_bytes(dicom(draw(2500, 2000, 12, rng), 12, "none", Path(folder)))
        print("| student | images per minute | plain timm's forward pass, images per minute |\n|---|---|---|")
        for name, (config, size) in STUDENTS.items():
            ours, plain = per_minute(config, size, files, Path(folder))
            print(f"| {name} | {ours:.0f} | {plain:.0f} |", flush=True)
    print("\n| image | largest position error, patches of 16 px at 224 px | patches of 8 px at 56 px |\n|---|---|---|")
    for name, (rows, columns) in SHAPES.items():
        errors = [position_error(rows, columns, *shape) for shape in ((224, 14), (56, 7))]
        print(f"| {name} | {errors[0]:.2f} | {errors[1]:.2f} |")


if __name__ == "__main__":
    main()
