"""Exercise 15: the next token. From logits to a choice, and from choices to a text."""

import torch
from torch import nn

from playattention.course.exercise import Exercise
from playattention.course.exercises.e15_next_token_mistakes import MISTAKES, READ
from playattention.course.exercises.e15_next_token_probes import PROBES


def next_token(
    logits: torch.Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Return a next token for each row, drawn from the softmax of its logits.

    Args:
        logits: Scores of all tokens (B, V); stay as they are.
        temperature: The logits are divided by it, before all else; 0 takes the likeliest token.
        top_k: Only the k likeliest tokens can be drawn; all, if k is V or more, or None.
        top_p: Only the likeliest tokens can be drawn, as few as together have a probability of at
            least p, so with the one that reaches it; above 0, at most 1; None: all. With top_k, a
            token has to be among both, each found among the probabilities of all tokens.
        generator: All that is drawn comes from it; None: torch's own.

    Returns:
        Token ids (B, 1).
    """
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    tempered = logits / temperature
    probabilities = tempered.softmax(dim=-1)
    ordered, tokens = probabilities.sort(dim=-1, descending=True)
    kept = torch.ones_like(ordered, dtype=torch.bool)
    if top_k is not None:
        kept[:, top_k:] = False
    if top_p is not None:
        before = ordered.cumsum(dim=-1) - ordered
        kept = kept & (before < top_p)
    drawn = torch.multinomial(ordered * kept, 1, generator=generator)
    return tokens.gather(-1, drawn)


def generate(
    model: nn.Module,
    idx: torch.Tensor,
    max_new_tokens: int,
    seq_size: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Return the prompt with new tokens behind it, each chosen by `next_token`.

    While it writes, the model is in evaluation mode (no dropout) and computes no gradients;
    afterwards it is in the mode in which it was.

    Args:
        model: model(idx) returns a pair: logits (B, T, V), and a loss or None.
        idx: The prompt (B, T), at least one token; stays as it is.
        max_new_tokens: How many tokens to add.
        seq_size: The most tokens that the model takes; of a longer text it sees the last ones.
        temperature: Passed on to `next_token`, as are the following.
        top_k: Default: all tokens.
        top_p: Default: all tokens.
        generator: Default: torch's own.

    Returns:
        Token ids (B, T + max_new_tokens).
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(max_new_tokens):
            seen = idx[:, -seq_size:]
            logits, _loss = model(seen)
            token = next_token(logits[:, -1], temperature, top_k, top_p, generator)
            idx = torch.cat([idx, token], dim=1)
    model.train(was_training)
    return idx


EXERCISE = Exercise(
    number=15,
    name="next_token",
    title="The next token, and a text",
    goal="""
A model gives a score to every possible next token. Draw one: the temperature makes the choice
bolder or safer, top-k and top-p leave out what is unlikely. Then write a text: ask, draw, put the
token behind the others, and ask again with what the model can see of them.
""",
    imports=("import torch", "from torch import nn"),
    reference=(next_token, generate),
    probes=PROBES,
    hints=(
        "Which tokens can be drawn, and how often, follows from the tempered logits alone; the model sees at most seq_size tokens and never draws for a place that has its token.",
        "Sort the probabilities, the largest first: top-k keeps the first k, top-p all those before which less than p has come together. Of the model's logits only the last position says what comes next.",
        "before = ordered.cumsum(-1) - ordered; kept = before < top_p; torch.multinomial(ordered * kept, 1, generator=generator) and order.gather(-1, drawn). In the loop: logits[:, -1], and torch.cat([idx, token], dim=1).",
    ),
    equivalents=(
        """
import torch
import torch.nn.functional as F


def next_token(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return torch.topk(logits, 1).indices
    scores = F.log_softmax(logits, -1) / temperature
    masked = scores.clone()
    if top_k is not None:
        least = torch.topk(scores, min(top_k, scores.size(-1))).values[:, [-1]]
        masked[scores < least] = -float("inf")
    if top_p is not None:
        values, order = torch.sort(scores, descending=True)
        reached = F.softmax(values, -1).cumsum(-1) >= top_p
        remove = torch.zeros_like(reached)
        remove[:, 1:] = reached[:, :-1]
        masked = masked.masked_fill(remove.scatter(1, order, remove), float("-inf"))
    return torch.multinomial(F.softmax(masked, -1), num_samples=1, generator=generator)


@torch.no_grad()
def generate(model, idx, max_new_tokens, seq_size, temperature=1.0, top_k=None, top_p=None, generator=None):
    mode = model.training
    model.eval()
    while max_new_tokens > 0:
        cropped = idx if idx.size(1) <= seq_size else idx[:, -seq_size:]
        logits = model(cropped)[0][:, -1, :]
        idx = torch.cat((idx, next_token(logits, temperature, top_k, top_p, generator)), 1)
        max_new_tokens -= 1
    model.train(mode)
    return idx
""",
        """
import torch


def next_token(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    chosen = []
    for row in logits:
        order = [v for _, v in sorted((-score, v) for v, score in enumerate(row.tolist()))]
        if temperature == 0:
            chosen.append(order[:1])
            continue
        shares = torch.exp((row - row.max()) / temperature)
        shares = (shares / shares.sum()).tolist()
        kept, together = [], 0.0
        for v in order[: top_k or len(order)]:
            kept.append(v)
            together += shares[v]
            if top_p is not None and together >= top_p:
                break
        left = torch.rand((), generator=generator).item() * together
        for v in kept:
            left -= shares[v]
            if left < 0:
                break
        chosen.append([v])
    return torch.tensor(chosen)


def generate(model, idx, max_new_tokens, seq_size, **settings):
    before, new = model.training, []
    with torch.inference_mode():
        model.train(False)
        for n in range(max_new_tokens):
            text = torch.hstack([idx, *new])
            scores, loss = model(text[:, max(0, text.shape[1] - seq_size) :])
            new.append(next_token(scores.select(1, -1), **settings))
    model.train(before)
    return torch.hstack([idx, *new])
""",
        """
import torch


def next_token(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.max(-1, keepdim=True)[1]
    p = torch.softmax(logits.div(temperature), -1)
    rank = p.argsort(-1, descending=True).argsort(-1)
    heavier = (p[:, None, :] > p[:, :, None]).to(p.dtype) @ p[:, :, None]
    allowed = (rank < (top_k or p.shape[1])) & (heavier[..., 0] < (2 if top_p is None else top_p))
    noise = -torch.log(torch.rand(p.shape, generator=generator))
    return (p * allowed / noise).argmax(-1)[:, None]


def generate(model, idx, max_new_tokens, seq_size, temperature=1.0, top_k=None, top_p=None, generator=None):
    T = idx.shape[1]
    out = torch.cat([idx, idx.new_zeros(idx.shape[0], max_new_tokens)], 1)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for t in range(T, T + max_new_tokens):
                logits, _ = model(out[:, max(0, t - seq_size) : t])
                out[:, t] = next_token(logits[:, -1], temperature, top_k, top_p, generator)[:, 0]
    finally:
        model.train(training)
    return out
""",
    ),
    mistakes=MISTAKES,
    read=READ,
)
