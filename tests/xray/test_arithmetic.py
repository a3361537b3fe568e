"""Cells: where a movement takes each number from, in small tensors and in large ones."""

import inspect
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from playattention.xray.arithmetic import cells
from playattention.xray.arithmetic.cells import Computed, Leaf, Moved, moved, unravel
from playattention.xray.arithmetic.layers import LAYERS  # its file registers all operations
from playattention.xray.arithmetic.operations import OPERATIONS

MOVEMENTS = {
    "slice": lambda x: x[:, 1:, ::2],
    "last": lambda x: x[:, -1],
    "transpose": lambda x: x.transpose(1, 2),
    "turned and flattened": lambda x: x.transpose(1, 2).flatten(1),
    "view": lambda x: x.view(2, 3, 2, 2),
    "expand": lambda x: x[:1].expand(5, 3, 4),
    "one cell": lambda x: x[1, 2, 3],
    "chosen": lambda x: x[:, torch.tensor([2, 0])],
    "where true": lambda x: x[torch.tensor([[True, False, True], [False, True, True]])],
    "below the diagonal": lambda x: x.tril(),
    "padded": lambda x: F.pad(x, (1, 0)),
    "rolled": lambda x: x.roll(1, 2),
}


@pytest.mark.parametrize("large", [0, 10**6], ids=["by strides", "by numbers"])
@pytest.mark.parametrize("name", MOVEMENTS)
def test_each_cell_of_a_movement_is_found_where_it_was(monkeypatch, name, large):
    monkeypatch.setattr(cells, "LARGE", large)
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    leaf = Leaf("x", x)
    node = moved(lambda parts: MOVEMENTS[name](parts[0]), [leaf])
    expected = MOVEMENTS[name](x)
    assert node.shape == tuple(expected.shape)
    every = unravel(torch.arange(expected.numel()), node.shape)
    assert torch.equal(node.numbers(every).view(expected.shape), expected.double())
    for cell, (base, place) in zip(every.tolist(), node.origins(every), strict=True):
        assert float(base.tensor[place]) == float(expected[tuple(cell)])
        assert base is leaf or (base.text, place) == ("0", ())
    assert torch.equal(node.whole(), expected)


def test_a_large_view_takes_no_memory(monkeypatch):
    monkeypatch.setattr(cells, "LARGE", 0)
    node = moved(lambda parts: parts[0][..., 1:].transpose(0, 1), [Leaf("x", torch.zeros(2, 3))])
    assert isinstance(node, Moved)
    assert node.sources.is_meta


def test_cells_of_several_tensors_are_told_apart():
    parts = [Leaf("a", torch.zeros(2, 3)), Leaf("b", torch.ones(2, 2))]
    node = moved(lambda given: torch.cat(given, dim=1), parts)
    origins = node.origins(torch.tensor([[1, 2], [1, 3]]))
    assert [(base.text, place) for base, place in origins] == [("a", (1, 2)), ("b", (1, 0))]


def test_a_row_is_all_that_a_cell_of_a_product_reads():
    """The other cells may be missing altogether."""
    left, right = torch.randn(3, 4), torch.randn(4, 5)
    expected = float(left[1].double() @ right[:, 2].double())
    left[0], left[2], right[:, 3] = (torch.nan,) * 3
    node = OPERATIONS["matmul"](Leaf("left", left), Leaf("right", right))
    assert isinstance(node, Computed)
    assert float(node.numbers(torch.tensor([1, 2]))) == pytest.approx(expected, rel=1e-12)


RANDOM = torch.Generator().manual_seed(1)
X = torch.rand(2, 3, 4, generator=RANDOM, dtype=torch.float64) - 0.5
Y = torch.rand(3, 1, generator=RANDOM, dtype=torch.float64) + 0.5


class Known:
    """A module as `layers.py` sees it."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def weight(self, name: str) -> Leaf | None:
        found = getattr(self.module, name, None)
        return None if found is None else Leaf(name, found.detach())

    def setting(self, name: str, default: object = None) -> object:
        return getattr(self.module, name, default)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_layer_computes_what_torchs_module_computes(name):
    sizes = {"Linear": (4, 5), "LayerNorm": (4,), "RMSNorm": (4,), "Embedding": (5, 3)}
    torch.manual_seed(0)
    module = getattr(torch.nn, name)(*sizes.get(name, ())).double().eval()
    for weight in module.parameters():
        torch.nn.init.normal_(weight)
    given = torch.tensor([[4, 0], [2, 2]]) if name == "Embedding" else X
    found = LAYERS[name](Known(module), Leaf("x", given))
    torch.testing.assert_close(found.whole(), module(given).detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("LeakyReLU", [0.3]), ("ELU", [0.5]), ("Softplus", [2.0, 0.4]), ("GELU", ["tanh"])],
)
def test_a_layer_has_the_settings_that_it_was_made_with(name, settings):
    module = getattr(torch.nn, name)(*settings)
    found = LAYERS[name](Known(module), Leaf("x", X))
    torch.testing.assert_close(found.whole(), module(X), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(found.whole(), getattr(torch.nn, name)()(X), rtol=1e-7)


def takes_two(name: str) -> bool:
    """Tell whether an operation takes another number beside the first."""
    return "other" in inspect.signature(OPERATIONS[name]).parameters


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_handler_computes_what_torch_computes(name):
    """Each registered operation that takes numbers alone, held against torch's own."""
    kinds = ("bool", "int", "long")  # in torch these are data types, too
    function = getattr(F, name, None) or getattr(torch, name, None)
    function = getattr(torch.Tensor, name) if name in kinds else function
    if name in IN_PLACE:
        function = getattr(torch.Tensor, f"{name}_")
    plain, named = CALLS.get(name, ([X, Y] if takes_two(name) else [X + 1], {}))
    expected = function(*[one.clone() if one is X else one for one in plain], **named)
    nodes = [Leaf("x", one) if isinstance(one, torch.Tensor) else one for one in plain]
    options = {
        key: Leaf(key, one) if isinstance(one, torch.Tensor) else one for key, one in named.items()
    }
    found = OPERATIONS[name](*nodes, **options)
    assert found.shape == tuple(expected.shape)
    close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)
    close(torch.as_tensor(found.whole()).double(), expected.double())
    last = torch.tensor([size - 1 for size in found.shape], dtype=torch.long)
    close(found.numbers(last), expected[tuple(last)].double(), check_stride=False)


