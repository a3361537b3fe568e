"""From the last vector to a probability for each token, and to the loss."""

import math

from drawings.facts import following, origin, recorded, shown, tokens, value
from drawings.parts import bars, grid, notes, paragraph
from drawings.svg import Drawing

LEFT, STEP = 48.0, 12.8
LAST = 4


def draw() -> Drawing:
    """Return the drawing."""
    drawing = Drawing(
        "The head and the loss: a score for every token that could come next",
        "The last token's vector times each row of head gives 61 logits, drawn as bars. Softmax "
        "makes them probabilities. A table shows for each of the five positions the token that "
        "does come next, its probability and the loss, minus its logarithm, and their mean.",
        f"After “{''.join(tokens())}”, the model is asked for the next character of a play.",
        764,
    )
    _logits(drawing)
    _probabilities(drawing)
    _losses(drawing)
    notes(drawing, 742, [origin()])
    return drawing


def softmax(logits: list[float]) -> list[float]:
    """Return the probabilities of logits."""
    exponentials = [math.exp(logit - max(logits)) for logit in logits]
    return [number / sum(exponentials) for number in exponentials]


def _characters(drawing: Drawing, y: float) -> None:
    """Write the vocabulary below its bars."""
    for place, character in enumerate(recorded()["characters"]):
        sign = {" ": "␣", "\n": "↵"}.get(character, character)
        drawing.text(LEFT + (place + 0.4) * STEP, y, sign, "m", "muted", "middle")


def _logits(drawing: Drawing) -> None:
    numbers = value(":normed")[LAST]
    drawing.text(26, 94, "normed", "n")
    drawing.text(80, 94, "(T, C), the row of the last token: 32 numbers", "s", "muted")
    most = max(abs(number) for number in numbers)
    grid(drawing, (LEFT, 104), [numbers], (STEP, 20), most, digits=None)
    drawing.arrow([(250, 128), (250, 158)])
    drawing.text(262, 147, "`head`, (V, C): the row of each character times this vector", "s")
    logits = value(":logits")[LAST]
    drawing.text(26, 178, "logits", "n")
    drawing.text(80, 178, "(T, V): one score for each character; any number", "s", "muted")
    most = max(abs(number) for number in logits)
    bars(drawing, (LEFT, 250), logits, STEP, 58, most)
    _characters(drawing, 292)
    best = max(range(len(logits)), key=lambda place: logits[place])
    x = LEFT + (best + 0.4) * STEP
    drawing.text(x + 12, 202, shown(logits[best]), "n")


def _probabilities(drawing: Drawing) -> None:
    logits = value(":logits")[LAST]
    probabilities = softmax(logits)
    drawing.arrow([(250, 300), (250, 330)])
    drawing.text(262, 319, "softmax: exp(logit) / sum of all exp(logit)", "s")
    drawing.text(26, 350, "probabilities", "n")
    drawing.text(136, 350, "(T, V): none below 0, together 1", "s", "muted")
    bars(drawing, (LEFT, 430), probabilities, STEP, 66, 1)
    _characters(drawing, 448)
    best = max(range(len(logits)), key=lambda place: probabilities[place])
    x = LEFT + (best + 0.4) * STEP
    drawing.text(x + 12, 374, f"{probabilities[best]:.3f}", "n")


def _losses(drawing: Drawing) -> None:
    drawing.path("M26 472H834", "s-line", 1)
    drawing.text(26, 496, "F.cross_entropy", "n")
    drawing.text(
        146, 496, "asks at every position: how likely was the token that does come next?", "t"
    )
    heads = ("the model has read", "next (target)", "its probability", "loss = −ln(probability)")
    places = (46.0, 232.0, 346.0, 478.0)
    for x, words in zip(places, heads, strict=True):
        drawing.text(x, 524, words, "s", "muted")
    losses = []
    for row, (target, logits) in enumerate(zip(following(), value(":logits"), strict=True)):
        y = 548 + 23 * row
        probability = softmax(logits)[recorded()["characters"].index(target)]
        losses.append(-math.log(probability))
        drawing.text(places[0], y, "".join(tokens()[: row + 1]), "n")
        drawing.text(places[1], y, target, "n")
        drawing.text(places[2], y, f"{probability:.3f}", "m")
        drawing.rectangle(places[3] + 52, y - 10, 220 * losses[-1], 12, "surprise-8")
        drawing.text(places[3], y, f"{losses[-1]:.3f}", "m")
    mean = sum(losses) / len(losses)
    drawing.text(places[3], 670, f"{mean:.3f}", "n", "accent")
    drawing.text(places[3] + 52, 670, "nats per character: their mean, the loss", "t", "accent")
    size = len(recorded()["characters"])
    paragraph(
        drawing,
        (26, 700),
        f"A model that knows nothing gives each of {size} characters 1/{size}: a loss of "
        f"ln({size}) = {math.log(size):.3f}. A loss of 0 would be probability 1 every time.",
        800,
    )
