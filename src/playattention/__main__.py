"""Runs the command line as `python -m playattention`."""

import sys

from playattention.cli import main

if __name__ == "__main__":
    sys.exit(main())
