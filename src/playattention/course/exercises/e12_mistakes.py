"""The whole GPT: other ways to write it, and the mistakes that people make."""

from playattention.course.exercise import Mistake

TIE = "self.head.weight = self.token_embedding.weight"
DRAW = "nn.init.normal_(weight, std=0.02)"
BLOCKS = "self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))"
NORM = "self.final_norm = nn.LayerNorm(n_embd)"
TABLE = "self.position_embedding = nn.Embedding(seq_size, n_embd)"
EMBED = "x = self.token_embedding(idx) + self.position_embedding(positions)  # (B, T, C)"
LOGITS = "logits = self.head(self.final_norm(x))  # (B, T, V)"
LOSS = "loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())"
NONE = "return logits, None"
BOTH = "return logits, loss"
HEAD = "docs/09-head-and-loss.md#head"
LOSSES = "docs/09-head-and-loss.md#loss"
FIRST = "docs/09-head-and-loss.md#first-loss"
TIED = "docs/09-head-and-loss.md#tied-weights"
POSITIONS = "docs/04-embeddings.md#positions"
BLOCK = "docs/08-residuals-and-norms.md#block"

EQUIVALENTS = (
    """
import torch
import torch.nn.functional as F
from torch import nn

from playattention.course.pieces import Block


class GPT(nn.Module):
    def __init__(self, vocab_size, seq_size, n_embd, n_head, n_layer):
        super().__init__()
        self.wte = nn.Parameter(0.02 * torch.randn(vocab_size, n_embd))
        self.wpe = nn.Parameter(torch.zeros(1, seq_size, n_embd))
        self.h = nn.Sequential(*[Block(n_embd, n_head) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd, bias=False)

    def forward(self, idx, targets=None):
        B, T = idx.shape
        assert T <= self.wpe.size(1)
        hidden = self.ln_f(self.h(self.wte[idx] + self.wpe[:, :T]))
        logits = F.linear(hidden, self.wte)
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(B * T, -1), targets.reshape(B * T))
        return logits, loss
""",
    """
import torch
from torch import nn


def gelu(x):
    return nn.functional.gelu(x, approximate="tanh")


class GPT(nn.Module):
    def __init__(self, vocab_size, seq_size, n_embd, n_head, n_layer):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            n_embd, n_head, 4 * n_embd, 0.0, gelu, batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerEncoder(
            layer, n_layer, nn.LayerNorm(n_embd), enable_nested_tensor=False
        )
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.tokens.weight = self.lm_head.weight
        self.places = nn.Embedding(seq_size, n_embd)

    def forward(self, idx, targets=None):
        size = idx.shape[1]
        x = self.tokens(idx) + self.places.weight[torch.arange(size, device=idx.device)]
        mask = nn.Transformer.generate_square_subsequent_mask(size, device=x.device)
        logits = self.lm_head(self.decoder(x, mask=mask, is_causal=True))
        if targets is None:
            return logits, None
        chosen = logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1))
        return logits, -chosen.mean()
""",
    """
import torch
from torch import nn

from playattention.course.pieces import Block


class GPT(nn.Module):
    def __init__(self, vocab_size, seq_size, n_embd, n_head, n_layer):
        super().__init__()
        self.vocab_size = vocab_size
        self.into = nn.Linear(vocab_size, n_embd, bias=False)  # of one-hot rows
        nn.init.normal_(self.into.weight, std=0.02)
        self.places = nn.Parameter(torch.zeros(seq_size, n_embd))
        for n in range(n_layer):
            self.add_module(f"block{n}", Block(n_embd, n_head))
        self.n_layer = n_layer
        self.norm = nn.LayerNorm(n_embd)

    def forward(self, idx, targets=None):
        hot = nn.functional.one_hot(idx, self.vocab_size).to(self.places.dtype)
        x = self.into(hot) + self.places[: idx.size(1)]
        for n in range(self.n_layer):
            x = self.get_submodule(f"block{n}")(x)
        logits = self.norm(x) @ self.into.weight
        if targets is None:
            return logits, None
        return logits, nn.CrossEntropyLoss()(logits.permute(0, 2, 1), targets)
""",
)

