"""What a case's result must keep, and how refusals are counted."""

import re
from typing import Any

from mmpkd.redaction import redact


class Broken(AssertionError):
    """A result does not keep what its function promises."""


def require(holds: Any, promise: str) -> None:
    """Raises `Broken` with the promise unless it holds."""
    if not holds:
        raise Broken(promise)


def reason_class(reason: str) -> str:
    """What a reason says, without what it says it of."""
    return re.split(r"[:;(#]|\.\.\.|\d", redact(reason))[0].strip()[:40]
