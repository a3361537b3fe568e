"""Tensors as bytes."""

import numpy as np
import pytest
import torch

from playattention.errors import UserError
from playattention.playground import tensors


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.tensor([[1.5, float("-inf")], [float("nan"), -0.0]]), "float32"),
        (torch.tensor([1, -2, 2**31 - 1]), "int32"),
        (torch.tensor([True, False]), "int32"),
        (torch.tensor([1.0, 3.140625], dtype=torch.bfloat16), "float32"),
        (torch.tensor([1.5, 65504], dtype=torch.float16), "float32"),
        (torch.tensor(2.5), "float32"),
        (torch.zeros(2, 0, 3), "float32"),
        (torch.arange(12.0).view(3, 4).T, "float32"),
        (torch.ones(2, 1).expand(2, 3), "float32"),
        (torch.ones(2, requires_grad=True), "float32"),
    ],
)
def test_every_number_arrives_as_it_is(tensor, kind):
    answer = tensors.binary(tensor)
    shape = [int(size) for size in answer.headers["x-shape"].split(",") if size]
    assert answer.headers["x-dtype"] == kind
    assert shape == [*tensor.shape]
    received = np.frombuffer(answer.body, {"float32": "<f4", "int32": "<i4"}[kind]).reshape(shape)
    expected = tensor.detach().double().numpy()
    assert np.array_equal(received.astype(float), expected, equal_nan=True)


def test_a_header_of_its_own_is_added():
    assert tensors.binary(torch.ones(1), x_steps="0,5").headers["X-Steps"] == "0,5"


def test_what_is_too_large_for_an_answer_is_told(monkeypatch):
    monkeypatch.setattr(tensors, "MOST_BYTES", 40)
    assert tensors.binary(torch.ones(10))
    with pytest.raises(UserError, match="44 bytes are too many"):
        tensors.binary(torch.ones(11))


@pytest.mark.parametrize("index", [(2,), (0, 3), (0, 0, 0), (-1,)])
def test_a_place_that_is_not_there_is_told(index):
    with pytest.raises(UserError, match="up to 1,2"):
        tensors.part_of(torch.ones(2, 3), index, "x")


def test_a_single_number_has_no_places():
    assert tensors.part_of(torch.tensor(3.0), [], "x") == 3
    with pytest.raises(UserError, match="as it is a single number"):
        tensors.part_of(torch.tensor(3.0), [0], "x")
    with pytest.raises(UserError, match="columns"):
        tensors.columns_of(torch.tensor(3.0), "0:1")
