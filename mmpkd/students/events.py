"""The history as TensorBoard events, an option."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Events:
    """Writes one point a quantity and epoch below `folder`; nothing where that is None.

    Raises:
        ImportError: the package tensorboardX is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer = None
        if folder is None:
            return
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "training.tensorboard needs the package tensorboardX: pip install tensorboardX"
            ) from error
        self._writer = SummaryWriter(str(folder))

    def write(self, row: Mapping[str, Any]) -> None:
        """One row of the history, by its `epoch`."""
        if self._writer is not None:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, row["epoch"])
            self._writer.flush()

    def close(self) -> None:
        """Waits until every row is in the file: flushing alone may leave the last one out."""
        if self._writer is not None:
            self._writer.close()
