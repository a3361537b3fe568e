"""Exercise 18: break it. Say what a change will do, then see what it does."""

import inspect
from collections.abc import Callable

from playattention.course import breaking
from playattention.course.breaking import LOSS, PICTURE
from playattention.course.exercise import Exercise, Prediction, Probe, Solution


def no_mask() -> str:
    """The causal mask is taken away: every token sees all 8, also those to come.

    What is the loss at the end of training, compared with a training with the mask?
    "lower", "about the same" or "higher"
    """
    return "lower"


def not_shifted() -> str:
    """In training, the targets are the inputs themselves, and not the tokens that come next.

    Then the model has to predict the next token of other plays. What is its loss, compared with a
    model that was trained on the next tokens? "lower", "about the same" or "higher"
    """
    return "higher"


def too_fast() -> str:
    """The learning rate is 3, and not 0.01.

    What is the loss at the end of training, compared with a rate of 0.01?
    "lower", "about the same" or "higher"
    """
    return "higher"


def no_residuals() -> str:
    """Three blocks pass on only what they computed: x + f(x) becomes f(x).

    What is the loss at the end of training, compared with three blocks as they should be?
    "lower", "about the same" or "higher"
    """
    return "higher"


def wide_table() -> str:
    """The numbers of the embedding table are drawn with a spread of 1, and it is the head, too.

    What is the loss before the first step, compared with a table drawn with a small spread?
    "lower", "about the same" or "higher"
    """
    return "higher"


def one_batch() -> str:
    """All 150 steps of training use the same 16 pieces of text.

    What is the loss on other plays at the end, compared with a new batch at each step?
    "lower", "about the same" or "higher"
    """
    return "higher"


def zero_queries() -> str:
    """In a trained model, all queries of a head become 0.

    What does the picture of its attention weights show then, where each row is a token that looks?
    "even rows", "about the same" or "one bright cell in each row"
    """
    return "even rows"


def large_scores() -> str:
    """In a trained model, all scores of a head become 100 times as large.

    What does the picture of its attention weights show then, where each row is a token that looks?
    "even rows", "about the same" or "one bright cell in each row"
    """
    return "one bright cell in each row"


READ = {
    no_mask: "docs/05-attention.md#mask",
    not_shifted: "docs/03-batches.md#pairs",
    too_fast: "docs/10-training.md#schedule",
    no_residuals: "docs/08-residuals-and-norms.md#residuals",
    wide_table: "docs/09-head-and-loss.md#first-loss",
    one_batch: "docs/10-training.md#evaluation",
    zero_queries: "docs/05-attention.md#one-head",
    large_scores: "docs/05-attention.md#scale",
}
"""Each question, and what to read about it; `breaking.py` has what happens under the same name."""

ABOUT_PICTURES = (zero_queries, large_scores)
FILLED = "one of the choices"


def _choices(question: Callable[[], str]) -> tuple[str, ...]:
    return PICTURE if question in ABOUT_PICTURES else LOSS


def _filled(question: Callable[[], str]) -> Probe:
    """Look whether a prediction is one of the choices, whichever."""
    choices = _choices(question)

    def look(own: Solution, _: int) -> object:
        answer = vars(own)[question.__name__]()
        return FILLED if answer in choices else answer

    def evidence(got: object, _: object) -> str:
        *most, last = (f'"{choice}"' for choice in choices)
        return f"{question.__name__} gives {got!r}; allowed: {', '.join(most)} or {last}."

    return Probe(f"{question.__name__} is predicted", look, evidence=evidence)


def predictions(own: Solution) -> list[Prediction]:
    """Run every change, and return each prediction beside its outcome: about five seconds."""
    found = []
    for question, read in READ.items():
        name = question.__name__
        happened = vars(breaking)[name]()
        found.append(
            Prediction(
                name,
                inspect.getdoc(question) or "",
                vars(own)[name](),
                happened.answer,
                happened.evidence,
                read,
                happened.picture,
            )
        )
    return found


def _always(of_loss: str, of_picture: str) -> str:
    """Return a file that gives the same answer to all questions of a kind."""
    answers = {one: of_picture if one in ABOUT_PICTURES else of_loss for one in READ}
    return "\n\n".join(f"def {one.__name__}():\n    return {answers[one]!r}" for one in READ)


EXERCISE = Exercise(
    number=18,
    name="break_it",
    title="Break it",
    goal="""
Who knows what happens when a part is missing has understood what the part is for. Each function
below tells of one change to a tiny GPT: one block, 2 heads, 16 channels, 8 tokens, trained for 150
steps. Return what you expect, in the words that are offered. A wrong guess is no mistake here:
when all are filled in, every change is made and measured, and your predictions are shown beside
what happened.
""",
    follows="GPT",
    reference=tuple(READ),
    imports=(),
    probes=tuple(_filled(question) for question in READ),
    hints=(
        "Ask of each change what the part did: what can the model see now, or reach, that it could not before, and the other way round?",
        "A lower loss need not be good news: ask where it comes from. Two of the changes make a loss fall that says nothing about writing.",
        "Softmax of equal scores is even; softmax of scores that lie far apart is 1 at the largest. ln(61), for 61 characters, is 4.11: what a model pays that knows nothing.",
    ),
    equivalents=(_always("lower", "even rows"), _always("about the same", "about the same")),
    mistakes=(),
    read="docs/15-since-gpt2.md#changes",
    predictions=predictions,
)
