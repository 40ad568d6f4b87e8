"""Programs without a network: in a namespace of their own, from which no route leads anywhere."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CUT_OFF = ("unshare", "--net", "--map-root-user")


def why_not() -> str:
    """Why no such namespace can be made here; "" where it can."""
    try:
        process = subprocess.run([*CUT_OFF, "true"], capture_output=True, text=True)
    except OSError as error:
        return f"unshare: {error.strerror}"
    return (process.stderr.strip() or "unshare failed") if process.returncode else ""


def run_python(arguments: Sequence[str], folder: Path, cut_off: bool = True) -> subprocess.CompletedProcess:
    """Runs Python in `folder` with empty caches of downloads.

    Both streams are in `stdout`; its first line is for `routes`.
    """
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HOME": str(folder / "hub"),
        "TORCH_HOME": str(folder / "hub"),
    }
    for name in ("PYTHONPATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        environment.pop(name, None)
    command = ["sh", "-c", 'wc -l < /proc/net/route; exec "$@"', "sh", sys.executable, *arguments]
    return subprocess.run(
        [*(CUT_OFF if cut_off else ()), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def routes(said: str) -> int:
    """How many ways out a program had, by what `run_python` returned; a table of routes begins with a title."""
    return max(int(said.partition("\n")[0]) - 1, 0)
