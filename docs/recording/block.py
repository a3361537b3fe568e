"""The stream through the blocks: its size, the norms' moments, and what residuals do."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from playattention import xray
from playattention.models.model_gpt import GPTModel
from recording.opened import POSITION, Opened


def record(opened: Opened) -> dict[str, object]:
    """Return sizes and moments at one position, a norm by hand, and losses without residuals."""
    norm = opened.block(0).attention_norm
    x = opened.long.find("", "x")[0].tensor[0, POSITION]
    normed = opened.long.one("blocks.0", "attention_input").tensor[0, POSITION]
    before = {"loss": opened.loss()}
    return {
        **before,
        "x": x[:6],
        "mean": x.mean().item(),
        "variance": x.var(correction=0).item(),
        "unbiased_variance": x.var().item(),
        "eps": norm.eps,
        "gain": norm.weight[:6],
        "bias": norm.bias[:6],
        "normed": normed[:6],
        "standardized": ((x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt())[:6],
        "stream": stream(opened),
        "tokens": tokens(opened),
        "without": without(opened),
    }


def stream(opened: Opened) -> list[dict[str, float]]:
    """Return for each block the length of the stream and of what is added to it at POSITION."""
    rows = []
    for layer in range(4):
        values = {
            name: opened.long.one(f"blocks.{layer}", name).tensor[0, POSITION]
            for name in ("attended", "x_attended", "attention_input", "computed")
        }
        x = opened.long.find("", "x")[layer].tensor[0, POSITION]
        row = {name: value.norm().item() for name, value in values.items()}
        rows.append({"x": x.norm().item(), "std": x.std(correction=0).item(), **row})
    last = opened.long.find("", "x")[4].tensor[0, POSITION]
    return [*rows, {"x": last.norm().item(), "std": last.std(correction=0).item()}]


def tokens(opened: Opened) -> list[list[float]]:
    """Return mean and spread of some tokens of the short text before and after the last norm."""
    x, normed = opened.short.find("", "x")[4].tensor[0], opened.short.one("", "normed").tensor[0]
    last = opened.model.final_norm
    plain = (normed - last.bias) / last.weight
    pairs = zip(x, plain, strict=True)
    return [
        [
            before.mean().item(),
            before.std(correction=0).item(),
            after.mean().item(),
            after.std(correction=0).item(),
        ]
        for before, after in pairs
    ]


def without(opened: Opened) -> dict[str, object]:
    """Return validation losses without residuals, in one block and in all."""
    found = []
    for layers in ([0], [1], [2], [3], [0, 1, 2, 3]):
        with _no_residuals(opened.model, layers):
            found.append(opened.loss())
    return {"one": found[:4], "all": found[4]}


@contextmanager
def _no_residuals(model: GPTModel, layers: Iterable[int]) -> Iterator[None]:
    with ExitStack() as changes:
        for layer in layers:
            changes.enter_context(xray.no_residual(model, layer, "attention"))
            changes.enter_context(xray.no_residual(model, layer, "feed_forward"))
        yield
