"""What the pages compute: with the package's own arithmetic, from its own tables.

Nothing here is measured. Tables are returned as (head, rows), as `pages.table` takes them.
"""

import inspect
import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

from playattention.bench.devices import DEVICES, TERA
from playattention.bench.memory import peak
from playattention.bench.sizes import flops_per_token, weights
from playattention.config import GPT2_PRESETS, GPT2Config, RunConfig
from playattention.training.optimizer import orthogonal
from playattention.training.train_gpt2 import RECIPE

Table = tuple[list[str], list[list[object]]]
FORMATS = {"float32": "off", "bf16 by autocast": "bf16"}
SHOWN_DEVICES = ("t4", "v100-32gb", "a100-80gb", "rtx3090", "rtx4090", "l4", "h100", "h200")


def gpt2_weights() -> int:
    """Return the weights of GPT-2 124M, without padding rows."""
    return sum(weights(GPT2Config(vocab_multiple=1)).values())


def gpt2_parts() -> dict[str, int]:
    """Return them by part."""
    return weights(GPT2Config(vocab_multiple=1))


def gpt2_biases() -> int:
    """Return how many of them are biases of matrices and norms."""
    model = GPT2Config()
    a_block = 3 * model.n_embd + model.n_embd + 4 * model.n_embd + model.n_embd + 2 * model.n_embd
    return model.n_layer * a_block + model.n_embd


def gpt2_flops() -> int:
    """Return the operations for each token of a training step of GPT-2 124M."""
    return flops_per_token(GPT2Config())


def cache_bytes(layers: int, channels: int, tokens: int, size: int) -> int:
    """Return the bytes of a key-value cache: two vectors per token and layer."""
    return 2 * layers * channels * tokens * size


def muon_share(width: int, tokens: int) -> float:
    """Return the operations of Muon's polynomials / those of a step, in the matrices of a block.

    Args:
        width: Channels, the shorter side of every matrix in a block.
        tokens: Tokens of a step, each 6 operations a weight, forward and backward.
    """
    longer = [3 * width, width, 4 * width, 4 * width]
    # X Xᵀ, its square, and their sum times X; two operations for each product of numbers.
    products = sum(2 * width * width * (2 * side + width) for side in longer)
    times = inspect.signature(orthogonal).parameters["times"].default
    return times * products / (6 * tokens * sum(width * side for side in longer))


def devices() -> Table:
    """Return what some devices hold and compute, from their makers' data sheets."""
    rows: list[list[object]] = []
    for key in SHOWN_DEVICES:
        one = DEVICES[key]
        tf32 = f"{one.tf32 / TERA:g}" if one.tf32 else "none"
        half = f"{one.half / TERA:g}" + ("" if one.has_bf16 else " (fp16 only)")
        rows.append([key, one.memory // 10**9, f"{one.float32 / TERA:g}", tf32, half, one.source])
    head = ["device", "memory, GB", "float32", "TF32", "bf16 and fp16", "source"]
    return head, rows


def step_memory() -> Table:
    """Return the planned memory of a training step of GPT-2 124M, by part, in GiB."""
    moments = {name: peak(_recipe(autocast), gpu=True) for name, autocast in FORMATS.items()}
    parts = next(iter(moments.values())).parts
    rows: list[list[object]] = [
        [part, *(f"{moment.parts[part] / 2**30:.2f}" for moment in moments.values())]
        for part in parts
        if any(moment.parts[part] for moment in moments.values())
    ]
    rows.append(["at the peak", *(f"{moment.total / 2**30:.2f}" for moment in moments.values())])
    return ["part, GiB", *moments], rows


def _recipe(autocast: str) -> RunConfig:
    """Return GPT-2's recipe on one GPU, uncompiled."""
    return RECIPE.updated(train={"autocast": autocast, "compile": "off"})


@cache
def printed(page: str, number: int) -> list[str]:
    """Return the lines that a block of Python prints.

    Args:
        page: Its file, in this folder.
        number: Which of the page's blocks that are typed, from 0.
    """
    text = (Path(__file__).parent / page).read_text(encoding="utf-8")
    code = typed_blocks(text)[number]
    told = io.StringIO()
    with redirect_stdout(told):
        exec(compile(code, f"{page}, block {number}", "exec"), {"__name__": "docs"})
    return told.getvalue().splitlines()


def typed_blocks(text: str) -> list[str]:
    """Return the blocks of Python of a page, without those that cog placed there."""
    own = re.sub(r"\[\[\[cog.*?\[\[\[end\]\]\]", "", text, flags=re.DOTALL)
    return re.findall(r"```python\n(.*?)```", own, re.DOTALL)


def readme_sample(title: str) -> list[str]:
    """Return the lines of a sample text of the README, by the words in bold above it."""
    (text,) = _in_readme(rf"\*\*{re.escape(title)}\.\*\* .*?```text\n(.*?)```")
    return text.splitlines()


def readme_losses() -> tuple[str, ...]:
    """Return the mean loss of GPT's recipe over characters, and that of each of its seeds."""
    return _in_readme(r"loss of \*\*([\d.]+)\*\*.*?: ([\d.]+), ([\d.]+), ([\d.]+);")


def readme_token_loss() -> str:
    """Return the loss of the README's model over GPT-2's tokens."""
    return _in_readme(r"validation loss ([\d.]+) nats per token")[0]


def _in_readme(pattern: str) -> tuple[str, ...]:
    """Return the groups of a pattern's first place in the README."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    found = re.search(pattern, readme, re.DOTALL)
    assert found, pattern
    return found.groups()


def shared_memory() -> list[list[object]]:
    """Return the planned memory of a step of GPT-2 XL on 8 GPUs, by part, with DDP and FSDP."""
    moments = [
        peak(
            RECIPE.updated(
                model=GPT2_PRESETS["gpt2-xl"],
                train={
                    "autocast": "bf16",
                    "compile": "off",
                    "batch_size": 1,
                    "tokens_per_step": 8 * 1024,
                    "parallel": parallel,
                },
            ),
            gpu=True,
            devices=8,
        )
        for parallel in ("ddp", "fsdp")
    ]
    rows: list[list[object]] = [
        [part, *(f"{moment.parts[part] / 2**30:.2f}" for moment in moments)]
        for part in moments[0].parts
        if any(moment.parts[part] for moment in moments)
    ]
    rows.append(["at the peak", *(f"{moment.total / 2**30:.2f}" for moment in moments)])
    return [*rows, ["the peak is at", *(moment.name for moment in moments)]]


def show_sample(sample: Mapping[str, str]) -> None:
    """Print a recorded text under the command that wrote it."""
    print(f"`{sample['command']}`:\n\n```text\n{sample['text']}\n```")
