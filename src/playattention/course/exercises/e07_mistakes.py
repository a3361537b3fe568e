"""Many heads: other ways to write them, and the mistakes that people make."""

from playattention.course.exercise import Mistake

SPLIT = "x.reshape(B, T, n_head, C // n_head).transpose(1, 2)"
MERGE = "heads.transpose(1, 2).reshape(B, T, H * D)"
SCALE = "(n_embd // n_head) ** -0.5"
FUSED = "self.query_key_value = nn.Linear(n_embd, 3 * n_embd)"
PROJECTION = "self.projection = nn.Linear(n_embd, n_embd)"
FORWARD = "fused = self.query_key_value(x)"
PARTS = "(split(part, self.n_head) for part in fused.chunk(3, dim=-1))"
SOFTMAX = "weights = causal_softmax(scaled)"
OUT = "return self.projection(merge(mixed))"
HEADS = "docs/05-attention.md#many-heads"
SCALING = "docs/05-attention.md#scale"
MASK = "docs/05-attention.md#mask"

EQUIVALENTS = (
    """
import torch
import torch.nn.functional as F
from torch import nn


def split(x, n_head):
    return torch.stack(x.chunk(n_head, dim=-1), dim=1)


def merge(heads):
    return torch.cat(heads.unbind(1), dim=-1)


class Head(nn.Module):
    def __init__(self, n_embd, head_size):
        super().__init__()
        self.q = nn.Linear(n_embd, head_size, bias=False)
        self.k = nn.Linear(n_embd, head_size, bias=False)
        self.v = nn.Linear(n_embd, head_size, bias=False)

    def forward(self, x):
        size = x.size(1)
        scores = self.q(x) @ self.k(x).mT / self.q.out_features**0.5
        hidden = torch.ones(size, size, device=x.device).triu(1).bool()
        return F.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1) @ self.v(x)


class MultiHeadAttention(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.heads = nn.ModuleList([Head(n_embd, n_embd // n_head) for _ in range(n_head)])
        self.out = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        return self.out(torch.cat([head(x) for head in self.heads], dim=-1))
""",
    """
import torch
import torch.nn.functional as F
from torch import nn


def split(x, n_head):
    return x.unflatten(-1, (n_head, -1)).movedim(2, 1)


def merge(heads):
    return heads.movedim(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(n_embd, n_embd) for _ in range(4))

    def forward(self, x):
        q, k, v = (split(layer(x), self.n_head) for layer in (self.wq, self.wk, self.wv))
        return self.wo(merge(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
""",
    '''
import torch
from torch import nn


def split(x, n_head):
    """Head by head."""
    size = x.shape[-1] // n_head
    return torch.stack([x[:, :, h * size : (h + 1) * size] for h in range(n_head)], 1)


def merge(heads):
    return torch.einsum("bhtd->bthd", heads).flatten(-2)


class MultiHeadAttention(nn.Module):
    """What the heads found is projected head by head, and summed."""

    def __init__(self, n_embd, n_head):
        super().__init__()
        size = n_embd // n_head
        self.into = nn.Parameter(torch.randn(3, n_head, n_embd, size) * 0.02)
        self.out = nn.Parameter(torch.randn(n_head, size, n_embd) * 0.02)

    def forward(self, x):
        q, k, v = torch.einsum("btc,nhcd->nbhtd", x, self.into)
        scores = torch.einsum("bhtd,bhsd->bhts", q, k) / k.shape[-1] ** 0.5
        scores = scores + torch.full(scores.shape[-2:], -torch.inf, device=x.device).triu(1)
        mixed = torch.einsum("bhts,bhsd->bhtd", scores.softmax(-1), v)
        return torch.einsum("bhtd,hdc->btc", mixed, self.out)
''',
)

