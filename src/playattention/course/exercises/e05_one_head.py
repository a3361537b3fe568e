"""Exercise 5: one attention head, from queries, keys and values to what each token has found."""

import torch

from playattention.course.exercise import Exercise, Mistake, Probe, Solution
from playattention.course.filling import draw, is_untouched, strided


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return for each token a mix of all tokens' values, in shares that say how well keys fit.

    How well the key of token s fits the query of token t is their dot product, divided by the
    square root of D. A softmax over s makes shares of it that sum to 1. All three stay as they are;
    each may be a slice of a larger tensor.

    Args:
        query: (B, T, D), what each token looks for.
        key: (B, T, D), what each token has to offer.
        value: (B, T, D), what each token hands on when it is looked at.

    Returns:
        (B, T, D): for each token t, the sum over s of share[t, s] * value[s].
    """
    scores = query @ key.transpose(1, 2)  # (B, T, T)
    scaled = scores * query.shape[-1] ** -0.5  # (B, T, T)
    weights = scaled.softmax(dim=-1)  # (B, T, T)
    return weights @ value  # (B, T, D)


def _given(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return query, key and value."""
    query, key, value = draw(seed, 3, *shape)
    return query, key, value


def _shares(own: Solution, seed: int) -> torch.Tensor:
    """Return the weights: values that are rows of the unit matrix show them."""
    query, key, _ = _given(seed, 2, 4, 4)
    return own.attend(query, key, torch.eye(4).repeat(2, 1, 1))


def _factor(own: Solution, seed: int, head_size: int) -> float:
    """Return what scores are multiplied by: seen at the shares of two keys."""
    query, key, _ = _given(seed, 1, 2, head_size)
    shares = own.attend(query, key, torch.eye(head_size)[:2].unsqueeze(0))[0, 0, :2]
    scores = (query @ key.transpose(1, 2))[0, 0]
    return ((shares[0] / shares[1]).log() / (scores[0] - scores[1])).item()


def _reordered(own: Solution, seed: int) -> bool:
    """Tell whether it is the same to reorder the tokens before and after."""
    given, order = _given(seed, 2, 5, 3), [3, 0, 4, 1, 2]
    before = own.attend(*(one[:, order] for one in given))
    return torch.allclose(before, own.attend(*given)[:, order])


def _touched(own: Solution, seed: int) -> list[bool]:
    """Return which of query, key and value is still the same after the call."""
    query, key, value = _given(seed, 2, 5, 3)
    return [
        is_untouched(lambda one: own.attend(one, key, value), query),
        is_untouched(lambda one: own.attend(query, one, value), key),
        is_untouched(lambda one: own.attend(query, key, one), value),
    ]


def _gradients(own: Solution, seed: int) -> list[torch.Tensor | None]:
    given = [one.clone().requires_grad_() for one in _given(seed, 2, 5, 3)]
    (own.attend(*given) * draw(seed + 9, 2, 5, 3)).sum().backward()
    return [one.grad for one in given]


SCORES = "query @ key.transpose(1, 2)"
SCALE = "scores * query.shape[-1] ** -0.5"
SOFTMAX = "scaled.softmax(dim=-1)"
MIX = "return weights @ value"
HEAD = "docs/05-attention.md#one-head"
SCALING = "docs/05-attention.md#scale"
SHARES = "docs/05-attention.md#softmax"
MIXING = "docs/05-attention.md#mixing"

