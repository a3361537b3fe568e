"""What each view of the page is tried with. A view without a line here fails a test."""

from dataclasses import dataclass, field
from typing import Any

from tests.playground.browser.grown import PLANTED, RUN, TEXT


@dataclass(frozen=True)
class Shown:
    """A view."""

    id: str
    moves: frozenset[str]
    """What of layer, head and position moves its picture."""
    start: dict[str, Any] = field(default_factory=dict)
    """What else is selected, so that there is something to see."""
    points_at: str = ".heatmap-grid canvas"
    """What tells a number when it is pointed at; "": nothing does."""
    tells_in: str = ".readout"
    """Where it tells it."""

    @property
    def state(self) -> dict[str, Any]:
        """All that is selected when it is opened."""
        return {"view": self.id, "run": RUN, "text": TEXT, **self.start}


ABLATED = f"ablate:{PLANTED[0]}.{PLANTED[1]}"

VIEWS = (
    Shown("flow", frozenset({"layer", "head"})),
    Shown(
        "heads",
        frozenset({"layer", "head", "pos"}),
        points_at=".heads-one .heatmap-grid canvas",
        tells_in=".heads-one .readout",
    ),
    Shown("positions", frozenset({"pos"})),
    Shown("over-training", frozenset({"layer", "head"})),
    Shown("what-if", frozenset({"layer", "head", "pos"}), start={"change": ABLATED}),
    Shown("backward", frozenset({"layer", "head"})),
    # What it tells is written out, and there is nothing to point at.
    Shown("generate", frozenset(), start={"drawn": 3}, points_at=""),
    Shown(
        "train",
        frozenset({"layer", "head"}),
        start={"job": RUN},
        points_at=".curve-large .nsewdrag",
        tells_in=".curve-large .hoverlayer",
    ),
    # Before an exercise is started there are only words; test_learn.py starts one.
    Shown("learn", frozenset(), start={"exercise": "causal_mask"}, points_at=""),
)
