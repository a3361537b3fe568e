"""Exercise 11: the loss. How surprised the model is by the tokens that do come next."""

import torch

from playattention.course.exercise import Exercise, Mistake, Probe, Solution


def lm_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy: minus the log-probability of the token that does come next.

    Position t of y is already the token after position t of the input: nothing is shifted here.

    Args:
        logits: A score for each token of the vocabulary, at each position (B, T, V); any finite
            numbers, also large ones. Maybe a slice of a larger tensor. They stay as they are.
        y: The tokens that do come next, ids from 0 to V - 1 (B, T). Maybe a slice, too; they also
            stay as they are.

    Returns:
        One number, a tensor without dimensions, in nats per token: the mean over all B x T
        positions. Gradients flow from it to the logits.
    """
    log_probabilities = logits.log_softmax(dim=-1)
    of_next = log_probabilities.gather(-1, y.unsqueeze(-1))
    return -of_next.mean()


B, T, V = 2, 3, 5


def _logits(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _ids(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, V, shape, generator=torch.Generator().manual_seed(seed + 7))


def _shape(own: Solution, seed: int) -> list[int]:
    return list(own.lm_loss(_logits(seed, B, T, V), _ids(seed, B, T)).shape)


def _even(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return the loss of a model that knows nothing, for several sizes of the vocabulary."""
    return [own.lm_loss(torch.zeros(B, T, size), _ids(seed, B, T)) for size in (5, 8, 65)]


