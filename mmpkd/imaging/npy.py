"""Growing .npy files: arrays appended one by one in constant memory."""

from pathlib import Path
from types import TracebackType

import numpy as np


class NpyStream:
    """A context manager that appends arrays of one shape and type to a .npy file.

    The header says how many they are once the context is left. `count` is their number so far.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...], dtype: np.dtype | type) -> None:
        self._path, self._shape, self._dtype = Path(path), tuple(shape), np.dtype(dtype)
        self.count = 0

    def __enter__(self) -> "NpyStream":
        self._file = self._path.open("wb")
        self._start = self._write_header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            self._file.seek(0)
            end = self._write_header()
        if end != self._start:  # numpy keeps room in the header for a first axis of up to 21 digits
            raise RuntimeError("numpy's header grew; the file's content is damaged")

    def append(self, array: np.ndarray) -> None:
        """Appends one array. Raises ValueError for another shape or type."""
        if array.shape != self._shape or array.dtype != self._dtype:
            raise ValueError(f"want {self._dtype} {self._shape}, got {array.dtype} {array.shape}")
        self._file.write(np.ascontiguousarray(array).tobytes())
        self.count += 1

    def _write_header(self) -> int:
        header = np.lib.format.header_data_from_array_1_0(np.empty((0, *self._shape), dtype=self._dtype))
        np.lib.format.write_array_header_1_0(self._file, {**header, "shape": (self.count, *self._shape)})
        return self._file.tell()