EXERCISE = Exercise(
    number=5,
    name="one_head",
    title="One attention head",
    goal="""
Each token asks (query), each token offers (key), and each token has something to hand on (value).
Compare every query with every key, make shares of the scores, and mix the values by them. The next
exercise hides the tokens to come; here every token may look at every other, and at itself.
""",
    reference=(attend,),
    probes=(
        Probe(
            "each token gets as many numbers as a value has",
            lambda own, seed: list(own.attend(*_given(seed, 2, 5, 3)).shape),
        ),
        Probe(
            "the shares of each token sum to 1: where all values are 1, so is every mix of them",
            lambda own, seed: own.attend(*_given(seed, 2, 5, 3)[:2], torch.ones(2, 5, 3)),
        ),
        Probe(
            "scores are divided by the square root of the head size: multiplied by 0.577 for 3, 0.378 for 7",
            lambda own, seed: [_factor(own, seed, 3), _factor(own, seed, 7)],
        ),
        Probe("the share of token s in token t is right", _shares),
        Probe(
            "the mix of values is right",
            lambda own, seed: own.attend(*_given(seed, 2, 5, 3)),
        ),
        Probe("tokens in another order give the same, in that order", _reordered),
        Probe(
            "a token that is alone gets its own value",
            lambda own, seed: own.attend(*_given(seed, 1, 1, 2)),
        ),
        Probe(
            "scores in the thousands still give shares",
            lambda own, seed: own.attend(*(one * 40 for one in _given(seed, 2, 6, 4))),
        ),
        Probe(
            "it does not matter how the numbers lie in memory",
            lambda own, seed: own.attend(*(strided(one) for one in _given(seed, 2, 5, 3))),
        ),
        Probe("query, key and value are left as they are", _touched),
        Probe("query, key and value get their gradients", _gradients),
        Probe(
            "the mix is right where B, T and D are the same number",
            lambda own, seed: own.attend(*_given(seed, 3, 3, 3)),
        ),
    ),
    hints=(
        "The shares with which a token mixes the values sum to 1, and a token that is alone gets its own value.",
        "Four steps, in this order: scores (B, T, T), scaled by the head size, softmax along the keys (the last axis), then the product with the values.",
        "scores = query @ key.transpose(1, 2); D is query.shape[-1]; weights = (scores / D**0.5).softmax(dim=-1); weights @ value.",
    ),
    equivalents=(
        """
import torch.nn.functional as F


def attend(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)
""",
        """
import math

import torch


def attend(query, key, value):
    size = key.size(2)
    scores = torch.einsum("btd,bsd->bts", query / math.sqrt(size), key)
    weights = torch.softmax(scores, 2)
    return torch.einsum("bts,bsd->btd", weights, value)
""",
        """
import torch


def attend(query, key, value):
    texts = []
    for queries, keys, values in zip(query, key, value):
        mixes = []
        for one in queries:
            scores = torch.stack([(one * other).sum() for other in keys]) / one.numel() ** 0.5
            grown = torch.exp(scores - scores.max())
            shares = grown / grown.sum()
            mixes.append(sum(share * each for share, each in zip(shares, values)))
        texts.append(torch.stack(mixes))
    return torch.stack(texts)
""",
    ),
    mistakes=(
        Mistake(
            "no scale",
            ((SCALE, "scores"),),
            "A dot product is a sum of D terms, so scores grow with the head size, and the softmax gives almost all to one key: nothing is left to learn from the others. Divide by the square root of D.",
            SCALING,
        ),
        Mistake(
            "scaled twice",
            ((SCALE, "scores * query.shape[-1] ** -1.0"),),
            "The scores are divided by D: by its square root twice, or once by D itself. They come out too small, and the shares too even. The spread of a sum of D terms grows with the square root of D.",
            SCALING,
        ),
        Mistake(
            "multiplied instead of divided",
            ((SCALE, "scores * query.shape[-1] ** 0.5"),),
            "The scores are multiplied by the square root of D. They are too large already: divide.",
            SCALING,
        ),
        Mistake(
            "scaled by the number of tokens",
            ((SCALE, "scores * query.shape[1] ** -0.5"),),
            "The scores are divided by the square root of T. Their size comes from the D terms of each dot product: the last size, not the one before.",
            SCALING,
        ),
        Mistake(
            "scaled after the softmax",
            ((SCALE, "scores"), (SOFTMAX, "scaled.softmax(dim=-1) * query.shape[-1] ** -0.5")),
            "The shares are divided, so they no longer sum to 1. Divide the scores, before the softmax.",
            SCALING,
        ),
        Mistake(
            "softmax over the queries",
            ((SOFTMAX, "scaled.softmax(dim=1)"),),
            "The columns sum to 1 instead of the rows: keys share out the queries. Each query shares out its attention over the keys, which are the last axis of the scores.",
            SHARES,
        ),
        Mistake(
            "softmax over the batch",
            ((SOFTMAX, "scaled.softmax(dim=0)"),),
            "The texts of a batch share one softmax, so that each depends on the others. (Without a dim, PyTorch takes the first axis here.) The keys are the last axis: dim=-1.",
            SHARES,
        ),
        Mistake(
            "no softmax",
            ((SOFTMAX, "scaled"),),
            "The scores themselves are used as shares: they are negative, too, and do not sum to 1.",
            SHARES,
        ),
        Mistake(
            "softmax by hand that overflows",
            ((SOFTMAX, "scaled.exp() / scaled.exp().sum(dim=-1, keepdim=True)"),),
            "exp(800) is more than a number can hold, and inf / inf is NaN. Take the row's largest score off all of its scores first: the shares stay the same.",
            SHARES,
        ),
        Mistake(
            "queries and keys swapped",
            ((SCORES, "key @ query.transpose(1, 2)"),),
            "Row t of the scores must be the query of token t against all keys. Here it is the key of token t against all queries.",
            HEAD,
        ),
        Mistake(
            "batch transposed too",
            ((SCORES, "query @ key.permute(2, 1, 0)"),),
            "key.T turns all axes round, the batch too. Only the last two are to change places: key.transpose(-2, -1).",
            HEAD,
        ),
        Mistake(
            "keys mixed instead of values",
            ((MIX, "return weights @ key"),),
            "The keys only decide how much a token is looked at. What it hands on is its value.",
            MIXING,
        ),
        Mistake(
            "shares turned round",
            ((MIX, "return weights.transpose(1, 2) @ value"),),
            "Rows of the shares are queries. Turned round, each token gets what others look for in it, and the shares it mixes with no longer sum to 1.",
            MIXING,
        ),
        Mistake(
            "a mask already",
            (
                (
                    SOFTMAX,
                    "scaled.where(torch.ones_like(scaled).tril() > 0, -torch.inf).softmax(dim=-1)",
                ),
            ),
            "The tokens to come are hidden already. That is the next exercise: here, all tokens see all.",
            "docs/05-attention.md#mask",
        ),
    ),
    read=HEAD,
)
