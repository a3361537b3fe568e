"""The known mistakes of exercise 3, batches."""

from playattention.course.exercise import Mistake

READ = "docs/03-batches.md#pairs"
WINDOWS = "docs/03-batches.md#windows"
SPLIT = "docs/02-split.md#split"
DRAW = "torch.randint(len(data) - seq_size, (batch_size,), generator=generator)"
NEXT = "data[start + 1 : start + seq_size + 1]"
TARGETS = f"torch.stack([{NEXT} for start in starts])"

MISTAKES = (
    Mistake(
        "y is x",
        ((TARGETS, "x.clone()"),),
        "The model is asked for the token that it is just reading, and soon copies it: the loss goes to 0 and nothing is learned. y[b, t] is the token after x[b, t].",
        READ,
    ),
    Mistake(
        "shifted twice",
        ((NEXT, "data[start + 2 : start + seq_size + 2]"),),
        "Between each token and its target, one is left out. y begins one token after x, not two.",
        READ,
    ),
    Mistake(
        "shifted twice, with a window fewer",
        (
            (DRAW, DRAW.replace("seq_size", "seq_size - 1", 1)),
            (NEXT, "data[start + 2 : start + seq_size + 2]"),
        ),
        "Between each token and its target, one is left out. y begins one token after x, not two; then the last window fits in as well.",
        READ,
    ),
    Mistake(
        "shifted the wrong way",
        (
            (
                DRAW,
                "torch.randint(1, len(data) - seq_size + 1, (batch_size,), generator=generator)",
            ),
            (NEXT, "data[start - 1 : start + seq_size - 1]"),
        ),
        "y is the token BEFORE each of x, which the model has seen already. It begins one token after x.",
        READ,
    ),
    Mistake(
        "the last target is the window's first token",
        ((TARGETS, "x.roll(-1, 1)"),),
        "roll moves what falls out on the left in again on the right: the target of the last token is the first of its own window. It is the token after the window; cut y out of the data.",
        READ,
    ),
    Mistake(
        "one target for a window",
        ((TARGETS, "data[starts + seq_size]"),),
        "Only the token after the window is asked for. A Transformer predicts the next token at each of its T positions: T targets for a window.",
        READ,
    ),
    Mistake(
        "x and y drawn apart",
        ((TARGETS, f"torch.stack([{NEXT} for start in {DRAW}])"),),
        "The places are drawn a second time for y, so that it follows another window. Draw once and use the places for both.",
        READ,
    ),
    Mistake(
        "batch and tokens swapped",
        (
            (
                "data[start : start + seq_size] for start in starts]",
                "data[start : start + seq_size] for start in starts], 1",
            ),
            (f"{NEXT} for start in starts]", f"{NEXT} for start in starts], 1"),
        ),
        "The windows stand in columns, (T, B). All that follows takes rows for windows: (B, T).",
        READ,
    ),
    Mistake(
        "never the last window",
        ((DRAW, DRAW.replace("seq_size", "seq_size - 1", 1)),),
        "randint never gives its upper bound itself, so the last place is N - T - 1 with a bound of N - T. With one less, the last window never comes, and the data's last token is never asked for.",
        WINDOWS,
    ),
    Mistake(
        "never the first window",
        ((DRAW, DRAW.replace("(len", "(1, len", 1)),),
        "Places are counted from 0; from 1 on, the data's first token is never read.",
        WINDOWS,
    ),
    Mistake(
        "one window too many",
        ((DRAW, DRAW.replace("seq_size", "seq_size + 1", 1)),),
        "A window that begins at N - T ends with the data: its last token has no next one, and y is a token short. Now and then a training stops there with an error. The bound of randint is N - T.",
        WINDOWS,
    ),
    Mistake(
        "one place for all rows",
        ((DRAW, DRAW.replace("(batch_size,)", "(1,)") + ".expand(batch_size)"),),
        "All rows of a batch are the same window, so the model learns from one and pays for B. Draw B places.",
        WINDOWS,
    ),
    Mistake(
        "windows side by side",
        (
            (
                DRAW,
                "(torch.randint(len(data) - seq_size, (1,), generator=generator) + seq_size * torch.arange(batch_size)) % (len(data) - seq_size)",
            ),
        ),
        "One place is drawn, and the other rows follow it: neighbours in the data stand in one batch and have much in common. Draw a place for each row.",
        WINDOWS,
    ),
    Mistake(
        "the same batch at each call",
        ((DRAW, DRAW.replace("=generator", "=torch.Generator().manual_seed(0)")),),
        "A generator that is made anew with the same seed begins anew: each call draws the same places, and the model sees a single batch for ever. Draw from the generator that is passed.",
        WINDOWS,
    ),
    Mistake(
        "the generator begun again at each call",
        ((DRAW, DRAW.replace("=generator", "=generator.manual_seed(generator.initial_seed())")),),
        "Seeding the generator at each call sets it back to its beginning: every batch is the first one. Seed it once, outside.",
        WINDOWS,
    ),
    Mistake(
        "the generator not used",
        ((DRAW, DRAW.replace(", generator=generator", "")),),
        "The places come from torch's global source of chance. Anything else that draws from it then changes the batches, and a run can't be repeated. Pass generator=generator.",
        WINDOWS,
    ),
    Mistake(
        "validation trained on",
        (("return data[:n_train], data[n_train:]", "return data, data[n_train:]"),),
        "The tokens to validate with are among those to learn from: the model may know them by heart, and the validation loss says nothing any more.",
        SPLIT,
    ),
    Mistake(
        "validation from the front",
        (
            (
                "return data[:n_train], data[n_train:]",
                "return data[len(data) - n_train :], data[: len(data) - n_train]",
            ),
        ),
        "The validation tokens were taken from the front. Asked for: the front to learn from, the rest to validate with, so that all who use the data mean the same tokens.",
        SPLIT,
    ),
    Mistake(
        "tokens shuffled before the split",
        (("return data[:", "data = data[torch.randperm(len(data))]\n    return data[:"),),
        "Shuffled tokens are no text any more: what follows what is all that there is to learn. Cut the data in two as they are.",
        SPLIT,
    ),
)
