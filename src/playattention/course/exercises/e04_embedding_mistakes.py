"""The known mistakes of exercise 4, embeddings of tokens and positions."""

from playattention.course.exercise import Mistake

READ = "docs/04-embeddings.md#tokens"
POSITIONS = "docs/04-embeddings.md#positions"
TIED = "docs/09-head-and-loss.md#tied-weights"
CUT = "wpe[: idx.shape[1]]"
SUM = "return tokens + positions"
WAVES = "torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)"

MISTAKES = (
    Mistake(
        "no positions",
        ((SUM, "return tokens"),),
        "Without positions, a token has the same vector wherever it stands. Attention takes no notice of order itself, so 'dog bites man' and 'man bites dog' would be the same.",
        POSITIONS,
    ),
    Mistake(
        "positions from the batch",
        ((CUT, "wpe[torch.arange(idx.shape[0])]"),),
        "The positions were counted over the rows of the batch. They go along a row: T of them, from 0 to T - 1.",
        POSITIONS,
    ),
    Mistake(
        "table not cut to T",
        ((CUT, "wpe"),),
        "The table has a row for each of Tmax positions; these tokens need the first T of them only.",
        POSITIONS,
    ),
    Mistake(
        "the last positions of the table",
        ((CUT, "wpe[-idx.shape[1] :]"),),
        "The first token stands at position 0, however many tokens there are. The table's last rows belong to its last positions.",
        POSITIONS,
    ),
    Mistake(
        "positions that begin at 1",
        ((CUT, "wpe[1 : idx.shape[1] + 1]"),),
        "The first token stands at position 0. Counted from 1, the table is a row too short for Tmax tokens.",
        POSITIONS,
    ),
    Mistake(
        "positions looked up by token",
        ((CUT, "wpe[idx]"),),
        "The position table was asked for the row of the token's id. Its rows are positions: 0 for the first token of a row, 1 for the second, whatever tokens they are.",
        POSITIONS,
    ),
    Mistake(
        "concatenated",
        ((SUM, "return torch.cat([tokens, positions.expand_as(tokens)], dim=-1)"),),
        "The two vectors were put one behind the other, which gives 2C channels. They are added: every later layer expects C.",
        POSITIONS,
    ),
    Mistake(
        "multiplied",
        ((SUM, "return tokens * positions"),),
        "The vectors are added. A product of numbers around 0.02 nearly vanishes, and gives each table gradients that depend on the other.",
        POSITIONS,
    ),
    Mistake(
        "tokens scaled by the root of n_embd",
        ((SUM, "return tokens * wte.shape[1] ** 0.5 + positions"),),
        "The first Transformer multiplied its token vectors by sqrt(n_embd) (Vaswani et al. 2017, section 3.4). GPT and GPT-2 add them as they are.",
        READ,
    ),
    Mistake(
        "tables that do not learn",
        (("wte[idx]", "wte.detach()[idx]"), (CUT, "wpe.detach()[: idx.shape[1]]")),
        "No gradient reaches the tables, so they stay random for ever. Embedding.from_pretrained freezes its table unless told otherwise; detach() and .data cut it off.",
        READ,
    ),
    Mistake(
        "N(0, 1) with a tied head",
        (
            ("torch.randn(vocab_size, n_embd) * 0.02", "torch.randn(vocab_size, n_embd)"),
            ("torch.randn(seq_size, n_embd) * 0.02", "torch.randn(seq_size, n_embd)"),
        ),
        "nn.Embedding draws from N(0, 1). Used again as the head, such a table gives logits of sqrt(n_embd) and more: the first predictions are as sure as they are wrong, and the loss begins far over ln V. Multiply by 0.02.",
        TIED,
    ),
    Mistake(
        "deviation 0.02 taken for the variance",
        (
            (
                "torch.randn(vocab_size, n_embd) * 0.02",
                "torch.randn(vocab_size, n_embd) * 0.02**0.5",
            ),
            ("torch.randn(seq_size, n_embd) * 0.02", "torch.randn(seq_size, n_embd) * 0.02**0.5"),
        ),
        "The numbers were multiplied by the root of 0.02, which makes 0.02 their variance. It is the standard deviation: multiply by 0.02.",
        TIED,
    ),
    Mistake(
        "zeros",
        (
            ("torch.randn(vocab_size, n_embd) * 0.02", "torch.zeros(vocab_size, n_embd)"),
            ("torch.randn(seq_size, n_embd) * 0.02", "torch.zeros(seq_size, n_embd)"),
        ),
        "With zeros in both tables and a tied head, every gradient of the model is 0 as well: nothing ever changes. Draw small random numbers.",
        READ,
    ),
    Mistake(
        "sinusoid exponent off by one",
        (
            ("torch.arange(0, n_embd, 2) / n_embd", "torch.arange(n_embd) / n_embd"),
            (WAVES, "angle.sin().where(torch.arange(n_embd) % 2 == 0, angle.cos())"),
        ),
        "Each column got an exponent of its own. Columns 2i and 2i + 1 are sine and cosine of the SAME angle: both have the exponent 2i / C.",
        POSITIONS,
    ),
    Mistake(
        "sinusoid exponent half as large",
        (("torch.arange(0, n_embd, 2) / n_embd", "torch.arange(n_embd // 2) / n_embd"),),
        "The exponent is 2i / C, not i / C: it runs over the even columns, up to nearly 1. With half of it, the slowest waves are a hundred times too fast.",
        POSITIONS,
    ),
    Mistake(
        "all sines, then all cosines",
        ((WAVES, "torch.cat([angle.sin(), angle.cos()], dim=-1)"),),
        "The sines stand in the left half and the cosines in the right. Asked for: sine and cosine in turn, columns 2i and 2i + 1.",
        POSITIONS,
    ),
    Mistake(
        "sine and cosine swapped",
        ((WAVES, "torch.stack([angle.cos(), angle.sin()], dim=-1).flatten(1)"),),
        "The even columns are sines: position 0 begins with 0, then 1.",
        POSITIONS,
    ),
)
