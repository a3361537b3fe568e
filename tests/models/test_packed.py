"""16-bit matrices against the float32 ones that they were rounded from."""

import pytest
import torch
from torch import nn

from playattention.generation import generate
from playattention.models import MODELS, build_model
from playattention.models.packed import PackedMatrix
from playattention.models.single_tokens import lay_out_for_generation
from tests.models.conftest import CONFIGS, SIZES

BITS = {torch.float16: 11, torch.bfloat16: 8}
PROMPT = torch.tensor([[1, 2, 3], [4, 5, 6]])

each_dtype = pytest.mark.parametrize("dtype", BITS, ids=str)


@pytest.fixture(params=MODELS)
def models(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module]:
    """Two models of the same weights."""
    config = CONFIGS[request.param](**SIZES)
    torch.manual_seed(0)
    one, other = build_model(config).eval(), build_model(config).eval()
    for weight in one.parameters():
        nn.init.normal_(weight, std=0.4)
    other.load_state_dict(one.state_dict())
    return one, other


@each_dtype
def test_a_packed_model_computes_in_float32_with_rounded_weights(
    models: tuple[nn.Module, nn.Module], dtype: torch.dtype
) -> None:
    """Against a float32 model whose matrices were rounded beforehand."""
    rounded, packed = models
    with torch.no_grad():
        for weight in rounded.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.to(dtype).float())
    lay_out_for_generation(packed, dtype)
    logits = packed(PROMPT)[0]
    assert logits.dtype is torch.float32
    torch.testing.assert_close(logits, rounded(PROMPT)[0], rtol=1e-4, atol=1e-4)


@each_dtype
def test_each_matrix_is_within_its_significant_bits(
    models: tuple[nn.Module, nn.Module], dtype: torch.dtype
) -> None:
    exact, packed = models
    lay_out_for_generation(packed, dtype)
    for before, after in zip(exact.parameters(), packed.parameters(), strict=True):
        if before.dim() == 2:
            assert isinstance(after, PackedMatrix)
            assert after.dtype is dtype
            change = (after.data.float() - before).abs()
            assert (change <= before.abs() * 2.0 ** -BITS[dtype] + 2**-25).all()
        else:
            assert torch.equal(before, after)


def test_one_token_at_a_time_gives_what_all_at_once_give(
    models: tuple[nn.Module, nn.Module],
) -> None:
    packed = models[1]
    lay_out_for_generation(packed, torch.float16)
    cached = generate(packed, PROMPT, 12, temperature=0)
    assert torch.equal(cached, generate(packed, PROMPT, 12, temperature=0, use_cache=False))


def test_a_weight_in_two_places_stays_one() -> None:
    model = build_model(CONFIGS["gpt2"](**SIZES)).eval()
    before = len(list(model.parameters()))
    lay_out_for_generation(model, torch.float16)
    assert len(list(model.parameters())) == before
