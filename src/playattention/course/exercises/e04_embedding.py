"""Exercise 4: embeddings. What a token is, and where it stands, as one vector."""

import math

import torch

from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e04_embedding_mistakes import MISTAKES, READ


def embed(idx: torch.Tensor, wte: torch.Tensor, wpe: torch.Tensor) -> torch.Tensor:
    """Return for each token its vector plus the vector of its position.

    Args:
        idx: Token ids (B, T), with T <= Tmax.
        wte: The weights of the token embedding (V, C), a row for each token.
        wpe: The weights of the position embedding (Tmax, C), a row for each position, from 0.

    Returns:
        Embedded tokens (B, T, C); gradients reach both tables, which stay as they are.
    """
    tokens = wte[idx]
    positions = wpe[: idx.shape[1]]
    return tokens + positions


def new_tables(vocab_size: int, seq_size: int, n_embd: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return fresh tables for training: normal random numbers with mean 0 and deviation 0.02.

    GPT-2 uses wte a second time as its output head: logits = x @ wte.T. Small numbers give small
    logits there, so that the first predictions are about equally likely.

    Args:
        vocab_size: V, rows of wte.
        seq_size: Tmax, rows of wpe.
        n_embd: C, columns of both.

    Returns:
        wte (V, C) and wpe (Tmax, C).
    """
    wte = torch.randn(vocab_size, n_embd) * 0.02
    wpe = torch.randn(seq_size, n_embd) * 0.02
    return wte, wpe


def sinusoids(seq_size: int, n_embd: int) -> torch.Tensor:
    """Return a table of positions that is computed, not learned: waves of many lengths.

    Column 2i is sin(position / 10000 ** (2i / C)), column 2i + 1 is cos of the same angle
    (Vaswani et al. 2017, "Attention is all you need", section 3.5).

    Args:
        seq_size: Tmax, positions, from 0.
        n_embd: C, columns; an even number.

    Returns:
        Table (Tmax, C).
    """
    position = torch.arange(seq_size)[:, None]
    exponent = torch.arange(0, n_embd, 2) / n_embd
    angle = position / 10000**exponent
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def _tables(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tables for V = 11 tokens and Tmax = 7 positions with C = 4 channels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(11, 4, generator=generator), torch.randn(7, 4, generator=generator)


def _ids(seed: int, *size: int, vocab_size: int = 11) -> torch.Tensor:
    return torch.randint(vocab_size, size, generator=torch.Generator().manual_seed(seed + 20))


def _order(own: Solution, seed: int) -> dict[str, bool]:
    """Return whether a token's vector is the same elsewhere, and whether it is in another row."""
    out = own.embed(torch.tensor([[3, 5, 3], [3, 5, 5]]), *_tables(seed))
    return {
        "same vector at another position": torch.equal(out[0, 0], out[0, 2]),
        "same vector in another row": torch.equal(out[0, 0], out[1, 0]),
    }


def _gradients(own: Solution, seed: int) -> list[torch.Tensor | None]:
    """Return the gradients that reach wte and wpe."""
    tables = [one.requires_grad_() for one in _tables(seed)]
    own.embed(_ids(seed, 2, 5), *tables).square().sum().backward()
    return [one.grad for one in tables]


def _left_alone(own: Solution, seed: int) -> list[torch.Tensor]:
    tables, idx = _tables(seed), _ids(seed, 2, 5)
    own.embed(idx, *tables).mul_(2)
    return [idx, *tables]


def _moments(own: Solution, _seed: int) -> list[torch.Tensor]:
    """Return the mean and the standard deviation of each table, in units of 0.02."""
    tables = own.new_tables(97, 70, 48)
    return [1 + torch.stack([one.mean(), one.std()]) / 0.02 for one in tables]


def _moments_told(got: list[torch.Tensor], _: list[torch.Tensor]) -> str:
    """Say which mean and deviation the tables have."""
    pairs = zip(("wte", "wpe"), [((one - 1) * 0.02).tolist() for one in got], strict=True)
    told = [f"{name} has mean {mean:.4f} and deviation {std:.4f}" for name, (mean, std) in pairs]
    return f"{'; '.join(told)}; right are 0 and 0.02."


def _first_loss(own: Solution, seed: int) -> float:
    """Return the cross-entropy that a head tied to wte gives for random targets, over ln V."""
    wte, wpe = own.new_tables(97, 70, 48)
    x = torch.nn.functional.layer_norm(own.embed(_ids(seed, 8, 70, vocab_size=97), wte, wpe), (48,))
    loss = torch.nn.functional.cross_entropy(
        (x @ wte.T).flatten(0, 1), _ids(seed + 1, 8, 70, vocab_size=97).flatten()
    )
    return loss.item() / math.log(97)


def _loss_told(got: float, wanted: float) -> str:
    """Say how large the first loss is."""
    return f"It is {got * math.log(97):.2f}; ln V is {math.log(97):.2f}, right is about {wanted * math.log(97):.2f}."


def _drawn_anew(own: Solution, _seed: int) -> dict[str, bool]:
    """Return whether two calls give the same tables, and whether a call gives one twice."""
    one, other = own.new_tables(7, 7, 4), own.new_tables(7, 7, 4)
    return {
        "a second wte is the same": torch.equal(one[0], other[0]),
        "a second wpe is the same": torch.equal(one[1], other[1]),
        "wte is wpe": torch.equal(one[0], one[1]),
    }


EXERCISE = Exercise(
    number=4,
    name="embedding",
    title="Embeddings of tokens and positions",
    goal="""
An id is only a number of a row: look up the vector of each token. Attention itself takes no notice
of order, so add a vector that says where the token stands. The tables are learned; make them as
GPT-2 does, with small random numbers. And compute, for comparison, the fixed waves that the first
Transformer had in place of learned positions.
""",
    reference=(embed, new_tables, sinusoids),
    probes=(
        Probe(
            "each token becomes a vector: (B, T, C)",
            lambda own, seed: list(own.embed(_ids(seed, 2, 3), *_tables(seed)).shape),
        ),
        Probe("a token's vector depends on where in its row it stands, not on the row", _order),
        Probe(
            "the vector of the token plus that of its position",
            lambda own, seed: own.embed(_ids(seed, 3, 5), *_tables(seed)),
        ),
        Probe(
            "the same with a single row, with a single token, and with all positions",
            lambda own, seed: [
                own.embed(_ids(seed, *size), *_tables(seed))
                for size in ((1, 6), (5, 1), (4, 4), (2, 7))
            ],
        ),
        Probe("gradients reach both tables", _gradients),
        Probe("the ids and the tables stay as they were", _left_alone),
        Probe(
            "new tables have shapes (V, C) and (Tmax, C)",
            lambda own, _: [list(one.shape) for one in own.new_tables(11, 7, 4)],
        ),
        Probe(
            "new tables have mean 0 and standard deviation 0.02",
            _moments,
            tolerance=0.06,
            evidence=_moments_told,
        ),
        Probe(
            "with a tied head, the first loss is about ln V",
            _first_loss,
            tolerance=0.1,
            evidence=_loss_told,
        ),
        Probe("new tables are drawn anew, each on its own", _drawn_anew),
        Probe(
            "the table of waves has shape (Tmax, C)",
            lambda own, _: list(own.sinusoids(7, 4).shape),
        ),
        Probe(
            "position 0 is sin 0 and cos 0 in turn",
            lambda own, _: own.sinusoids(1, 6),
        ),
        Probe("the waves are right", lambda own, seed: own.sinusoids(9 + seed, 6), tolerance=1e-6),
        Probe(
            "the waves are right for two columns, and for more columns than positions",
            lambda own, _: [own.sinusoids(5, 2), own.sinusoids(3, 10)],
            tolerance=1e-6,
        ),
    ),
    hints=(
        "Two tokens that change places must not give the same two vectors, changed in places.",
        "wte[idx] looks all rows up at once. Positions are the same for every row of the batch: 0 to T - 1, of which the table may have more.",
        "wte[idx] + wpe[:T]; torch.randn(V, C) * 0.02; angle = position / 10000 ** (torch.arange(0, C, 2) / C), with sin in the even and cos in the odd columns.",
    ),
    equivalents=(
        """
import torch
import torch.nn.functional as F


def embed(idx, wte, wpe):
    B, T = idx.shape
    places = torch.arange(T).expand(B, T)
    return F.embedding(idx, wte) + F.embedding(places, wpe)


def new_tables(vocab_size, seq_size, n_embd):
    tables = []
    for rows in (vocab_size, seq_size):
        table = torch.nn.Embedding(rows, n_embd)
        torch.nn.init.normal_(table.weight, mean=0.0, std=0.02)
        tables.append(table.weight)
    return tables


def sinusoids(seq_size, n_embd):
    table = torch.zeros(seq_size, n_embd)
    position = torch.arange(seq_size).unsqueeze(1)
    rate = torch.exp(torch.arange(0, n_embd, 2) * (-torch.log(torch.tensor(10000.0)) / n_embd))
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)
    return table
""",
        """
import math

import torch


def embed(idx, wte, wpe):
    one_hot = torch.nn.functional.one_hot(idx, wte.shape[0]).to(wte.dtype)
    out = torch.einsum("btv,vc->btc", one_hot, wte)
    rows = [out[:, t] + wpe[t] for t in range(idx.shape[1])]
    return torch.stack(rows, 1)


def new_tables(vocab_size, seq_size, n_embd):
    both = torch.empty(vocab_size + seq_size, n_embd).normal_(0.0, 0.02)
    return both[:vocab_size], both[vocab_size:]


def sinusoids(seq_size, n_embd):
    rows = []
    for p in range(seq_size):
        row = []
        for j in range(n_embd):
            angle = p / math.pow(10000, (j - j % 2) / n_embd)
            row.append(math.cos(angle) if j % 2 else math.sin(angle))
        rows.append(row)
    return torch.tensor(rows)
""",
    ),
    mistakes=MISTAKES,
    read=READ,
)
