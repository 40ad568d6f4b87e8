"""Ctrl-C in a terminal reaches all jobs of a run, and Snakemake says what follows: they end without a traceback."""

import sys
from types import TracebackType


def end_quietly() -> None:
    """Lets this process end without a traceback if it is interrupted; other errors are shown as before."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            shown(kind, error, traceback)

    sys.excepthook = show
