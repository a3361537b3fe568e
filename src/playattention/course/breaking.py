"""What happens to a tiny GPT when one thing is changed: run, measured and told.

The same on every run: all chance is seeded. One block, 16 channels, 8 tokens, 150 steps on plays
of the built-in grammar; each training takes half a second on one CPU core. Does not know who
predicted what.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from playattention.config import GPTConfig
from playattention.data import playhouse
from playattention.models.kv_cache import KVCache
from playattention.models.model_gpt import AttentionHead, GPTModel, TransformerBlock

SEQ_SIZE, BATCH_SIZE, STEPS = 8, 16, 150

LOSS = ("lower", "about the same", "higher")
PICTURE = ("even rows", "about the same", "one bright cell in each row")

Change = Callable[[GPTModel], object]


@dataclass(frozen=True)
class Happened:
    """What a change did.

    Args:
        answer: One of the choices.
        evidence: A sentence with the numbers that say so.
        picture: Attention weights (T, T) before and after the change, if it is about the picture.
    """

    answer: str
    evidence: str
    picture: tuple[torch.Tensor, torch.Tensor] | None = None


@dataclass(frozen=True)
class Curve:
    """What a training came to, in nats per token.

    Args:
        first: The loss of the first step.
        last: The mean loss of the last 20.
        other: The loss on other plays, afterwards.
    """

    first: float
    last: float
    other: float


@cache
def _text() -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return the ids to train on, those of other plays, and the size of the vocabulary."""
    text = playhouse.write(20_000)
    ids = {character: number for number, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([ids[character] for character in text])
    return tokens[:18_000], tokens[18_000:], len(ids)


def _model(change: Change, n_layer: int) -> GPTModel:
    config = GPTConfig(
        vocab_size=_text()[2], seq_size=SEQ_SIZE, n_embd=16, n_head=2, n_layer=n_layer
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPTModel(config).to(torch.float32)
        change(model)
    return model


def _windows(tokens: torch.Tensor, count: int, chance: torch.Generator) -> torch.Tensor:
    """Draw windows with one token more than the model sees: (count, T + 1)."""
    starts = torch.randint(0, len(tokens) - SEQ_SIZE, (count, 1), generator=chance)
    return tokens[starts + torch.arange(SEQ_SIZE + 1)]


@cache
def _train(
    change: Change = id,
    *,
    rate: float = 0.01,
    n_layer: int = 1,
    shift: int = 1,
    one_batch: bool = False,
) -> tuple[Curve, GPTModel]:
    """Train a tiny GPT with one thing changed.

    Args:
        change: Done to the model before it is trained.
        rate: Learning rate.
        n_layer: Blocks.
        shift: How many tokens after the input the target stands.
        one_batch: The first batch is used for all steps.
    """
    model, chance = _model(change, n_layer), torch.Generator().manual_seed(1)
    own, others, _ = _text()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    losses, windows = [], _windows(own, BATCH_SIZE, chance)
    for _ in range(STEPS):
        _, loss = model(windows[:, :-1], windows[:, shift : SEQ_SIZE + shift])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        windows = windows if one_batch else _windows(own, BATCH_SIZE, chance)
    windows = _windows(others, 200, chance)
    with torch.no_grad():
        _, other = model(windows[:, :-1], windows[:, 1:])
    return Curve(losses[0], sum(losses[-20:]) / 20, other.item()), model


def _compared(what: str, changed: float, plain: float) -> Happened:
    """Tell a loss from the one without the change: a quarter more or less counts as a change."""
    ratio = changed / plain if math.isfinite(changed) else math.inf
    answer = LOSS[0] if ratio < 0.75 else LOSS[2] if ratio > 1.25 else LOSS[1]
    return Happened(answer, f"{what}: {changed:.2f}; without the change: {plain:.2f}.")


def _sees_all(model: GPTModel) -> None:
    for name, buffer in model.named_buffers():
        if name.endswith("causal_mask"):
            buffer.fill_(True)


class _Bare(nn.Module):
    """A block that passes on what it computed, and not what it was given."""

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        attended = self.block.attention(self.block.attention_norm(x), cache)
        return self.block.feed_forward(self.block.feed_forward_norm(attended))


def _bare(model: GPTModel) -> None:
    model.blocks = nn.ModuleList(_Bare(block) for block in model.blocks)  # type: ignore[arg-type]


def _wide_and_tied(model: GPTModel) -> None:
    nn.init.normal_(model.token_embedding.weight)
    model.head.weight = model.token_embedding.weight


def no_mask() -> Happened:
    """Train without the causal mask."""
    return _compared("Loss at the end of training", _train(_sees_all)[0].last, _train()[0].last)


def not_shifted() -> Happened:
    """Train with the inputs as targets, then ask for the next token."""
    curve, plain = _train(shift=0)[0], _train()[0]
    happened = _compared("Loss in predicting the next token", curve.other, plain.other)
    return Happened(
        happened.answer, f"{happened.evidence} In training it fell to {curve.last:.2f}."
    )


def too_fast() -> Happened:
    """Train with 300 times the learning rate."""
    return _compared("Loss at the end of training", _train(rate=3.0)[0].last, _train()[0].last)


def no_residuals() -> Happened:
    """Train three blocks without residual connections."""
    bare, plain = _train(_bare, n_layer=3)[0], _train(n_layer=3)[0]
    return _compared("Loss at the end of training", bare.last, plain.last)


def wide_table() -> Happened:
    """Use the embedding table, drawn from N(0, 1), as the head, too."""
    happened = _compared("First loss", _train(_wide_and_tied)[0].first, _train()[0].first)
    told = f"{happened.evidence} ln({_text()[2]}) is {math.log(_text()[2]):.2f}."
    return Happened(happened.answer, told)


def one_batch() -> Happened:
    """Train on the same batch at every step, then measure on other plays."""
    curve, plain = _train(one_batch=True)[0], _train()[0]
    happened = _compared("Loss on other plays", curve.other, plain.other)
    return Happened(
        happened.answer, f"{happened.evidence} On its own batch it fell to {curve.last:.2f}."
    )


def _picture(model: GPTModel) -> torch.Tensor:
    """Return the weights of the first head, (T, T), for one window of other plays."""
    found: list[torch.Tensor] = []
    hook = _head(model).dropout.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    with torch.no_grad():
        model(_text()[1][None, :SEQ_SIZE])
    hook.remove()
    return found[0][0]


def _head(model: GPTModel) -> AttentionHead:
    head = model.get_submodule("blocks.0.attention.heads.0")
    assert isinstance(head, AttentionHead)
    return head


def _pictures(change: Change) -> Happened:
    """Compare the picture of a trained model before and after a change of its first head."""
    plain = _train()[1]
    changed = copy.deepcopy(plain)
    change(changed)
    before, after = _picture(plain), _picture(changed)
    even = torch.ones_like(after).tril() / torch.arange(1, SEQ_SIZE + 1)[:, None]
    largest = [weights[1:].amax(-1).mean().item() for weights in (after, before)]
    answer = PICTURE[1]
    if (after - even).abs().max() < 0.01:
        answer = PICTURE[0]
    elif largest[0] > 0.9:
        answer = PICTURE[2]
    told = f"A row's largest weight, mean: {largest[0]:.2f}; without the change: {largest[1]:.2f}."
    return Happened(answer, told, (before, after))


def _asks_nothing(model: GPTModel) -> None:
    nn.init.zeros_(_head(model).query.weight)


def _sharpened(model: GPTModel) -> None:
    _head(model).scale *= 100


def zero_queries() -> Happened:
    """Set the query matrix of a trained head to 0."""
    return _pictures(_asks_nothing)


def large_scores() -> Happened:
    """Make the scores of a trained head 100 times as large."""
    return _pictures(_sharpened)
