"""`python -m mmpkd` is the command `mmpkd`."""

import sys

try:
    from mmpkd.cli import main
except KeyboardInterrupt:  # the imports take a second
    sys.exit(130)

if __name__ == "__main__":  # `check --all` starts processes, which may import this file once more
    sys.exit(main())
