"""The drawings of the course, each made from what a model did: `python docs/draw.py`.

A drawing is one file here with a function `draw`; its name is the image's.
"""

from importlib import import_module

from drawings.svg import Drawing

NAMES = (
    "decoder",
    "bpe",
    "split",
    "batches",
    "embedding",
    "attention",
    "multi_head",
    "flash",
    "feed_forward",
    "residual",
    "head",
    "training",
    "sampling",
    "kv_cache",
    "nvidia_smi",
    "memory",
    "formats",
    "rates",
    "tensor_core",
    "autocast",
    "ranks",
)
"""In the order of the course."""


def names() -> tuple[str, ...]:
    """Return the names of all drawings."""
    return NAMES


def drawn(name: str) -> Drawing:
    """Make a drawing.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in NAMES:
        raise ValueError(f"name = {name!r}: allowed: {', '.join(NAMES)}")
    made: Drawing = import_module(f"drawings.{name}").draw()
    return made
