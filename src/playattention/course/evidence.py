"""Words for what was observed, where an index and two numbers would not say it well."""

from collections.abc import Sequence


def sequences(got: Sequence[object], wanted: Sequence[object]) -> str:
    """Say where two texts, or two lists, part, and what stands around that place.

    Args:
        got: What the solution gives.
        wanted: What is right.
    """
    if type(got) is not type(wanted):
        return f"It gives a {type(got).__name__}: {got!r:.40}; right is a {type(wanted).__name__}."
    pairs = zip(got, wanted, strict=False)
    parted = (place for place, (one, other) in enumerate(pairs) if one != other)
    place = next(parted, min(len(got), len(wanted)))
    lengths = f"; its length is {len(got)}, right is {len(wanted)}" * (len(got) != len(wanted))
    first, last = max(0, place - 3), place + 5
    return (
        f"They part at place {place}{lengths}. From place {first} on it gives "
        f"{got[first:last]!r}; right is {wanted[first:last]!r}."
    )
