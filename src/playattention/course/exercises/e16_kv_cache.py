"""Exercise 16: the KV cache. What old tokens offer is kept, so each new one costs one step."""

import torch
from torch import nn

from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e06_causal_mask import causal_softmax
from playattention.course.exercises.e07_many_heads import merge, split
from playattention.course.exercises.e09_feed_forward import FeedForward
from playattention.course.exercises.e16_equivalents import EQUIVALENTS
from playattention.course.exercises.e16_mistakes import MISTAKES
from playattention.course.filling import (
    count_unmoved,
    count_weights,
    draw_ids,
    elsewhere,
    every_weight,
    fill,
    is_untouched,
    scatter,
)


class CachedAttention(nn.Module):
    """Attention whose queries are the new tokens and whose keys and values are all up to now."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.scale = (n_embd // n_head) ** -0.5
        self.query_key_value = nn.Linear(n_embd, 3 * n_embd)
        self.projection = nn.Linear(n_embd, n_embd)

    def forward(
        self, x: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return what the new tokens find, and what is to be kept.

        Args:
            x: The new tokens (B, t, C).
            past: Keys and values of the tokens before, (B, H, S, D) each; None if there are none.

        Returns:
            (B, t, C); keys and values of all tokens, (B, H, S + t, D) each.
        """
        query, key, value = (
            split(part, self.n_head) for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        if past is not None:
            key = torch.cat((past[0], key), dim=2)  # (B, H, S + t, D)
            value = torch.cat((past[1], value), dim=2)
        scores = query @ key.transpose(2, 3) * self.scale  # (B, H, t, S + t)
        weights = causal_softmax(scores)
        return self.projection(merge(weights @ value)), (key, value)


class CachedBlock(nn.Module):
    """The block of exercise 10, with a past."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(n_embd)
        self.attention = CachedAttention(n_embd, n_head)
        self.feed_forward_norm = nn.LayerNorm(n_embd)
        self.feed_forward = FeedForward(n_embd)

    def forward(
        self, x: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the stream (B, t, C) with this block's additions, and what is to be kept."""
        attended, kept = self.attention(self.attention_norm(x), past)
        x_attended = x + attended
        return x_attended + self.feed_forward(self.feed_forward_norm(x_attended)), kept


class CachedGPT(nn.Module):
    """The GPT of exercise 12, which takes a text in parts.

    Args:
        vocab_size: V, number of different tokens.
        seq_size: The most tokens it takes, those in the cache included.
        n_embd: C, channels of a token.
        n_head: Heads of each attention.
        n_layer: Number of blocks.
    """

    def __init__(
        self, vocab_size: int, seq_size: int, n_embd: int, n_head: int, n_layer: int
    ) -> None:
        super().__init__()
        self.seq_size = seq_size
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(seq_size, n_embd)
        self.blocks = nn.ModuleList(CachedBlock(n_embd, n_head) for _ in range(n_layer))
        self.final_norm = nn.LayerNorm(n_embd)

    def forward(
        self,
        idx: torch.Tensor,
        cache: list[tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        """Return the scores after each new token, and the cache with these tokens.

        Args:
            idx: Ids of the new tokens (B, t); they stay as they are. What is made here, such as
                positions and masks, is made on their device.
            cache: What the call before gave, of whatever form you like; None begins a text.

        Returns:
            Logits (B, t, V) of the new tokens; the cache for the next call.

        Raises:
            ValueError: If these tokens, with those in the cache, are more than seq_size.
        """
        start = cache[0][0].size(2) if cache else 0
        end = start + idx.size(1)
        if end > self.seq_size:
            raise ValueError(f"{end} tokens: the model takes {self.seq_size} at most")
        positions = torch.arange(start, end, device=idx.device)
        x = self.token_embedding(idx) + self.position_embedding(positions)  # (B, t, C)
        kept = []
        for layer, block in enumerate(self.blocks):
            x, layer_kept = block(x, cache[layer] if cache else None)
            kept.append(layer_kept)
        logits = self.final_norm(x) @ self.token_embedding.weight.T  # (B, t, V)
        return logits, kept


V, SEQ_SIZE, C = 11, 7, 12


def _built(own: Solution, seed: int, n_layer: int = 2) -> nn.Module:
    return fill(own.CachedGPT(V, SEQ_SIZE, C, 3, n_layer), seed, head_size=4)


def _parts(module: nn.Module, idx: torch.Tensor, *sizes: int) -> torch.Tensor:
    """Return the logits of a text that is given in parts of some sizes."""
    logits, cache = [], None
    for part in torch.split(idx, list(sizes), dim=1):
        new, cache = module(part, cache)
        logits.append(new)
    return torch.cat(logits, dim=1)


def _in_parts(own: Solution, seed: int, *sizes: int) -> torch.Tensor:
    return _parts(_built(own, seed), draw_ids(seed, V, 2, sum(sizes)), *sizes)


def _as_whole(own: Solution, seed: int) -> bool:
    """Tell whether parts give what the whole gives, with queries, keys and values that differ."""
    one, other = (scatter(own.CachedGPT(V, SEQ_SIZE, C, 3, 2), seed) for _ in range(2))
    idx = draw_ids(seed, V, 2, 6)
    return torch.allclose(_parts(one, idx, 2, 3, 1), other(idx)[0])


def _shapes(own: Solution, seed: int) -> list[list[int]]:
    """Return the shapes of the logits for 4, then 2 tokens."""
    module, idx = _built(own, seed), draw_ids(seed, V, 2, 6)
    first, cache = module(idx[:, :4])
    return [list(first.shape), list(module(idx[:, 4:], cache)[0].shape)]


def _two_prompts(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return the logits of two prompts, one after the other."""
    module = _built(own, seed)
    return [
        _parts(module, draw_ids(seed, V, 2, 4), 3, 1),
        _parts(module, draw_ids(seed + 9, V, 2, 3), 2, 1),
    ]


def _in_turns(own: Solution, seed: int) -> list[torch.Tensor]:
    """Return the logits of two texts that are given in turns, each with its cache."""
    module = _built(own, seed)
    one, other = draw_ids(seed, V, 2, 5), draw_ids(seed + 9, V, 3, 4)
    first, one_cache = module(one[:, :3])
    second, other_cache = module(other[:, :2])
    return [
        first,
        second,
        module(one[:, 3:], one_cache)[0],
        module(other[:, 2:], other_cache)[0],
    ]


def _too_long(own: Solution, seed: int, *sizes: int) -> str:
    module, idx = _built(own, seed), draw_ids(seed, V, 1, sum(sizes))
    try:
        _parts(module, idx, *sizes)
    except ValueError:
        return "a ValueError"
    except Exception:
        return "another error"
    return "no error"


def _kept(own: Solution, seed: int) -> torch.Tensor:
    """Return the logits of a second part while the old tokens' positions are gone from the table.

    Where they come from the cache, this changes nothing; where they are computed again, it does.
    """
    module, idx = _built(own, seed), draw_ids(seed, V, 2, 6)
    _, cache = module(idx[:, :4])
    with torch.no_grad():
        for weight in every_weight(module):
            if weight.squeeze().shape == (SEQ_SIZE, C):
                weight.view(SEQ_SIZE, C)[:4] = 0.0
    return module(idx[:, 4:], cache)[0]


def _counts(own: Solution, _: int) -> dict[str, int]:
    counts = count_weights(own.CachedGPT(V, SEQ_SIZE, C, 3, 2))
    return {key: counts[key] for key in ("in matrices", "in gains")}


def _unmoved(own: Solution, seed: int) -> int:
    module = _built(own, seed)
    return count_unmoved(module, module(draw_ids(seed, V, 2, SEQ_SIZE))[0])


READ = "docs/11-generation.md#kv-cache"

EXERCISE = Exercise(
    number=16,
    name="kv_cache",
    title="The KV cache",
    goal="""
While a model writes, each new token looks at all before it, but these have not changed: a token sees
nothing after it, so its keys and values stay as they were. Keep them, layer by layer, and compute
only what is new. The result is the same as without. Write CachedGPT, which is asked for alone; the
two other classes are a suggestion. The cache may have any form, and all that is kept is in it, none
in the model. The model is that of exercise 12: tied head, norms first, tanh-GELU; biases and names
are up to you. No dropout.
""",
    follows="GPT-2",
    reference=(CachedAttention, CachedBlock, CachedGPT),
    imports=(
        "import torch",
        "from torch import nn",
        "",
        "from playattention.course.pieces import FeedForward, causal_softmax, merge, split",
    ),
    probes=(
        Probe("the logits are those of the new tokens: (B, t, V)", _shapes),
        Probe(
            "an optimizer gets what exercise 12 has: two tables, 12 C^2 a block, C gains a norm",
            _counts,
        ),
        Probe("a whole text, without a cache, is right", lambda own, seed: _in_parts(own, seed, 6)),
        Probe("1 + 1 tokens are as 2", lambda own, seed: _in_parts(own, seed, 1, 1)),
        Probe("5 + 1 tokens are as 6", lambda own, seed: _in_parts(own, seed, 5, 1)),
        Probe("4 + 3 tokens are as 7", lambda own, seed: _in_parts(own, seed, 4, 3)),
        Probe(
            "seq_size tokens, one by one, are as all at once",
            lambda own, seed: _in_parts(own, seed, *[1] * SEQ_SIZE),
        ),
        Probe("2 + 3 + 1 tokens are as 6, whatever the weights", _as_whole),
        Probe("a second prompt knows nothing of the first", _two_prompts),
        Probe("two texts, given in turns, do not mix: each has its cache", _in_turns),
        Probe("the old tokens are not computed again", _kept),
        Probe(
            "more than seq_size tokens at once are refused, with a ValueError",
            lambda own, seed: _too_long(own, seed, SEQ_SIZE + 1),
        ),
        Probe(
            "one token more than seq_size is refused when it comes after a full cache as well",
            lambda own, seed: _too_long(own, seed, SEQ_SIZE, 1),
        ),
        Probe(
            "three blocks, or one, are right",
            lambda own, seed: [
                _parts(_built(own, seed, n_layer), draw_ids(seed, V, 1, 5), 2, 2, 1)
                for n_layer in (3, 1)
            ],
        ),
        Probe(
            "the ids are left as they are",
            lambda own, seed: is_untouched(_built(own, seed), draw_ids(seed, V, 2, 5)),
        ),
        Probe(
            "what it makes is made on the ids' device",
            lambda own, seed: elsewhere(_built(own, seed), draw_ids(seed, V, 2, 5))[0],
        ),
        Probe("every number in the matrices gets a gradient", _unmoved),
    ),
    hints=(
        "Whatever the parts that a text is given in, its logits are those of the whole text at once.",
        "Three places know of the past: the positions begin at the number of tokens kept, each layer puts its own old keys and values before the new ones, and the mask counts the queries from the end of the keys.",
        "positions = torch.arange(start, start + t); key = torch.cat((old_key, key), dim=2), the values alike; causal_softmax does the rest; return (key, value) of each layer in a list.",
    ),
    equivalents=EQUIVALENTS,
    mistakes=MISTAKES,
    read=READ,
)
