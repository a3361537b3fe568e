"""What each change since GPT-2 brings alone, as page 15 shows it: from a file of results."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "benchmarks/results/since_gpt2.json"
Table = tuple[list[str], list[list[object]]]


def results() -> dict[str, Any]:
    """Return what `benchmarks/since_gpt2.py` wrote."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def told() -> str:
    """Return in words how it was measured."""
    found = results()
    settings, machine = found["settings"], found["machine"]
    return (
        f"Measured with {settings['seeds']} seeds, {settings['steps']} steps of "
        f"{settings['batch_size']} windows each, on {machine['threads']} cores "
        f"({machine['processor']})."
    )


def alone() -> Table:
    """Return a row for each change: validation losses and the time of a step."""
    found = results()
    head = ["", "loss after equal steps", "after equal time", "time of a step"]
    rows: list[list[object]] = [
        [
            name,
            _spread(found["equal_steps"][name]),
            _spread(found["equal_time"][name]),
            f"{found['step_time'][name]['median']:.2f} ×",
        ]
        for name in found["equal_steps"]
    ]
    return head, rows


def _spread(of: dict[str, float]) -> str:
    return f"{of['median']:.3f} ({of['minimum']:.3f}-{of['maximum']:.3f})"