def _sure(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return the loss where the right token, then a wrong one, is 2 nats ahead of all others."""
    y = _ids(seed, B, T)
    ahead = torch.nn.functional.one_hot(y, V) * 2.0
    return [own.lm_loss(ahead, y), own.lm_loss(ahead, (y + 1) % V)]


def _one_position(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return the loss as the right token gains 3 nats at one position after another."""
    y, losses = _ids(seed, B, T), []
    for place in range(B * T):
        logits = torch.zeros(B * T, V)
        logits[place, y.flatten()[place]] = 3.0
        losses.append(own.lm_loss(logits.view(B, T, V), y))
    return losses


def _gradient(own: Solution, seed: int) -> torch.Tensor:
    logits = _logits(seed, B, T, V).requires_grad_()
    return torch.autograd.grad(own.lm_loss(logits, _ids(seed, B, T)), logits)[0]


def _sliced(own: Solution, seed: int) -> torch.Tensor:
    """Return the loss of logits whose padding was cut off, and of windows cut from a longer row."""
    return own.lm_loss(_logits(seed, B, T, V + 3)[..., :V], _ids(seed, B, T + 1)[:, 1:])


def _untouched(own: Solution, seed: int) -> list[torch.Tensor]:
    logits, y = _logits(seed, B, T, V), _ids(seed, B, T)
    own.lm_loss(logits, y)
    return [logits, y]


LOG_SOFTMAX = "log_probabilities = logits.log_softmax(dim=-1)"
OF_NEXT = "of_next = log_probabilities.gather(-1, y.unsqueeze(-1))"
RETURN = "return -of_next.mean()"
READ = "docs/09-head-and-loss.md#loss"


def _instead(*lines: str) -> tuple[tuple[str, str], ...]:
    """Edit the whole body into other lines."""
    return (LOG_SOFTMAX, ""), (OF_NEXT, "\n    ".join(lines[:-1])), (RETURN, lines[-1])


CROSS_ENTROPY = "return torch.nn.functional.cross_entropy(flat, y.reshape(-1))"

EXERCISE = Exercise(
    number=11,
    name="lm_loss",
    title="The loss",
    goal="""
At every position the model gives each token of the vocabulary a score. The loss tells how good
these scores are: make probabilities of them, look up the one of the token that does come next, and
take minus its logarithm. A sure and right model pays almost 0; one that knows nothing pays ln(V).
The mean over all positions is the number that training makes smaller.
""",
    reference=(lm_loss,),
    probes=(
        Probe("the loss is one number", _shape),
        Probe("even scores cost ln(V): the model knows nothing", _even),
        Probe("a right token that is 2 ahead costs little, a wrong one much", _sure),
        Probe("each position counts the same, with its own next token", _one_position),
        Probe(
            "the loss of any scores is right",
            lambda own, seed: own.lm_loss(_logits(seed, B, T, V) * 2 + 1, _ids(seed, B, T)),
        ),
        Probe(
            "one sequence of one token has a loss",
            lambda own, seed: own.lm_loss(_logits(seed, 1, 1, V), _ids(seed, 1, 1)),
        ),
        Probe(
            "very large scores give a finite loss",
            lambda own, seed: own.lm_loss(_logits(seed, B, T, V) * 1e4, _ids(seed, B, T)),
        ),
        Probe("gradients flow back to the scores", _gradient),
        Probe("slices of larger tensors are taken, too", _sliced),
        Probe("the scores and ids that were given stay as they were", _untouched),
    ),
    hints=(
        "Scores that are all 0 must cost ln(V), whatever y is; with 65 characters, 4.17.",
        "Three steps: log-probabilities over the last axis; pick the one at y; minus the mean.",
        "log_softmax(dim=-1), then gather(-1, y.unsqueeze(-1)), then -(...).mean().",
    ),
    equivalents=(
        """
import torch.nn.functional as F


def lm_loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())
""",
        """
import torch.nn.functional as F


def lm_loss(logits, y):
    return F.cross_entropy(logits.permute(0, 2, 1), y)
""",
        """
def lm_loss(logits, y):
    total = 0.0
    for scores, targets in zip(logits, y):
        for row, target in zip(scores, targets):
            largest = row.max()
            total = total + largest + (row - largest).exp().sum().log() - row[target]
    return total / y.numel()
""",
    ),
    mistakes=(
        Mistake(
            "softmax before the cross-entropy",
            _instead("flat = logits.softmax(dim=-1).reshape(-1, logits.shape[-1])", CROSS_ENTROPY),
            "Cross-entropy makes probabilities of its scores itself. Given probabilities it makes them anew from numbers between 0 and 1, all nearly even: the loss hardly leaves ln(V).",
            READ,
        ),
        Mistake(
            "axes mixed up by view",
            _instead(
                "B, T, V = logits.shape",
                "return torch.nn.functional.cross_entropy(logits.reshape(B, V, T), y)",
            ),
            "view and reshape keep the numbers in their order and only cut them anew, so scores of different tokens end up in one row. To exchange two axes, transpose or permute; or flatten B and T.",
            READ,
        ),
        Mistake(
            "the sum instead of the mean",
            ((".mean()", ".sum()"),),
            "The loss grows with the batch: twice the tokens give twice the loss, and twice the gradient. The mean is per token, whatever the batch.",
            READ,
        ),
        Mistake(
            "the mean over sequences only",
            ((RETURN, "return -of_next.sum() / len(y)"),),
            "Divided by B alone, the loss grows with the length of the sequences. Every position counts: divide by B x T.",
            READ,
        ),
        Mistake(
            "one loss for each position",
            ((RETURN, "return -of_next.squeeze(-1)"),),
            "That is the loss of every position. Training needs one number to differentiate: their mean.",
            READ,
        ),
        Mistake(
            "the sign is missing",
            ((RETURN, "return of_next.mean()"),),
            "Log-probabilities are negative, and better when larger. A loss is better when smaller: it is minus their mean. As it stands, training would make the model worse.",
            READ,
        ),
        Mistake(
            "no logarithm",
            (("log_softmax", "softmax"),),
            "That is minus the mean probability. The cross-entropy takes the logarithm of each: a probability near 0 costs without limit, and even scores cost ln(V).",
            READ,
        ),
        Mistake(
            "raw scores taken for log-probabilities",
            ((".log_softmax(dim=-1)", ""),),
            "A score alone says nothing; only compared with those of the other tokens it gives a probability. Take the log-softmax first.",
            READ,
        ),
        Mistake(
            "softmax over the positions",
            (("log_softmax(dim=-1)", "log_softmax(dim=1)"),),
            "At every position the probabilities of all tokens sum to 1: the softmax goes over the vocabulary, the last axis, and not over the tokens of the sequence.",
            READ,
        ),
        Mistake(
            "shifted a second time",
            (
                (LOG_SOFTMAX, "log_probabilities = logits[:, :-1].log_softmax(dim=-1)"),
                ("y.unsqueeze(-1)", "y[:, 1:].unsqueeze(-1)"),
            ),
            "y is already one token ahead of the input. Shifted again, the model learns to predict the token after the next; and the first target is lost.",
            READ,
        ),
        Mistake(
            "only the last position",
            ((RETURN, "return -of_next[:, -1].mean()"),),
            "Each of the T positions predicts its next token, and all are learnt from at once. The last alone counts while text is written, not in the loss.",
            READ,
        ),
        Mistake(
            "the logarithm of a softmax",
            (("log_softmax(dim=-1)", "softmax(dim=-1).log()"),),
            "A probability too small for a float becomes 0, and its logarithm minus infinity. log_softmax does both at once, without that step.",
            READ,
        ),
        Mistake(
            "exponentials without the largest score taken off",
            ((LOG_SOFTMAX, "log_probabilities = logits - logits.exp().sum(-1, True).log()"),),
            "exp of a large score is infinite. Take the largest score off first, which leaves the probabilities as they are; logsumexp and log_softmax do so.",
            READ,
        ),
        Mistake(
            "the most likely token in place of the right one",
            ((OF_NEXT, "of_next = log_probabilities.amax(-1)"),),
            "This asks how sure the model is, not whether it is right: y is not used. Look up the log-probability of the token that does come next.",
            READ,
        ),
        Mistake(
            "the mean over the vocabulary, too",
            ((RETURN, "return -of_next.sum() / log_probabilities.numel()"),),
            "Only one of the V tokens comes next, and only its log-probability counts: divide by the number of positions, B x T.",
            READ,
        ),
        Mistake(
            "bits instead of nats",
            ((RETURN, "return -of_next.mean() / torch.log(torch.tensor(2.0))"),),
            "That is the loss in bits, with the logarithm to the base 2. Asked for is the natural one: nats, in which even scores cost ln(V).",
            READ,
        ),
        Mistake(
            "cut off from the gradients",
            ((RETURN, "return -of_next.mean().detach()"),),
            "The number is right, but nothing flows back from it: backward has nothing to do. Leave detach and item for what is printed.",
            READ,
        ),
        Mistake(
            "view of a slice",
            _instead(
                "flat = logits.view(-1, logits.shape[-1])",
                "return torch.nn.functional.cross_entropy(flat, y.view(-1))",
            ),
            "view needs the numbers to lie without gaps, and those of a slice do not. flatten and reshape copy where they must.",
            READ,
        ),
    ),
    read=READ,
)
