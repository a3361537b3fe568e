"""Matrices split among the cores, against the same matrices whole."""

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from torch import nn

from playattention.generation import generate
from playattention.models import split as module
from playattention.models.kv_cache import KVCache
from playattention.models.model_gpt2 import GPT2Model
from playattention.models.single_tokens import lay_out_for_generation
from playattention.models.split import SplitMatrix, split
from tests.models.conftest import CONFIGS, SIZES

PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So many parts, of matrices however small."""
    monkeypatch.setattr(module, "SMALL", 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


def is_split(weight: torch.Tensor) -> bool:
    return isinstance(weight, SplitMatrix)


def test_a_split_model_computes_the_same_in_pieces_too(model: nn.Module) -> None:
    """Of several texts, of one token and of several; in float64, so that nothing hides."""
    whole = model(PROMPT)[0]
    split(model)
    assert any(map(is_split, model.parameters()))
    torch.testing.assert_close(model(PROMPT)[0], whole)
    cache = KVCache(SIZES["seq_size"])
    parts = [model(PROMPT[:, a:b], cache=cache)[0] for a, b in ((0, 1), (1, 3))]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_what_is_laid_out_to_be_alone_writes_the_same_tokens(model: nn.Module) -> None:
    model.float()
    alone = deepcopy(model)
    lay_out_for_generation(alone, alone=True)
    assert any(map(is_split, alone.parameters()))
    length = SIZES["seq_size"] + 5
    texts = [
        generate(one, PROMPT, length, generator=torch.Generator().manual_seed(1))
        for one in (model, alone)
    ]
    assert torch.equal(*texts)


def test_what_may_still_be_trained_is_not_split(model: nn.Module) -> None:
    lay_out_for_generation(model.float())
    assert not any(map(is_split, model.parameters()))


def test_a_table_that_is_also_the_head_stays_one() -> None:
    sizes = {**SIZES, "vocab_size": 12}
    model = GPT2Model(CONFIGS["gpt2"](**sizes, vocab_multiple=1))
    idx = torch.arange(7)[None]
    table, whole = model.token_embedding(idx), model(idx)[0]
    split(model)
    assert is_split(model.token_embedding.weight)
    assert model.token_embedding.weight.shape == (3, 12, 4)
    torch.testing.assert_close(model.token_embedding(idx), table)
    torch.testing.assert_close(model(idx)[0], whole)


def test_parts_divide_the_outputs_or_there_are_none() -> None:
    six, seven, ten = (nn.Linear(4, outputs) for outputs in (6, 7, 10))
    split(nn.Sequential(six, seven, ten))
    assert six.weight.shape == (3, 4, 2)
    assert seven.weight.shape == (7, 4)
    assert ten.weight.shape == (2, 4, 5)


def test_a_small_matrix_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 97)
    layer = nn.Linear(4, 6)
    split(layer)
    assert not is_split(layer.weight)
    monkeypatch.setattr(module, "SMALL", 96)
    split(layer)
    assert is_split(layer.weight)
