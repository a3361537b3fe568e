"""Matrix products in all their forms, each number a sum over terms that are all shown.

Does not know modules (`layers.py`).
"""

import math

import torch

from playattention.xray.arithmetic.cells import (
    Computed,
    Input,
    Leaf,
    Node,
    Pick,
    Step,
    UnknownError,
    broadcast,
    constant,
    spread,
)
from playattention.xray.arithmetic.operations import (
    OPERATIONS,
    choice,
    elementwise,
    move_one,
    operation,
    together,
)


def _aligned(node: Node) -> Pick:
    """Return how a product's operand is stretched, its last two axes left as they are."""
    lead = broadcast(node.shape[:-2])

    def pick(cells: torch.Tensor) -> torch.Tensor:
        return torch.cat([lead(cells[..., :-2]), cells[..., -2:]], dim=-1)

    return pick


@operation("matmul", "mm", "bmm", "mv", "dot")
def matmul(input: Node, other: Node) -> Node:
    """Dot product of a row on the left and a column on the right."""
    left, right = input, other
    if len(right.shape) == 1:
        return move_one(lambda t: t.squeeze(-1), matmul(left, _unsqueezed(right, 1)))
    if len(left.shape) == 1:
        return move_one(lambda t: t.squeeze(-2), matmul(_unsqueezed(left, 0), right))
    if not left.shape or not right.shape or left.shape[-1] != right.shape[-2]:
        raise UnknownError(f"a product of {left.shape} and {right.shape}")
    aligned_left, aligned_right = _aligned(left), _aligned(right)
    return Computed(
        Step(
            "dot product",
            f"Σ {left.text} · {right.text}",
            (*together(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1]),
            (
                Input("left", left, lambda cells: spread(aligned_left(cells), left.shape, [-1])),
                Input(
                    "right", right, lambda cells: spread(aligned_right(cells), right.shape, [-2])
                ),
            ),
            lambda a, b: (a * b).sum(-1),
            together=lambda: left.whole().double() @ right.whole().double(),
        )
    )


def _unsqueezed(node: Node, dim: int) -> Node:
    return move_one(lambda part: part.unsqueeze(dim), node)


@operation("outer")
def outer(input: Node, vec2: Node) -> Node:
    """Every number of one vector times every number of another."""
    return elementwise(
        "product", "{0} * {1}", torch.mul, [("left", _unsqueezed(input, 1)), ("right", vec2)]
    )


@operation("einsum")
def einsum(equation: str, *operands: Node) -> Node:
    """Sum of products over the letters that the result does not name."""
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow or "." in equation or len(terms) != len(operands):
        raise UnknownError(f"einsum of {equation!r}")
    sizes = {
        letter: size
        for term, node in zip(terms, operands, strict=True)
        for letter, size in zip(term, node.shape, strict=True)
    }
    letters = [*result, *(letter for letter in sizes if letter not in result)]
    shape = tuple(sizes[letter] for letter in letters)
    summed = range(len(result), len(letters))

    def picking(term: str) -> Pick:
        places = [letters.index(letter) for letter in term]

        def pick(cells: torch.Tensor) -> torch.Tensor:
            padded = torch.nn.functional.pad(cells, (0, len(summed)))
            return spread(padded, shape, summed)[..., places]

        return pick

    return Computed(
        Step(
            "sum of products",
            "Σ " + " · ".join(node.text for node in operands),
            shape[: len(result)],
            tuple(Input(t, n, picking(t)) for t, n in zip(terms, operands, strict=True)),
            lambda *parts: math.prod(parts[1:], start=parts[0]).sum(-1),
        )
    )


@operation("linear")
def linear(input: Node, weight: Node, bias: Node | None = None) -> Node:
    """Dot product of a token's row and one row of the weight, and a bias."""
    row = len(input.shape) - 1

    def outputs(cells: torch.Tensor) -> torch.Tensor:
        own = torch.stack([cells[..., -1], torch.zeros_like(cells[..., -1])], dim=-1)
        return spread(own, weight.shape, [1])

    inputs = [
        Input("input", input, lambda cells: spread(cells, input.shape, [row])),
        Input("weight", weight, outputs),
    ]
    if bias is not None:
        inputs.append(Input("bias", bias, broadcast(bias.shape)))

    def compute(a: torch.Tensor, b: torch.Tensor, *shift: torch.Tensor) -> torch.Tensor:
        return sum(shift, start=(a * b).sum(-1))

    def whole() -> torch.Tensor:
        shift = None if bias is None else bias.whole().double()
        return torch.nn.functional.linear(input.whole().double(), weight.whole().double(), shift)

    formula = f"Σ {input.text} · {weight.text}" + (f" + {bias.text}" if bias is not None else "")
    words = "dot product" + " and bias" * (bias is not None)
    shape = (*input.shape[:-1], weight.shape[0])
    return Computed(Step(words, formula, shape, tuple(inputs), compute, together=whole))


@operation("scaled_dot_product_attention")
def attention(  # noqa: PLR0917 - torch's own order
    query: Node,
    key: Node,
    value: Node,
    attn_mask: Node | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Node:
    """Fused attention, told as the steps that it stands for."""
    if dropout_p:
        raise UnknownError("dropout inside of fused attention draws at random")
    T, S, D = query.shape[-2], key.shape[-2], query.shape[-1]
    turned = move_one(lambda part: part.transpose(-2, -1), key)
    factor = constant(D**-0.5 if scale is None else scale, "scale")
    scores = OPERATIONS["mul"](matmul(query, turned), factor)
    if is_causal:
        mask = torch.ones(T, S, dtype=torch.bool).tril()
        scores = choice(Leaf("may look", mask), scores, constant(-math.inf))
    elif attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = choice(attn_mask, scores, constant(-math.inf))
    elif attn_mask is not None:
        scores = OPERATIONS["add"](scores, attn_mask)
    weights = OPERATIONS["softmax"](scores, -1)
    weights.text = "weights"
    return matmul(weights, value)
