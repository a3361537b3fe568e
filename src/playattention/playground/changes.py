"""What if: the words of the page's `change`, such as `ablate:0.1 no-mask`, and what they do.

Each word is one change of `xray.whatif` or `xray.patching`; those of several work together, in
their order. Does not know how a model is changed.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.xray.patching import replace_attention
from playattention.xray.whatif import (
    ablate_feed_forward,
    ablate_heads,
    attention_scale,
    no_causal_mask,
    no_positions,
    no_residual,
    no_scale,
    swap_tokens,
)

MOST_WORDS = 64

Enter = Callable[[nn.Module, torch.Tensor], AbstractContextManager[None]]
"""A model and the tokens that it will read -> the change, to be entered."""
Make = Callable[[re.Match[str]], Enter]


def _ablate(found: re.Match[str]) -> Enter:
    head = int(found["L"]), int(found["H"])
    return lambda model, _: ablate_heads(model, [head])


def _ablate_mean(found: re.Match[str]) -> Enter:
    head = int(found["L"]), int(found["H"])
    return lambda model, idx: ablate_heads(model, [head], "mean", idx)


def _ablate_ff(found: re.Match[str]) -> Enter:
    return lambda model, _: ablate_feed_forward(model, [int(found["L"])])


def _ablate_ff_mean(found: re.Match[str]) -> Enter:
    return lambda model, idx: ablate_feed_forward(model, [int(found["L"])], "mean", idx)


def _no_mask(found: re.Match[str]) -> Enter:
    return lambda model, _: no_causal_mask(model, _layers(found))


def _no_scale(found: re.Match[str]) -> Enter:
    return lambda model, _: no_scale(model, _layers(found))


def _scale(found: re.Match[str]) -> Enter:
    return lambda model, _: attention_scale(model, float(found["X"]), _layers(found))


def _no_positions(_found: re.Match[str]) -> Enter:
    return lambda model, _: no_positions(model)


def _no_residual(found: re.Match[str]) -> Enter:
    sublayer = cast(Literal["attention", "feed_forward"], found["S"])
    return lambda model, _: no_residual(model, int(found["L"]), sublayer)


def _look(found: re.Match[str]) -> Enter:
    layer, head, position = (int(found[name]) for name in "LHP")
    row = [float(number) for number in found["X"].split(",")]
    return lambda model, _: replace_attention(model, layer, head, position, row)


NUMBER = r"-?\d{1,6}(?:\.\d{0,12})?(?:e[+-]?\d{1,2})?"
PLACES = {
    "L": r"(?P<L>\d{1,4})",
    "H": r"(?P<H>\d{1,4})",
    "P": r"(?P<P>\d{1,6})",
    "Q": r"(?P<Q>\d{1,6})",
    "S": r"(?P<S>attention|feed_forward)",
    "X": rf"(?P<X>{NUMBER})",
    "XS": rf"(?P<X>{NUMBER}(?:,{NUMBER})*)",
}
FORMS: dict[str, Make] = {
    "ablate:L.H": _ablate,
    "ablate-mean:L.H": _ablate_mean,
    "ablate-ff:L": _ablate_ff,
    "ablate-ff-mean:L": _ablate_ff_mean,
    "no-mask": _no_mask,
    "no-mask:L": _no_mask,
    "no-scale": _no_scale,
    "no-scale:L": _no_scale,
    "scale:X": _scale,
    "scale:X@L": _scale,
    "no-positions": _no_positions,
    "no-residual:L.S": _no_residual,
    "look:L.H.P=XS": _look,
}
"""How a word is written -> what it does: L a layer, H a head, P a position, all from 0; X a
number; S attention or feed_forward."""
SWAP = "swap:P.Q"
"""Exchanges two tokens: of the text, not of the model."""


@dataclass(frozen=True)
class Changes:
    """What is to be changed before a model runs."""

    text: str
    """The words, one blank between them; "" for nothing."""
    enters: tuple[Enter, ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()

    def tokens(self, idx: torch.Tensor) -> torch.Tensor:
        """Return token ids (B, T) with the swaps done.

        Raises:
            UserError: If there is no such position.
        """
        for first, second in self.swaps:
            idx = swap_tokens(idx, first, second)
        return idx

    @contextmanager
    def made(self, model: nn.Module, idx: torch.Tensor) -> Iterator[None]:
        """Change a model meanwhile.

        Args:
            model: Is what it was afterwards.
            idx: The tokens (B, T) that it will read.

        Raises:
            UserError: If the model has no such part.
        """
        with ExitStack() as entered:
            for enter in self.enters:
                entered.enter_context(enter(model, idx))
            yield


def parse(text: str) -> Changes:
    """Read the words of a page.

    Raises:
        UserError: If one is no change; names the nearest that is.
    """
    words = text.split()
    if len(words) > MOST_WORDS:
        raise UserError(f"change = {len(words)} words: must be {MOST_WORDS} at most")
    enters, swaps = [], []
    for word in words:
        if found := _pattern(SWAP).fullmatch(word):
            swaps.append((int(found["P"]), int(found["Q"])))
        else:
            enters.append(_change(word))
    return Changes(" ".join(words), tuple(enters), tuple(swaps))


def _change(word: str) -> Enter:
    for form, make in FORMS.items():
        if found := _pattern(form).fullmatch(word):
            return make(found)
    raise unknown("change", word, [*FORMS, SWAP])


@cache
def _pattern(form: str) -> re.Pattern[str]:
    """Return what recognises a word, from how it is written."""
    name, colon, places = form.partition(":")
    pattern = re.sub(r"XS|[A-Z]", lambda found: PLACES[found[0]], places.replace(".", r"\."))
    return re.compile(re.escape(name) + colon + pattern, re.ASCII)


def _layers(found: re.Match[str]) -> list[int] | None:
    layer = found.groupdict().get("L")
    return None if layer is None else [int(layer)]
