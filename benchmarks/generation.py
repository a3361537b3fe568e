"""200 greedy tokens from GPT-2 124M: ours against Hugging Face's, same weights, on a CPU.

In float32 and in 16 bits, one text and 16 side by side, and a character model of 4 x 128.

`python benchmarks/generation.py` prints a table and writes `benchmarks/results/generation.json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from transformers import GPT2LMHeadModel as TheirModel

from hugging_face import copy_weights, their_model
from measure import RESULTS, at_least_one, compare, show, write
from playattention.bench.limits import product_speed, summing_speed, vector_product_speed
from playattention.bench.spread import take_turns
from playattention.config import GPT2Config, GPTConfig, ModernConfig
from playattention.generation import generate
from playattention.models import build_model
from playattention.models.model_gpt2 import GPT2Model
from playattention.models.single_tokens import lay_out_for_generation

CACHED, UNCACHED = "playattention", "playattention, no cache"
THEIRS, TUNED = "Hugging Face", "Hugging Face, fused GELU"
HALF, BRAIN = "playattention, float16", "playattention, bfloat16"
THEIR_BRAIN = "Hugging Face, bfloat16"
TOGETHER, TOGETHER_HALF = "16 texts", "16 texts, float16"
COMPILED = "playattention, compiled"
CHARACTERS = ("4x128, GPT", "4x128, GPT-2", "4x128, modern")
COMPILED_CHARACTERS = tuple(f"{name}, compiled" for name in CHARACTERS)
PAIRS = [
    (CACHED, THEIRS),
    (CACHED, TUNED),
    (COMPILED, CACHED),
    (HALF, THEIRS),
    (BRAIN, THEIRS),
    (BRAIN, THEIR_BRAIN),
    (UNCACHED, CACHED),
    (TOGETHER, CACHED),
    (TOGETHER_HALF, HALF),
    *zip(COMPILED_CHARACTERS, CHARACTERS, strict=True),
]

SEVERAL = 16
SELDOM = (UNCACHED, THEIR_BRAIN)
SAME = (CACHED, COMPILED, UNCACHED, THEIRS, TUNED)
"""Those with the very same weights, which must write the same tokens."""


@dataclass(frozen=True)
class Options:
    """What is measured, and how often."""

    repetitions: int = 15
    """Turns of each contestant."""
    uncached_repetitions: int = 3
    """Turns of what takes several times as long: without a cache, and theirs in bfloat16."""
    prompt: int = 8
    """Tokens to start from."""
    tokens: int = 200
    """Tokens to generate."""
    threads: int | None = None
    """CPU threads; default: what PyTorch chooses."""
    seed: int = 1337
    """Decides weights and prompt."""
    output: Path = RESULTS / "generation.json"
    """Where the results go."""


def main(options: Options) -> None:
    """Measure, write and print."""
    at_least_one(
        repetitions=options.repetitions,
        uncached_repetitions=options.uncached_repetitions,
        prompt=options.prompt,
        tokens=options.tokens,
        threads=options.threads,
    )
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    sizes = GPT2Config()
    theirs = their_model(sizes)
    draw_wider(theirs)
    prompt = torch.randint(sizes.vocab_size, (1, options.prompt))
    contestants = build_contestants(sizes, theirs, prompt, options.tokens)
    same = {name: contestants[name] for name in SAME}
    distinct = check_same_tokens(same, options.prompt)
    for name in contestants.keys() - same.keys():
        contestants[name]()  # warms it up

    seconds = measure(contestants, options)
    per_token = {
        name: [1000 * taken / options.tokens / texts(name) for taken in raw]
        for name, raw in seconds.items()
    }
    results = {
        "what": f"{options.tokens} greedy tokens after {options.prompt}, on the CPU",
        "unit": "milliseconds per token",
        "settings": settings(sizes, options),
        "same_tokens": True,  # or check_same_tokens had raised
        "distinct_tokens": distinct,
        **compared(per_token, bytes_per_token(theirs)),
    }
    show(write(options.output, results))


def settings(sizes: GPT2Config, options: Options) -> dict[str, Any]:
    """Return what the results were measured with."""
    return {
        "model": sizes.model_dump(),
        "batch_size": 1,
        "prompt": options.prompt,
        "tokens": options.tokens,
        "sampling": "greedy, no token ends the text",
        "dtype": "float32 where a name says no other",
        "texts_together": SEVERAL,
        "device": "cpu",
        "repetitions": options.repetitions,
        "uncached_repetitions": options.uncached_repetitions,
        "seed": options.seed,
    }


def compared(per_token: dict[str, list[float]], size: int) -> dict[str, Any]:
    """Return the contestants side by side, and beside what the machine could do.

    Args:
        per_token: Milliseconds of each repetition.
        size: Bytes of weights that a token of GPT-2 124M needs in float32.
    """
    vector = vector_product_speed(torch.device("cpu"))
    reading = max(vector, summing_speed(torch.device("cpu")))
    products = product_speed(torch.device("cpu"), torch.float32)
    found = compare(per_token, PAIRS, shortest=1000 * size / reading)
    share, times = found["share_of_limit"], found["times"]
    for name in (HALF, BRAIN, THEIR_BRAIN):
        share[name] /= 2  # half the bytes
    # A product and a sum for each weight.
    operations = dict.fromkeys((TOGETHER, TOGETHER_HALF), 2 * size / 4)  # one reading for 16 texts
    # The blocks of 4x128 stay in the processor's cache: nothing to read.
    operations |= dict.fromkeys((*CHARACTERS, *COMPILED_CHARACTERS), 2.0 * 12 * 4 * 128**2)
    for name, number in operations.items():
        share[name] = 1000 * number / products / times[name]["median"]
    limit = {
        "bytes_per_token": size,
        "bytes_per_second": reading,
        "of_a_vector_product": vector,
        "operations_per_second": products,
    }
    return {"limit": limit, **found}


@torch.no_grad()
def draw_wider(model: TheirModel) -> None:
    """Draw the matrices of the blocks anew, with a standard deviation of 0.1 in place of 0.02.

    With GPT-2's first weights the stream is little more than the last token's embedding, which is
    also its row of the output head: the model repeats that token for ever, and that two
    implementations agree on it would show nothing.
    """
    for block in model.transformer.h:
        for weight in block.parameters():
            if weight.dim() == 2:
                torch.nn.init.normal_(weight, std=0.1)


def build_contestants(
    sizes: GPT2Config, theirs: TheirModel, prompt: torch.Tensor, tokens: int
) -> dict[str, Callable[[], torch.Tensor]]:
    """Return the contestants, all with the same weights: name -> what returns (1, T) token ids."""
    ours = laid_out(sizes, theirs, torch.float32)
    tuned = their_model(sizes, activation="gelu_pytorch_tanh")
    tuned.load_state_dict(theirs.state_dict())
    half, brain = (laid_out(sizes, theirs, dtype) for dtype in (torch.float16, torch.bfloat16))
    their_brain: Any = their_model(sizes)  # transformers declares its `to` for classes
    their_brain.load_state_dict(theirs.state_dict())
    torch.nn.Module.to(their_brain, torch.bfloat16)
    small = {"vocab_size": 65, "n_layer": 4, "n_head": 4, "n_embd": 128, "seq_size": 256}
    characters: dict[str, Callable[[], torch.Tensor]] = {}
    configs: list[GPTConfig | GPT2Config | ModernConfig]
    configs = [GPTConfig(**small), GPT2Config(**small), ModernConfig(**small)]
    for name, config in zip(CHARACTERS, configs, strict=True):
        model = build_model(config).eval()
        lay_out_for_generation(model, alone=True)
        for each, compiled in ((name, False), (f"{name}, compiled", True)):
            characters[each] = partial(generate, model, prompt % 65, tokens, compiled=compiled)
    return {
        HALF: lambda: generate(half, prompt, tokens, temperature=0.0),
        BRAIN: lambda: generate(brain, prompt, tokens, temperature=0.0),
        THEIR_BRAIN: lambda: their_tokens(their_brain, prompt, tokens),
        TOGETHER: lambda: generate(ours, prompt, tokens, samples=SEVERAL),
        TOGETHER_HALF: lambda: generate(half, prompt, tokens, samples=SEVERAL),
        **characters,
        CACHED: lambda: generate(ours, prompt, tokens, temperature=0.0),
        COMPILED: lambda: generate(ours, prompt, tokens, temperature=0.0, compiled=True),
        UNCACHED: lambda: generate(ours, prompt, tokens, temperature=0.0, use_cache=False),
        THEIRS: lambda: their_tokens(theirs, prompt, tokens),
        TUNED: lambda: their_tokens(tuned, prompt, tokens),
    }


def laid_out(sizes: GPT2Config, theirs: TheirModel, dtype: torch.dtype) -> GPT2Model:
    """Return our model with their weights, as `playattention generate --dtype` has it."""
    ours = GPT2Model(sizes).eval()
    copy_weights(theirs, ours)
    lay_out_for_generation(ours, dtype, alone=True)
    return ours


def texts(name: str) -> int:
    """Return how many texts a contestant writes at once."""
    return SEVERAL if name in {TOGETHER, TOGETHER_HALF} else 1


def their_tokens(model: TheirModel, prompt: torch.Tensor, tokens: int) -> torch.Tensor:
    """Return the prompt and what their model goes on with, exactly so many tokens.

    Its configuration has no token that ends a text, so `min_new_tokens`, which costs them time at
    every token, is not needed.
    """
    # Through Any: the mixin that generates is declared for more classes than this one.
    anything: Any = model
    ids: torch.Tensor = anything.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=tokens,
        do_sample=False,
        use_cache=True,
    )
    return ids


def check_same_tokens(contestants: dict[str, Callable[[], torch.Tensor]], prompt: int) -> int:
    """Make sure that the contestants do the same work, which also warms them up.

    Args:
        contestants: What `build_contestants` returned.
        prompt: Tokens that were given.

    Returns:
        How many different tokens were generated: the more, the more their equality shows.

    Raises:
        AssertionError: If one writes other tokens, or more or fewer.
    """
    expected = contestants[THEIRS]()
    for name, generated in contestants.items():
        torch.testing.assert_close(generated(), expected, msg=f"{name}: other tokens")
    return len(set(expected[0, prompt:].tolist()))


def measure(
    contestants: dict[str, Callable[[], torch.Tensor]], options: Options
) -> dict[str, list[float]]:
    """Return how many seconds each contestant took: name -> (repetitions)."""
    few = min(options.uncached_repetitions, options.repetitions)
    seconds = take_turns(contestants, few)
    often = {name: run for name, run in contestants.items() if name not in SELDOM}
    for name, more in take_turns(often, options.repetitions - few).items():
        seconds[name] += more
    return seconds


def bytes_per_token(model: TheirModel) -> int:
    """Return the bytes that must be read for each token: every weight once, but one position."""
    positions = model.transformer.wpe.weight
    return sum(weight.nbytes for weight in model.parameters()) - positions[1:].nbytes


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
