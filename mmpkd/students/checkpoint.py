"""A checkpoint from which a run that was stopped goes on to the same bytes: one file, written whole, then replaced."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mmpkd.files import atomic

log = logging.getLogger("mmpkd.checkpoint")

FACTS = "mmpkd"
Tensors = dict[str, torch.Tensor]


@dataclass
class Checkpoint:
    """Where a run is kept, and which run it is.

    Attributes:
        identity: see `identity_of`; a checkpoint of another run is not read.
        minutes: the least time between two writes.
    """

    path: Path
    identity: str
    minutes: float

    def __post_init__(self) -> None:
        self._last = monotonic()

    def due(self) -> bool:
        """Whether it is time to write."""
        return monotonic() - self._last >= 60 * self.minutes

    def write(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Replaces the checkpoint.

        Args:
            tensors: by name; they may lie on any device.
            facts: what can be written as JSON; its numbers come back exactly.
        """
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        text = json.dumps({"identity": self.identity, **facts})
        with atomic(self.path) as temporary:
            save_file(state, temporary, metadata={FACTS: text})
        self._last = monotonic()

    def read(self) -> tuple[Tensors, dict[str, Any]] | None:
        """The tensors and facts of this run; None where it left none. One of another run is reported and left alone."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as archive:
                facts = json.loads((archive.metadata() or {}).get(FACTS, "{}"))
                if facts.get("identity") != self.identity:
                    log.warning("%s is of another run (other data, settings or code); starting again", self.path.name)
                    return None
                return {name: archive.get_tensor(name) for name in archive.keys()}, facts  # noqa: SIM118 (no mapping)
        except (SafetensorError, json.JSONDecodeError) as error:
            log.warning("%s cannot be read (%s); starting again", self.path.name, error)
            return None

    def remove(self) -> None:
        """Once the run's results are written."""
        self.path.unlink(missing_ok=True)


def identity_of(parts: Iterable[Any]) -> str:
    """A hash that differs between runs: of arrays by content, of files by place, size and time, of the rest as JSON."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            status = part.stat()
            content = json.dumps([str(part), status.st_size, status.st_mtime_ns]).encode()
        elif isinstance(part, np.ndarray):
            content = np.ascontiguousarray(part).tobytes()
        else:
            content = json.dumps(part, sort_keys=True).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()
