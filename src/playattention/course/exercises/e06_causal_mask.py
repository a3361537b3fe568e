"""Exercise 6: the causal mask. No token may look at one that comes after it."""

import torch

from playattention.course.exercise import Exercise, Mistake, Probe, Solution
from playattention.course.filling import draw, elsewhere, is_untouched, strided, tell_dependencies


def causal_softmax(scores: torch.Tensor) -> torch.Tensor:
    """Return how much each query looks at each key: a softmax over those keys it may see.

    The queries are the last Tq of Tk tokens: query i stands at position Tk - Tq + i and may look at
    the keys 0 .. Tk - Tq + i. (While a model writes with a cache, Tq is 1 and Tk grows.)

    The scores may be on a GPU: the mask is made on the scores' device.

    Args:
        scores: (..., Tq, Tk), with Tq <= Tk; any finite numbers, maybe a slice of a larger tensor.
            They stay as they are.

    Returns:
        Weights (..., Tq, Tk); each row sums to 1; exactly 0 where a key comes after the query.
    """
    Tq, Tk = scores.shape[-2:]
    may_look = torch.ones(Tq, Tk, dtype=torch.bool, device=scores.device).tril(Tk - Tq)
    masked = scores.masked_fill(~may_look, float("-inf"))
    return masked.softmax(dim=-1)


def _looked_at(own: Solution, seed: int) -> list[list[int]]:
    """Return for each query the keys that have a share in it."""
    weights = own.causal_softmax(draw(seed, 5, 5))
    return [row.nonzero().flatten().tolist() for row in weights]


def _blind(own: Solution, seed: int) -> bool:
    """Tell whether the weights stay while the scores of the tokens to come change."""
    scores, others = draw(seed, 2, 5, 5), draw(seed + 9, 2, 5, 5)
    changed = scores.tril() + others.triu(1)
    return torch.allclose(own.causal_softmax(changed), own.causal_softmax(scores))


def _in_training(own: Solution, seed: int) -> list[torch.Tensor | None]:
    """Return the weights and the scores' gradients as training, and the weights as evaluation."""
    scores = draw(seed, 2, 4, 4).requires_grad_()
    weights = own.causal_softmax(scores)
    (weights * draw(seed + 9, 2, 4, 4)).sum().backward()
    with torch.no_grad():
        return [weights, scores.grad, own.causal_softmax(scores.detach())]


MASK = "torch.ones(Tq, Tk, dtype=torch.bool, device=scores.device).tril(Tk - Tq)"
FILL = 'masked = scores.masked_fill(~may_look, float("-inf"))'
SOFTMAX = "return masked.softmax(dim=-1)"
READ = "docs/05-attention.md#mask"

