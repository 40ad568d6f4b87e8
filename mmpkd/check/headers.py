"""Headers of a cohort's files, a seeded sample or all of them, and the pixels of a few."""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from mmpkd.check.facts import HeaderFacts
from mmpkd.imaging.image_file import PICTURES, UnreadableImage
from mmpkd.imaging.reading import read_header, read_image
from mmpkd.logs import progress
from mmpkd.redaction import redact

SAMPLE = 200  # files per cohort
PIXELS = 8  # of these files, whose pixels are read too: a header says nothing of what follows it
CHUNK = 256  # files that a process takes at a time
NO_SYNTAX = "not stated"

Header = tuple[int, int, str]  # rows, columns, transfer syntax ("" for a picture)


def read_headers(
    root: Path, paths: pd.Series, everything: bool = False, seed: int = 0, named: bool = False
) -> HeaderFacts:
    """Reads the headers of files, and the pixels of some of them.

    Args:
        root: folder that the paths start from.
        paths: of the files; one that stands twice is read once.
        everything: read all headers, in one process per core, and not those of `SAMPLE` files.
        seed: decides which files are drawn.
        named: whether the path of an unreadable file may be shown.
    """
    paths = paths.drop_duplicates()
    chosen = paths if everything else paths.sample(n=min(SAMPLE, len(paths)), random_state=seed)
    read = partial(_try_header, root)
    if everything and len(chosen) > CHUNK:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            results = list(progress(pool.map(read, chosen, chunksize=CHUNK), "headers", len(chosen), "files"))
    else:
        results = [read(path) for path in chosen]
    readable = [path for path, result in zip(chosen, results, strict=True) if isinstance(result, tuple)]
    looked_at = readable[:: max(len(readable) // PIXELS, 1)][:PIXELS]
    pixels = [_try_pixels(root, path) for path in looked_at]
    faults = [(redact(fault), path) for path, fault in zip(looked_at, pixels, strict=True) if fault]
    faults += [(redact(result), path) for path, result in zip(chosen, results, strict=True) if isinstance(result, str)]
    headers = [result for result in results if isinstance(result, tuple)]
    syntaxes = Counter(syntax for _, _, syntax in headers if syntax)
    return HeaderFacts(
        read=len(results),
        files=len(paths),
        unreadable=dict(Counter(redact(result) for result in results if isinstance(result, str)).most_common()),
        transfer_syntaxes={_name(syntax): count for syntax, count in syntaxes.most_common()},
        undecodable={_name(syntax): count for syntax, count in syntaxes.most_common() if not can_decode(syntax)},
        rows=_range([rows for rows, _, _ in headers]),
        columns=_range([columns for _, columns, _ in headers]),
        decoded=len(pixels),
        undecoded=dict(Counter(redact(fault) for fault in pixels if fault)),
        examples=dict(reversed(faults)) if named else {},  # the first of each reason
    )


def can_decode(syntax: str) -> bool:
    """Whether an installed decoder reads pixels of this transfer syntax; without one they are uncompressed."""
    if syntax == NO_SYNTAX:
        return True
    try:
        return get_decoder(UID(syntax)).is_available
    except NotImplementedError:
        return False


def _try_header(root: Path, path: str) -> Header | str:
    """The header, or why it cannot be read."""
    try:
        rows, columns = read_header(root / path)
    except UnreadableImage as error:
        return str(error)
    if path.lower().endswith(PICTURES):
        return rows, columns, ""
    try:
        return rows, columns, str(read_file_meta_info(root / path).get("TransferSyntaxUID") or NO_SYNTAX)
    except (InvalidDicomError, OSError):
        return rows, columns, NO_SYNTAX  # a file without preamble, which has no such element


def _try_pixels(root: Path, path: str) -> str:
    """Why the pixels cannot be read; "" if they can."""
    try:
        read_image(root / path, "minmax")
    except UnreadableImage as error:
        return str(error)
    return ""


def _name(syntax: str) -> str:
    return syntax if syntax == NO_SYNTAX else UID(syntax).name


def _range(values: list[int]) -> list[int]:
    return [min(values), int(np.median(values)), max(values)] if values else []
