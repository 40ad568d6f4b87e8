"""No adapter follows what a table or a link says out of the data set's folder, though a file waits there."""

import gzip
import os
import re
import shutil
from pathlib import Path

import pytest

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.cohorts import Cohort
from tests import cohorts
from tests.safety.conftest import LABELS

TEXT = (".csv", ".gz", ".json", ".txt", ".xml")
# Of the path of an image, the part that its table holds: from the folder of a lesion or a patient on, or the name.
IN_THE_TABLE = {"cbis_ddsm": r"(Mass|Calc)-.*", "chexlocalize": r"(test|val)/patient.*"}


def read(adapter: str, root: Path) -> CohortTables:
    return cohorts.read(Cohort(adapter=adapter, root=root), LABELS)


def rewrite(path: Path, old: str, new: str) -> bool:
    """Replaces whole words of a table; whether there were any."""
    content = path.read_bytes()
    packed = path.suffix == ".gz"
    text = (gzip.decompress(content) if packed else content).decode("utf-8", "surrogateescape")
    changed, count = re.subn(rf"(?<![\w./-]){re.escape(old)}(?![\w-])", lambda _: new, text)
    data = changed.encode("utf-8", "surrogateescape")
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    return count > 0


def stays(tables: CohortTables) -> bool:
    """Whether every file that the tables name is below their root."""
    root = os.path.realpath(tables.image_root)
    paths = [*tables.images["path"], *tables.rois["mask_path"].dropna()]
    return all(os.path.realpath(os.path.join(root, path)).startswith(root) for path in paths if path)


def first_image(adapter: str, root: Path) -> tuple[str, Path]:
    """An image that the adapter takes, and its file."""
    tables = read(adapter, root)
    assert len(tables.images) > 1 and stays(tables)
    image = tables.images.iloc[0]
    return image["image_id"], tables.image_root / image["path"]


@pytest.mark.parametrize("way", ["climbs", "absolute"])
def test_a_path_that_leads_out_is_not_followed(tree, way):
    adapter, root = tree
    image, file = first_image(adapter, root)
    place = file.relative_to(root).as_posix()
    inner = re.search(IN_THE_TABLE.get(adapter, r"[^/]*$"), place)[0]
    outside = root.parent / "outside" / inner
    outside.parent.mkdir(parents=True)
    shutil.copy(file, outside)
    climb = "../" * (place.removesuffix(inner).count("/") + 1)
    lead = f"{climb}outside/" if way == "climbs" else f"{root.parent}/outside/"
    assert (root / place.removesuffix(inner) / f"{lead}{inner}").samefile(outside), "the way is right"
    told = inner.partition("/")[0] if adapter == "cbis_ddsm" else inner if "/" in inner else image
    tables = [path for path in root.rglob("*") if path.is_file() and path.name.endswith(TEXT)]
    assert [path for path in tables if rewrite(path, told, f"{lead}{told}")]
    after = read(adapter, root)
    assert len(after.images) and stays(after)
    assert not [name for name in after.images["image_id"] if image in name]


def test_a_link_that_leads_out_is_not_followed(tree):
    adapter, root = tree
    image, file = first_image(adapter, root)
    outside = root.parent / "outside"
    file.rename(outside)
    file.symlink_to(outside)
    assert file.is_file()
    after = read(adapter, root)
    assert len(after.images) and stays(after)
    assert image not in set(after.images["image_id"])