EXERCISE = Exercise(
    number=6,
    name="causal_mask",
    title="The causal mask",
    goal="""
A model that predicts the next token must not see it. Before the softmax, take away the scores of
all keys that come after the query, so that they get no weight at all; the others share it.
""",
    reference=(causal_softmax,),
    probes=(
        Probe(
            "weights have the shape of the scores",
            lambda own, seed: list(own.causal_softmax(draw(seed, 2, 3, 4, 4)).shape),
        ),
        Probe(
            "the weights of each query sum to 1",
            lambda own, seed: own.causal_softmax(draw(seed, 2, 4, 4)).sum(-1),
        ),
        Probe(
            "a query looks at the keys up to its own, and at no other",
            _looked_at,
            evidence=tell_dependencies,
        ),
        Probe("a score to the right of the diagonal changes nothing", _blind),
        Probe(
            "the weights are right for as many queries as keys",
            lambda own, seed: own.causal_softmax(draw(seed, 2, 3, 5, 5)),
        ),
        Probe(
            "the last 2 of 5 tokens look at all before them",
            lambda own, seed: own.causal_softmax(draw(seed, 3, 2, 5)),
        ),
        Probe(
            "very large scores do not get through the mask",
            lambda own, seed: own.causal_softmax(draw(seed, 4, 4) * 1e5),
        ),
        Probe(
            "a token that is alone looks at itself",
            lambda own, seed: own.causal_softmax(draw(seed, 1, 1, 1)),
        ),
        Probe(
            "a token that is written last looks at all before it",
            lambda own, seed: own.causal_softmax(draw(seed, 3, 1, 4)),
        ),
        Probe(
            "very negative scores are shared out like others",
            lambda own, seed: own.causal_softmax(draw(seed, 2, 4, 4) - 3e4),
        ),
        Probe("it is the same in training as in evaluation, and gradients flow", _in_training),
        Probe(
            "the scores are left as they are",
            lambda own, seed: is_untouched(own.causal_softmax, draw(seed, 2, 4, 4)),
        ),
        Probe(
            "it does not matter how the scores lie in memory",
            lambda own, seed: own.causal_softmax(strided(draw(seed, 2, 3, 4))),
        ),
        Probe(
            "the mask is made on the scores' device",
            lambda own, seed: elsewhere(own.causal_softmax, draw(seed, 3, 3)),
        ),
    ),
    hints=(
        "Row i of the weights must not change when a score to its right does.",
        "Softmax makes 0 of minus infinity: change the scores before the softmax, not the weights after it.",
        "tril(Tk - Tq) keeps the lower triangle, with the diagonal moved to the right by the tokens before; masked_fill(~mask, -inf).",
    ),
    equivalents=(
        """
import torch


def causal_softmax(scores):
    queries, keys = scores.shape[-2:]
    future = torch.full((queries, keys), float("-inf"), device=scores.device, dtype=scores.dtype)
    return torch.softmax(scores + torch.triu(future, keys - queries + 1), -1)
""",
        """
import torch


def causal_softmax(scores):
    out = torch.zeros_like(scores)
    queries, keys = scores.shape[-2:]
    for i in range(queries):
        seen = keys - queries + i + 1
        part = scores[..., i, :seen]
        grown = torch.exp(part - part.amax(-1, keepdim=True))
        out[..., i, :seen] = grown / grown.sum(-1, keepdim=True)
    return out
""",
    ),
    mistakes=(
        Mistake(
            "no mask",
            ((FILL, "masked = scores"),),
            "Nothing hides the tokens to come: the model reads the answer instead of predicting it, and its loss falls to a value that it will never reach when it writes.",
            READ,
        ),
        Mistake(
            "triangle flipped",
            ((".tril(Tk - Tq)", ".triu(Tk - Tq)"),),
            "Each token sees itself and those AFTER it. Rows are queries: row i keeps the columns up to i, the lower triangle.",
            READ,
        ),
        Mistake(
            "diagonal masked too",
            ((".tril(Tk - Tq)", ".tril(Tk - Tq - 1)"),),
            "A token may look at itself. Without the diagonal the first row has no key left, and the softmax of nothing is NaN.",
            READ,
        ),
        Mistake(
            "zeroed after the softmax",
            ((FILL, "masked = scores"), (SOFTMAX, "return masked.softmax(dim=-1) * may_look")),
            "The keys to come already took their share of the softmax, so the rest no longer sums to 1. Mask the scores, before the softmax.",
            READ,
        ),
        Mistake(
            "filled with 0",
            ((FILL, "masked = scores.masked_fill(~may_look, 0.0)"),),
            "A score of 0 is a score like any other: exp(0) is 1. Only minus infinity becomes a weight of 0.",
            READ,
        ),
        Mistake(
            "0 times minus infinity",
            ((FILL, 'masked = scores + (~may_look) * float("-inf")'),),
            "0 * inf is NaN, so the places that were to stay as they are become NaN. Choose with masked_fill or where instead of multiplying.",
            READ,
        ),
        Mistake(
            "filled with -1e4",
            ((FILL, "masked = scores.masked_fill(~may_look, -1e4)"),),
            "Scores below -10,000 lose against the fill: where the true scores are very negative, the keys to come win. Use minus infinity.",
            READ,
        ),
        Mistake(
            "masked on one path only",
            (
                (
                    FILL,
                    'masked = scores if scores.requires_grad else scores.masked_fill(~may_look, float("-inf"))',
                ),
            ),
            "The mask is left out where gradients are taken, so the model is trained on the answers. Whatever else a path does, all of them need the mask.",
            READ,
        ),
        Mistake(
            "scores changed in place",
            ((FILL, 'masked = scores.masked_fill_(~may_look, float("-inf"))'),),
            "masked_fill_ writes into the scores that were handed in, which whoever made them may still need. masked_fill, without the underscore, gives new ones.",
            READ,
        ),
        Mistake(
            "softmax over the queries",
            ((SOFTMAX, "return masked.softmax(dim=-2)"),),
            "The columns sum to 1 instead of the rows. Each query shares out its attention over the keys, the last axis.",
            "docs/05-attention.md#softmax",
        ),
        Mistake(
            "aligned at the top left",
            ((".tril(Tk - Tq)", ".tril()"),),
            "With fewer queries than keys, the queries are the LAST ones. A triangle from the top left lets the newest token see only the oldest keys.",
            READ,
        ),
        Mistake(
            "not cut to the queries",
            ((MASK, "torch.ones(Tk, Tk, dtype=torch.bool, device=scores.device).tril()"),),
            "The mask has a row for every key; the scores have one for every query. Cut it to the last Tq rows.",
            READ,
        ),
        Mistake(
            "made on the default device",
            ((", device=scores.device", ""),),
            "A tensor made without a device stands on the CPU; on a GPU this line fails. Make it where the scores are.",
            READ,
        ),
    ),
    read=READ,
)
