"""The step of a single token, compiled."""

import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from playattention.errors import UserError
from playattention.generation import generate
from playattention.models.kv_cache import KVCache
from playattention.models.single_tokens import lay_out_for_generation
from tests.models.conftest import SIZES

PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.fixture
def writer(model: nn.Module) -> nn.Module:
    """A model as `playattention generate` has it."""
    lay_out_for_generation(model.float(), alone=True)
    return model


@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_step_is_one_piece_for_all_lengths(writer: nn.Module) -> None:
    """Pieces with Python in between, or another compilation at each length, would make it slow."""
    torch._dynamo.reset()
    counter = CompileCounter()
    step = torch.compile(writer, dynamic=True, backend=counter)
    cache = KVCache(SIZES["seq_size"])
    with torch.no_grad():
        writer(PROMPT, cache=cache)
        for _ in range(4):
            step(PROMPT[:, :1], cache=cache)
    assert counter.frame_count == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_compiled_step_writes_the_same_texts(writer: nn.Module) -> None:
    """Of several prompts and samples, and past the context, where the cache begins anew."""
    torch._dynamo.reset()
    texts = [
        generate(
            writer,
            PROMPT,
            SIZES["seq_size"] + 5,
            generator=torch.Generator().manual_seed(1),
            compiled=compiled,
            samples=2,
        )
        for compiled in (True, False)
    ]
    assert torch.equal(*texts)


def test_a_step_without_a_cache_is_not_compiled(writer: nn.Module) -> None:
    with pytest.raises(UserError, match=r"compiled = True: .*cache; allowed: False"):
        generate(writer, PROMPT, 1, use_cache=False, compiled=True)
