"""A recorded run: every number of docs/*.md that comes from a trained model, in docs/record.json.

    python docs/record.py plays              # all sections, from the run of docs/xray.md
    python docs/record.py plays attention    # one section, the others as they were

Each section is a file of recording/ and has a key of its own; pages.py reads the file. The run
is made by the command that the record names; the data set is made on the spot, too.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

import torch

from recording.opened import Opened, plain

HERE = Path(__file__).parent
RECORD = HERE / "record.json"
SECTIONS = (
    "run",
    "data",
    "batches",
    "embedding",
    "attention",
    "heads",
    "feed_forward",
    "block",
    "head",
    "training",
    "formats",
    "generation",  # these three need other runs as well: each file names them
    "samples",
    "ranks",
)
"""Files of recording/, each with `record(opened) -> dict`."""


def main() -> int:
    """Record sections."""
    parser = argparse.ArgumentParser(description="Record the numbers of the course.")
    parser.add_argument("run", help="name or path of the run, as docs/xray.md makes it")
    parser.add_argument("sections", nargs="*", default=SECTIONS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    opened = Opened(options.run)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    for name in options.sections:
        record[name] = plain(import_module(f"recording.{name}").record(opened))
    RECORD.write_text(_lines(record), encoding="utf-8")
    return 0


def _lines(record: dict[str, dict[str, object]]) -> str:
    """Return JSON with a line for each field of each section, so that a change shows as one."""
    sections = []
    for name, fields in sorted(record.items()):
        rows = (f"  {json.dumps(key)}: {_json(value)}" for key, value in sorted(fields.items()))
        sections.append(f" {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


if __name__ == "__main__":
    sys.exit(main())
