"""What makes single tokens fast: heads joined, matrices laid out for it, one step compiled.

The models stay as they are written; this is for those that only generate. Knows neither sampling
nor training.
"""

from collections.abc import Callable

import torch
from torch import nn

from playattention.models import packed
from playattention.models.joined import join_heads
from playattention.models.split import split


def lay_out_for_generation(
    model: nn.Module, dtype: torch.dtype = torch.float32, *, alone: bool = False
) -> None:
    """Lay the matrices of a model out in memory so that single tokens are fast.

    Generation multiplies each matrix with one vector at a time, which is faster over long rows. In
    float32, a matrix with more outputs than inputs is therefore kept input by input; shapes, values
    and gradients are as before. A model that is alone has its matrices split among the cores: see
    `models/split.py`. In 16 bits there is half as much to read, at the price of rounded weights:
    see `models/packed.py`. Measured for GPT-2 124M: benchmarks/README.md.

    Args:
        model: Its weights are laid out anew, in place.
        dtype: float32, or to generate only float16 or bfloat16.
        alone: It will do nothing but generate: heads that are spelled out may be joined, and
            matrices split.

    Raises:
        UserError: If this processor has no fast product with 16-bit weights.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    if alone:
        join_heads(model)
    if dtype is not torch.float32:
        if on_cpu:
            packed.pack(model, dtype)
        else:
            model.to(dtype)
        return
    if alone and on_cpu:
        split(model)
    for weight in model.parameters():
        if weight.dim() == 2 and weight.size(0) > weight.size(1):
            weight.data = weight.data.T.contiguous().T


def compiled_step(model: nn.Module) -> Callable[..., tuple[torch.Tensor, torch.Tensor | None]]:
    """Return the model, to be compiled when it is first called, for a single token and its cache.

    A small model waits for the many calls that a token takes; compiled, it takes few. Later calls,
    also of another step of the same model, find it compiled.

    Args:
        model: As `lay_out_for_generation` left it, in float32.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    # Lengths vary from token to token; on a CPU the calls between kernels are worth compiling too.
    return torch.compile(model, dynamic=True, options={"cpp_wrapper": on_cpu})