MISTAKES = (
    Mistake(
        "no final norm",
        ((NORM, "pass"), (LOGITS, "logits = self.head(x)")),
        "The head reads the stream as the last block leaves it, whose size grows with every block. A last layer norm stands before the head.",
        HEAD,
    ),
    Mistake(
        "final norm not used",
        ((LOGITS, "logits = self.head(x)"),),
        "The last layer norm is made, and nothing goes through it. The head is to read the normed stream.",
        HEAD,
    ),
    Mistake(
        "probabilities into the cross-entropy",
        ((LOSS, "loss = F.cross_entropy(logits.softmax(-1).flatten(0, 1), targets.flatten())"),),
        "F.cross_entropy takes the softmax itself. After two of them, probabilities are nearly even whatever the model says, and the loss can't fall far below ln V.",
        LOSSES,
    ),
    Mistake(
        "probabilities instead of logits",
        ((LOGITS, "logits = self.head(self.final_norm(x)).softmax(dim=-1)"),),
        "The model gives probabilities. It is to give scores: cross-entropy and sampling take the softmax themselves.",
        HEAD,
    ),
    Mistake(
        "view in place of permute",
        ((LOSS, "loss = F.cross_entropy(logits.view(idx.size(0), -1, idx.size(1)), targets)"),),
        "F.cross_entropy wants the classes as the second axis, but view only cuts the same numbers another way: scores of one token land at another. Flatten B and T, or permute(0, 2, 1).",
        LOSSES,
    ),
    Mistake(
        "flattened logits returned",
        ((BOTH, "return logits.flatten(0, 1), loss"),),
        "With targets the logits come out as (B * T, V). Flatten them for the loss alone; who calls the model counts on (B, T, V).",
        LOSSES,
    ),
    Mistake(
        "tie broken",
        ((TIE, "pass"),),
        "The head has a (V, C) matrix of its own. In GPT-2 it is the embedding table itself: one parameter under two names, self.head.weight = self.token_embedding.weight. Equal numbers alone would part at the first step.",
        TIED,
    ),
    Mistake(
        "sum in place of mean",
        (
            (
                LOSS,
                'loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")',
            ),
        ),
        "The losses of all tokens are added up, so loss and gradients grow with the batch. Take the mean: nats per token.",
        LOSSES,
    ),
    Mistake(
        "one block, n_layer times",
        ((BLOCKS, "self.blocks = nn.ModuleList([Block(n_embd, n_head)] * n_layer)"),),
        "[Block()] * n is a list of one and the same block, n times: all layers share their weights. Build each: [Block() for _ in range(n)].",
        BLOCK,
    ),
    Mistake(
        "a Python list of blocks",
        ((BLOCKS, "self.blocks = [Block(n_embd, n_head) for _ in range(n_layer)]"),),
        "A module does not look into Python lists: parameters() does not give the blocks' weights, so they are never trained, saved or moved to a GPU. Use nn.ModuleList.",
        BLOCK,
    ),
    Mistake(
        "table drawn from N(0, 1)",
        ((DRAW, "pass"),),
        "nn.Embedding begins with numbers of about 1. As a tied head these make scores of about the root of C, and the model begins sure of nonsense: a first loss far over ln V. Begin with a standard deviation of 0.02.",
        FIRST,
    ),
    Mistake(
        "no positions",
        ((TABLE, "pass"), (EMBED, "x = self.token_embedding(idx)")),
        "Nothing tells the model where a token stands: apart from the mask, attention does not know the order.",
        POSITIONS,
    ),
    Mistake(
        "position table not cut to T",
        ((EMBED, "x = self.token_embedding(idx) + self.position_embedding.weight"),),
        "All seq_size positions are added, which fits texts of full length only. Take the first T.",
        POSITIONS,
    ),
    Mistake(
        "positions counted over the batch",
        (
            (
                "torch.arange(idx.size(1), device=idx.device)",
                "torch.arange(idx.size(0), device=idx.device).unsqueeze(1)",
            ),
        ),
        "All tokens of a text get the same position: the number of the text in the batch. Count along T, the second axis.",
        POSITIONS,
    ),
    Mistake(
        "targets shifted again",
        ((LOSS, "loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())"),),
        "The targets are the next tokens already. Shifted once more, the model learns to predict the one after the next, and the last is left out.",
        LOSSES,
    ),
    Mistake(
        "logits of the last token only",
        ((NONE, "return logits[:, -1:], None"),),
        "Without targets only the last token's scores are given. Whoever writes with the model needs no others, but who looks inside does: give all.",
        HEAD,
    ),
    Mistake(
        "loss without its graph",
        ((BOTH, "return logits, loss.item()"),),
        "item() makes a plain number of the loss, from which no gradient can flow. Return the tensor.",
        LOSSES,
    ),
    Mistake(
        "head with a bias",
        (("nn.Linear(n_embd, vocab_size, bias=False)", "nn.Linear(n_embd, vocab_size)"),),
        "The head adds a number of its own to each token's score. GPT and GPT-2 have none there: bias=False.",
        HEAD,
    ),
    Mistake(
        "positions made on the default device",
        ((", device=idx.device", ""),),
        "A tensor made without a device stands on the CPU; on a GPU this line fails. Make it where the ids are: device=idx.device.",
        POSITIONS,
    ),
    Mistake(
        "view of a slice",
        ((LOSS, "loss = F.cross_entropy(logits.flatten(0, 1), targets.view(-1))"),),
        "The targets are often a part of a longer row, text[:, 1:], whose numbers do not lie one after another; view refuses these. reshape or flatten copies where needed.",
        LOSSES,
    ),
)
