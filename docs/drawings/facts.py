"""What the drawings draw: the shapes of a model that runs here and now, and recorded numbers.

Shapes come from `xray.watch` on a GPT of the recipe's sizes, their letters from the comments of
the very lines that made them; numbers from recorded.json, which `record.py` wrote. Knows no shapes
on a page.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import torch

from playattention import xray
from playattention.config import GPTConfig
from playattention.models.model_gpt import GPTModel
from playattention.training.train_gpt import RECIPE

VOCABULARY = 65
"""Distinct characters of Tiny Shakespeare, which the recipe trains on."""
Rows = list[list[float | None]]


@cache
def recorded() -> dict[str, Any]:
    """Return what was recorded."""
    path = Path(__file__).parent / "recorded.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def value(title: str) -> Any:
    """Return a recorded value, such as "blocks.0.attention.heads.0:weights", as nested lists."""
    return recorded()["values"][title]


def tokens() -> list[str]:
    """Return the tokens that the recorded values belong to."""
    return list(recorded()["text"][:-1])


def following() -> list[str]:
    """Return the tokens that come next."""
    return list(recorded()["text"][1:])


def origin() -> str:
    """Return in one sentence where the recorded numbers come from."""
    model = recorded()["model"]
    return (
        f"Numbers: a GPT of {model['n_layer']} blocks, {model['n_head']} heads, "
        f"{model['n_embd']} channels, after {recorded()['step']:,} steps on the built-in plays."
    )


@cache
def laptop_trace() -> xray.Trace:
    """Return a forward pass of a GPT of the recipe's sizes over one micro-batch."""
    torch.manual_seed(0)
    config = GPTConfig(**{**RECIPE.model.model_dump(exclude={"name"}), "vocab_size": VOCABULARY})
    shape = (RECIPE.train.batch_size, config.seq_size)
    idx = torch.randint(VOCABULARY, shape)
    return xray.watch(GPTModel(config).eval(), idx, idx.roll(-1, 1))


def shapes(module: str, name: str) -> tuple[str, str]:
    """Return a value's shape in letters and in numbers: ("(B, T, C)", "(12, 64, 128)").

    Args:
        module: Dotted path in the GPT of the recipe.
        name: A variable of its source; "idx" is what goes in.

    Raises:
        ValueError: If the comment on its line does not fit the tensor.
    """
    trace = laptop_trace()
    if name == "idx":
        return "(B, T)", _written(trace.idx)
    found = trace.one(module, name)
    if found.tensor.dim() == 0:
        return "()", "one number"
    line = trace.sources[found.file].splitlines()[found.line - 1]
    comment = re.search(r"# (?:H x )?(\(.*\))$", line)
    if comment is None or comment[1].count(",") + 1 != found.tensor.dim():
        raise ValueError(f"{found}: no comment with its shape")
    return comment[1], _written(found.tensor)


def weight_shape(name: str) -> str:
    """Return the shape of a parameter of the GPT of the recipe, in numbers."""
    return _written(laptop_trace().weights[name])


def shown(number: float | None, digits: int = 2) -> str:
    """Return a number as it is written in a drawing; None stands for minus infinity."""
    if number is None:
        return "−∞"
    text = f"{number:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def _written(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape)).replace(",)", ")")
