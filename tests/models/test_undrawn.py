"""Models built without drawing weights."""

import pytest
import torch
from torch import nn

from playattention.models import MODELS, build_model
from playattention.models.undrawn import Undrawn
from tests.models.conftest import CONFIGS, SIZES


@pytest.mark.parametrize("name", MODELS)
def test_no_random_number_is_drawn_for_a_model(name: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Undrawn():
        model = build_model(CONFIGS[name](**SIZES))
    assert torch.equal(torch.get_rng_state(), before)
    build_model(CONFIGS[name](**SIZES))
    assert not torch.equal(torch.get_rng_state(), before), "outside, weights are drawn"
    drawn = build_model(CONFIGS[name](**SIZES))
    model.load_state_dict(drawn.state_dict())
    idx = torch.tensor([[1, 2, 3]])
    assert torch.equal(model.eval()(idx)[0], drawn.eval()(idx)[0])


def test_what_is_no_weight_is_drawn_all_the_same() -> None:
    """A buffer of a learner's own, say, which no checkpoint holds."""
    torch.manual_seed(0)
    expected = torch.empty(3).normal_()
    torch.manual_seed(0)
    with Undrawn():
        nn.init.normal_(nn.Parameter(torch.empty(2)))
        drawn = torch.empty(3).normal_()
    assert torch.equal(drawn, expected)
