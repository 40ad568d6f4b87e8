"""`python -m tests.repeatability`: the smoke study in several folders, and what of it is not the same.

With one core and with eight, byte for byte; and with the instructions of another processor, as numbers.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.checkout import copy_repository
from tests.faults.study import Run, Study
from tests.repeatability.numbers import compared

# What an older processor would make of the same sums: no AVX in torch, its matrix libraries and NumPy.
OTHER_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, help="a folder for the studies, which stay there; else a temporary one")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        alone = _run(scratch / "one_core", 1)
        together = _run(scratch / "eight_cores", 8)
        differences = alone.differences(together)
        print(f"1 core and 8: {len(alone.files())} files, {len(differences)} differ {differences[:5]}", flush=True)
        elsewhere = _run(scratch / "other_processor", 8, OTHER_PROCESSOR)
        print(compared(alone, elsewhere).to_markdown(index=False))
    return int(bool(differences))


def _run(folder: Path, cores: int, environment: dict[str, str] | None = None) -> Study:
    study = Study(copy_repository(folder).folder)
    run = Run(study, cores, environment)
    if run.wait():
        raise SystemExit(f"{folder}: the run failed:\n{run.log.read_text()[-4000:]}")
    return study


if __name__ == "__main__":
    sys.exit(main())
