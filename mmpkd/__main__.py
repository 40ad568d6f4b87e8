"""`python -m mmpkd` is the command `mmpkd`."""

import sys

from mmpkd.cli import main

if __name__ == "__main__":  # `check --all` starts processes, which may import this file once more
    sys.exit(main())