MISTAKES = (
    Mistake(
        "split without transpose",
        ((SPLIT, "x.reshape(B, n_head, T, C // n_head)"),),
        "The numbers are read in their order in memory: token by token, not head by head. A head gets whole tokens of others instead of its channels of all tokens. Cut the channels first, (B, T, H, D), then exchange T and H.",
        HEADS,
    ),
    Mistake(
        "merged without transpose",
        ((MERGE, "heads.reshape(B, T, H * D)"),),
        "The numbers are read in their order in memory: head by head, so that a token gets the channels of other tokens, also of those to come. Exchange H and T back first.",
        HEADS,
    ),
    Mistake(
        "channels dealt out in turns",
        ((SPLIT, "x.reshape(B, T, C // n_head, n_head).permute(0, 3, 1, 2)"),),
        "Head h gets the channels h, h + H, h + 2H, ...; here it is to get D neighbours. It is the order that merge, and released weights, rely on. Cut C into (H, D), not (D, H).",
        HEADS,
    ),
    Mistake(
        "merged with the heads inside",
        ((MERGE, "heads.permute(0, 2, 3, 1).reshape(B, T, H * D)"),),
        "The channels of the heads are shuffled into each other: all first ones, then all second ones. Put whole heads side by side: (B, T, H, D), then join the last two.",
        HEADS,
    ),
    Mistake(
        "one projection shared by all heads",
        (
            (FUSED, "self.query_key_value = nn.Linear(n_embd, 3 * (n_embd // n_head))"),
            (
                FORWARD,
                "fused = torch.cat([p for p in self.query_key_value(x).chunk(3, dim=-1) for _ in range(self.n_head)], dim=-1)",
            ),
        ),
        "All heads have the same weights, so they look for the same and find the same: it is one head, H times. Each needs a query, key and value projection of its own.",
        HEADS,
    ),
    Mistake(
        "no projection at the end",
        ((PROJECTION, "pass"), (OUT, "return merge(mixed)")),
        "The heads' results only stand side by side: what head 0 found stays in the first D channels. A last projection, C to C, lets every channel take from every head.",
        HEADS,
    ),
    Mistake(
        "a Python list of modules",
        (
            (FUSED, "self.parts = [nn.Linear(n_embd, n_embd) for _ in range(3)]"),
            (FORWARD, "fused = torch.cat([part(x) for part in self.parts], dim=-1)"),
        ),
        "A module does not look into Python lists: parameters() does not give these weights, so they are never trained, saved or moved to a GPU. Use nn.ModuleList.",
        HEADS,
    ),
    Mistake(
        "each head of full width",
        (
            (SCALE, "n_embd ** -0.5"),
            (FUSED, "self.query_key_value = nn.Linear(n_embd, 3 * n_head * n_embd)"),
            (PROJECTION, "self.projection = nn.Linear(n_head * n_embd, n_embd)"),
        ),
        "Each head has all C channels, so H heads cost H times as much. They share out the channels: D = C / H for each.",
        HEADS,
    ),
    Mistake(
        "scaled by n_embd",
        ((SCALE, "n_embd ** -0.5"),),
        "The scores are divided by the square root of C. A head's dot product has D terms: divide by the square root of the head size.",
        SCALING,
    ),
    Mistake(
        "scaled by n_head",
        ((SCALE, "n_head ** -0.5"),),
        "The scores are divided by the square root of the number of heads. A head's dot product has D terms: divide by the square root of the head size.",
        SCALING,
    ),
    Mistake(
        "no scale",
        (("scaled = scores * self.scale", "scaled = scores"),),
        "The scores are not divided by the square root of the head size, so the softmax gives almost all to one key.",
        SCALING,
    ),
    Mistake(
        "scaled twice",
        (("scaled = scores * self.scale", "scaled = scores * self.scale**2"),),
        "The scores are divided by the head size: by its square root twice, or once by itself. They come out too small, and the shares too even.",
        SCALING,
    ),
    Mistake(
        "no mask",
        ((SOFTMAX, "weights = scaled.softmax(dim=-1)"),),
        "Every token sees those to come. Use causal_softmax in place of a plain softmax.",
        MASK,
    ),
    Mistake(
        "masked in evaluation only",
        (
            (
                SOFTMAX,
                "weights = scaled.softmax(dim=-1) if self.training else causal_softmax(scaled)",
            ),
        ),
        "While the model is trained, every token sees those to come: it learns to read the answer. All paths through the module need the mask, with dropout as without.",
        MASK,
    ),
    Mistake(
        "masked in training only",
        (
            (
                SOFTMAX,
                "weights = causal_softmax(scaled) if self.training else scaled.softmax(dim=-1)",
            ),
        ),
        "In evaluation, every token sees those to come, so the validation loss is too good to be true. All paths through the module need the mask.",
        MASK,
    ),
    Mistake(
        "mask made on the default device",
        (
            (
                SOFTMAX,
                "weights = scaled.masked_fill(torch.ones(x.size(1), x.size(1)).triu(1) > 0, -torch.inf).softmax(dim=-1)",
            ),
        ),
        "A tensor made without a device stands on the CPU; on a GPU this line fails. Make it where x is: device=x.device.",
        MASK,
    ),
    Mistake(
        "heads looking at heads",
        (
            ("query @ key.transpose(2, 3)", "query.transpose(1, 2) @ key.permute(0, 2, 3, 1)"),
            (
                "mixed = weights @ value",
                "mixed = (weights @ value.transpose(1, 2)).transpose(1, 2)",
            ),
        ),
        "The scores are (B, T, H, H): in each token, heads are compared with heads, and no token sees another. Exchange T and H before the dot products.",
        HEADS,
    ),
)