IN_PLACE = ("fill", "zero", "copy")
"""What torch knows under a name with a line at its end alone."""


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_along_a_dimension_have_values_and_places(name):
    expected = getattr(torch, name)(X, 1)
    for mine, other in zip(OPERATIONS[name](Leaf("x", X), 1), expected, strict=True):
        assert torch.equal(mine.whole(), other.double())
    both = OPERATIONS[name](Leaf("x", X), Leaf("y", Y))
    assert torch.equal(both.whole(), getattr(torch, name)(X, Y))


@pytest.mark.parametrize("smoothing", [0.1, 0.7])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_smoothed_cross_entropy_is_torchs(smoothing, reduction):
    given = {"label_smoothing": smoothing, "reduction": reduction}
    targets = torch.tensor([3, -100, 1])
    found = OPERATIONS["cross_entropy"](Leaf("x", X[0]), Leaf("y", targets), **given)
    expected = F.cross_entropy(X[0], targets, **given)
    assert float(found.whole()) == pytest.approx(float(expected), rel=1e-12)


M, W, IDS = X[0], torch.rand(5, 4, generator=RANDOM, dtype=torch.float64), torch.tensor([[4, 0, 2]])
CALLS: dict = {
    "arange": ([2, 9, 3], {}),
    "clamp": ([X, -0.2, 0.1], {}),
    "clip": ([X, -0.2, 0.1], {}),
    "copy": ([X, Y], {}),
    "cumprod": ([X, 1], {}),
    "cumsum": ([X, 1], {}),
    "cross_entropy": ([M, torch.tensor([3, -100, 1])], {}),
    "dropout": ([X, 0.4, False], {}),
    "einsum": (["bij,kj->bki", X, W], {}),
    "embedding": ([IDS, W], {}),
    "elu": ([X], {"alpha": 0.3}),
    "fill": ([X, 0.7], {}),
    "leaky_relu": ([X, 0.2], {}),
    "lerp": ([X, Y, 0.3], {}),
    "softplus": ([X], {"beta": 3.0, "threshold": 1.0}),
    "zero": ([X], {}),
    "gelu": ([X], {"approximate": "tanh"}),
    "layer_norm": ([X, (3, 4)], {"weight": M, "bias": M + 1, "eps": 1e-3}),
    "linear": ([X, W, W[:, 0]], {}),
    "masked_fill": ([X, X > 0, -3.0], {}),
    "normalize": ([X], {"dim": 1}),
    "pow": ([X + 1, Y], {}),
    **dict.fromkeys(
        ("relu", "abs", "absolute", "round", "floor", "sign", "silu", "int", "long", "bool"),
        ([X * 3], {}),
    ),
    "outer": ([W[0], W[1]], {}),
    "rms_norm": ([X, (4,), W[0], 1e-3], {}),
    "scaled_dot_product_attention": ([X, X + 1, X * 2], {"is_causal": True}),
    "where": ([X > 0, X, Y], {}),
    **dict.fromkeys(("matmul",), ([X, W.T], {})),
    **dict.fromkeys(("mm",), ([M, W.T], {})),
    **dict.fromkeys(("mv",), ([M, W[0]], {})),
    **dict.fromkeys(("dot",), ([W[0], W[1]], {})),
    **dict.fromkeys(("bmm",), ([X, X.transpose(1, 2)], {})),
    **dict.fromkeys(
        ("softmax", "log_softmax", "amax", "amin", "argmax", "argmin", "logsumexp"), ([X, 1], {})
    ),
    **dict.fromkeys(("mean", "sum"), ([X, (0, 2), True], {})),
    **dict.fromkeys(("var", "std"), ([X, 1], {})),
    **dict.fromkeys(("any", "all"), ([X > 0.1, 1], {})),
    **dict.fromkeys(("prod",), ([X, 1], {})),
}
"""How torch takes an operation that needs more than one tensor."""
