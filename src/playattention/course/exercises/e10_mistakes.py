"""The block: other ways to write it, and the mistakes that people make."""

from playattention.course.exercise import Mistake

ATTENDED = "attended = self.attention(self.attention_norm(x))"
FIRST = "x_attended = x + attended"
COMPUTED = "computed = self.feed_forward(self.feed_forward_norm(x_attended))"
SECOND = "return x_attended + computed"
NORM = "self.feed_forward_norm = nn.LayerNorm(n_embd)"
BLOCK = "docs/08-residuals-and-norms.md#block"
RESIDUALS = "docs/08-residuals-and-norms.md#residuals"
NORMS = "docs/08-residuals-and-norms.md#layer-norm"

EQUIVALENTS = (
    """
from torch import nn

from playattention.course import pieces


class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.sa = pieces.MultiHeadAttention(n_embd, n_head)
        self.ffwd = pieces.FeedForward(n_embd)

    def forward(self, x):
        x = x + self.sa(self.ln1(x))
        x = x + self.ffwd(self.ln2(x))
        return x
""",
    """
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    def __init__(self, n_embd, part):
        super().__init__()
        self.norm = nn.LayerNorm(n_embd, bias=False)
        self.part = part

    def forward(self, x):
        return self.part(self.norm(x)) + x


class Attention(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.out = nn.Linear(n_embd, n_embd, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Sequential):
    def __init__(self, n_embd, n_head):
        wide = 4 * n_embd
        super().__init__(
            Residual(n_embd, Attention(n_embd, n_head)),
            Residual(
                n_embd,
                nn.Sequential(
                    nn.Linear(n_embd, wide), nn.GELU(approximate="tanh"), nn.Linear(wide, n_embd)
                ),
            ),
        )
""",
    """
import torch
from torch import nn

from playattention.course.pieces import FeedForward, MultiHeadAttention, layer_norm


class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.gains = nn.ParameterList([torch.ones(n_embd) for _ in range(2)])
        self.biases = nn.ParameterList([torch.zeros(n_embd) for _ in range(2)])
        self.parts = nn.ModuleList([MultiHeadAttention(n_embd, n_head), FeedForward(n_embd)])

    def forward(self, x):
        for gain, bias, part in zip(self.gains, self.biases, self.parts):
            x = torch.add(x, part(layer_norm(x, gain, bias)))
        return x
""",
)

MISTAKES = (
    Mistake(
        "no residual",
        ((FIRST, "x_attended = attended"), (SECOND, "return computed")),
        "Each part replaces the stream instead of adding to it: what a token was is lost after one block, and so is the way for the gradient.",
        RESIDUALS,
    ),
    Mistake(
        "no residual around attention",
        ((FIRST, "x_attended = attended"),),
        "What attention gives replaces the stream instead of being added to it: a token forgets itself.",
        RESIDUALS,
    ),
    Mistake(
        "no residual around the feed-forward network",
        ((SECOND, "return computed"),),
        "What the feed-forward network gives replaces the stream instead of being added to it: what attention brought is lost.",
        RESIDUALS,
    ),
    Mistake(
        "residual from the normed input",
        (
            (ATTENDED, "x = self.attention_norm(x)\n        attended = self.attention(x)"),
            (
                COMPUTED,
                "x_attended = self.feed_forward_norm(x_attended)\n        computed = self.feed_forward(x_attended)",
            ),
        ),
        "The parts' results are added to the normed stream. The norm is for the part's eyes only: add to the stream as it was, else every block rescales what all before it have said.",
        RESIDUALS,
    ),
    Mistake(
        "residual inside the part",
        (
            (ATTENDED, "x_attended = self.attention(self.attention_norm(x) + x)"),
            (FIRST, "pass"),
            (
                COMPUTED,
                "computed = self.feed_forward(self.feed_forward_norm(x_attended) + x_attended)",
            ),
            (SECOND, "return computed"),
        ),
        "The stream is added before the part, f(LN(x) + x), so it has to go through the part. It must go round it: x + f(LN(x)).",
        RESIDUALS,
    ),
    Mistake(
        "norms after the addition",
        (
            (ATTENDED, "attended = self.attention(x)"),
            (FIRST, "x_attended = self.attention_norm(x + attended)"),
            (COMPUTED, "computed = self.feed_forward(x_attended)"),
            (SECOND, "return self.feed_forward_norm(x_attended + computed)"),
        ),
        "This is post-norm, as in the first Transformer: the stream itself is normed, block after block, which trains badly when there are many. GPT-2 norms what a part reads.",
        NORMS,
    ),
    Mistake(
        "norms after the parts",
        (
            (ATTENDED, "attended = self.attention_norm(self.attention(x))"),
            (COMPUTED, "computed = self.feed_forward_norm(self.feed_forward(x_attended))"),
        ),
        "What the parts give is normed, not what they read, so the stream that they read may be of any size. Norm first: part(norm(x)).",
        NORMS,
    ),
    Mistake(
        "no norms",
        (
            ("self.attention_norm = nn.LayerNorm(n_embd)", "self.attention_norm = nn.Identity()"),
            (NORM, "self.feed_forward_norm = nn.Identity()"),
        ),
        "The parts read the stream as it is, and it grows from block to block. Each part needs a layer norm before it.",
        NORMS,
    ),
    Mistake(
        "one norm for both",
        ((NORM, "self.feed_forward_norm = self.attention_norm"),),
        "Both parts read through the same layer norm, with the same gain and bias. Each has one of its own.",
        NORMS,
    ),
    Mistake(
        "both parts read the same",
        ((COMPUTED, "computed = self.feed_forward(self.feed_forward_norm(x))"),),
        "The feed-forward network reads the stream from before the attention, so it can't work on what the tokens have just exchanged. (Some later models do this on purpose, for speed.)",
        BLOCK,
    ),
    Mistake(
        "feed-forward first",
        (
            (ATTENDED, "attended = self.feed_forward(self.feed_forward_norm(x))"),
            (COMPUTED, "computed = self.attention(self.attention_norm(x_attended))"),
        ),
        "The feed-forward network comes before the attention. First the tokens exchange what they know, then each works on it.",
        BLOCK,
    ),
    Mistake(
        "attention's addition lost",
        ((SECOND, "return x + computed"),),
        "The second addition starts from the block's input again, so what attention added reaches the feed-forward network and no further.",
        RESIDUALS,
    ),
    Mistake(
        "input edited in place",
        ((FIRST, "x += attended\n        x_attended = x"),),
        "x += ... writes into the tensor that was handed in, which the caller and the norm's gradient still need. x = x + ... makes a new one.",
        RESIDUALS,
    ),
    Mistake(
        "stream edited in place",
        ((SECOND, "x_attended += computed\n        return x_attended"),),
        "x += ... writes into the tensor that the second norm read, and its gradient needs that as it was: the step back raises an error. x = x + ... makes a new one.",
        RESIDUALS,
    ),
    Mistake(
        "dropout in evaluation",
        ((SECOND, "return x_attended + torch.nn.functional.dropout(computed, 0.1)"),),
        "F.dropout drops numbers in evaluation as in training unless it is told training=self.training. nn.Dropout knows by itself. (Here, none is needed.)",
        BLOCK,
    ),
)
