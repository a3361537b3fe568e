"""Modules seen from outside: the same function comes of any right way to write it."""

import pytest
import torch
from torch import nn

from playattention.course.filling import (
    count_unmoved,
    count_weights,
    dependencies,
    draw,
    elsewhere,
    every_weight,
    fill,
    fill_with,
    is_untouched,
    steady,
    strided,
    tell_dependencies,
)


@pytest.fixture(autouse=True)
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Hidden(nn.Module):
    """Keeps a layer where an optimizer does not find it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 4)]


def test_a_matrix_gets_the_same_on_either_side_of_its_input():
    layer = fill(nn.Linear(3, 5), seed=1, biases=True)
    raw = fill(nn.ParameterList([torch.randn(3, 5), torch.randn(5)]), seed=1, biases=True)
    x = draw(2, 4, 3)
    torch.testing.assert_close(layer(x), x @ raw[0] + raw[1])


def test_fused_separate_and_per_head_projections_come_to_the_same():
    fused = fill(nn.Linear(12, 36), seed=1, head_size=4).weight
    separate = fill(nn.Linear(12, 12), seed=1, head_size=4).weight
    head = fill(nn.Linear(12, 4), seed=1, head_size=4).weight
    stacked = fill(nn.ParameterList([torch.randn(3, 12, 4)]), seed=1, head_size=4)[0]
    channels_first = fill(nn.ParameterList([torch.randn(12, 3, 4)]), seed=1, head_size=4)[0]
    assert torch.equal(fused, separate.repeat(3, 1))
    assert torch.equal(separate, head.repeat(3, 1))
    assert torch.equal(stacked, head.T.expand(3, 12, 4))
    assert torch.equal(channels_first, stacked.transpose(0, 1))


def test_biases_are_0_unless_asked_for_and_gains_are_told_by_their_ones():
    norm = fill(nn.LayerNorm(6), seed=1)
    assert norm.bias.eq(0).all()
    assert norm.weight.ne(1).all()
    assert fill(nn.LayerNorm(6), seed=1, biases=True).bias.ne(0).all()
    assert fill_with(nn.LayerNorm(6), torch.zeros(1, 1)).weight.eq(1).all()


def test_a_layer_in_a_list_is_filled_and_not_counted():
    module = Hidden()
    fill_with(module, torch.full((1, 1), 2.0))
    assert len(list(every_weight(module))) == 2
    assert module.layers[0].weight.eq(2).all()
    assert sum(count_weights(module).values()) == 0


def test_weights_are_counted_by_what_they_are():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    assert count_weights(module) == {"in matrices": 12, "in gains": 4, "in biases": 8}


def test_numbers_without_a_gradient_are_counted():
    module = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 2)])
    hidden = module[0](draw(1, 5, 3))
    assert count_unmoved(module, module[1](hidden.detach())) == 12


def test_dependencies_are_those_of_the_first_text():
    seen = dependencies(lambda x: x.cumsum(1), draw(1, 2, 3, 4))
    assert seen == [[0], [0, 1], [0, 1, 2]]


def test_dropout_hides_no_dependency():
    dropout = nn.Dropout(0.3)
    assert dependencies(dropout, draw(1, 1, 3, 40)) == [[0], [1], [2]]


def test_a_wrong_dependency_is_told_in_words():
    told = tell_dependencies([[0], [0, 1, 2]], [[0], [0, 1]])
    assert told == "token 1 depends on the tokens 0, 1, 2; right is: on the tokens 0, 1"


def test_what_differs_from_call_to_call_is_told():
    x = torch.ones(40)
    assert steady(nn.Dropout(0.5), x) == "something else in each call"
    assert torch.equal(steady(torch.neg, x), -x)


def test_a_call_that_writes_into_its_input_is_seen():
    assert is_untouched(torch.neg, torch.ones(3))
    assert not is_untouched(torch.neg_, torch.ones(3))


def test_strided_numbers_are_equal_and_refuse_a_view():
    x = draw(1, 2, 3)
    assert torch.equal(strided(x), x)
    with pytest.raises(RuntimeError, match="view"):
        strided(x).view(-1)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x + torch.arange(3),
        lambda x: x.masked_fill(torch.ones(3, 3).tril()[:3] > 0, 0.0),
        lambda x: nn.functional.embedding(torch.arange(3), x),
        lambda x: x @ torch.ones(3, 3).to(torch.float64),
    ],
)
def test_a_tensor_made_without_a_device_may_not_meet_the_input(call):
    with pytest.raises(RuntimeError, match="default device"):
        elsewhere(call, draw(1, 3, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x + torch.arange(3, device=x.device),
        lambda x: x + torch.ones(3, 3).to(x.device),
        lambda x: x + torch.ones(3, 3).to(x),
        lambda x: x + torch.zeros_like(x) + x.new_ones(3),
        lambda x: x / torch.tensor(3.0).sqrt(),
        lambda x: x[torch.arange(2)],
    ],
)
def test_what_works_on_a_gpu_is_let_pass(call):
    x = draw(1, 3, 3)
    assert torch.equal(elsewhere(call, x), call(x))
