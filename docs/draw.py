"""Make the drawings of the course: `python docs/draw.py`, or with the names of some.

They go to docs/images/. Shapes and numbers come from a model that runs meanwhile and from
docs/drawings/recorded.json, so that a drawing can't say what the model does not do.
"""

import sys
from pathlib import Path

from drawings import drawn, names

IMAGES = Path(__file__).parent / "images"


def main(asked: list[str]) -> None:
    """Write the files.

    Args:
        asked: Names such as "attention"; none: all.
    """
    for name in asked or names():
        drawn(name).write(IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
