"""Mistakes that people make in exercise 14."""

from playattention.course.exercise import Mistake

GROUPS = "docs/10-training.md#optimizer"
SCHEDULE = "docs/10-training.md#schedule"
CLIPPING = "docs/10-training.md#clipping"
PROGRESS = "progress = min(1.0, (step - warmup_steps) / (steps - 1 - warmup_steps))"
WARM = "return highest * (step + 1) / warmup_steps"
COSINE = "cosine = 0.5 * (1.0 + math.cos(math.pi * progress))"
MATRIX, VECTOR = "if weight.dim() >= 2]", "if weight.dim() < 2]"
SHORTEN = "gradient.mul_(max_norm / norm)"
NORM = "norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))"
NAMED = "weights = list(model.parameters())"


def _by_name(decays: str) -> tuple[tuple[str, str], ...]:
    """Edit the choice of what decays into one that knows each weight's name."""
    return (
        (NAMED, "weights = list(model.named_parameters())"),
        (
            "[weight for weight in weights if weight.dim() >= 2]",
            f"[weight for name, weight in weights if {decays}]",
        ),
        (
            "[weight for weight in weights if weight.dim() < 2]",
            f"[weight for name, weight in weights if not ({decays})]",
        ),
    )


MISTAKES = (
    Mistake(
        "everything decays",
        ((MATRIX, "]"), (VECTOR, "if False]")),
        "Norms and biases decay as well. They scale and shift, and are few: drawn towards 0 they only lose what the model needs.",
        GROUPS,
    ),
    Mistake(
        "only biases are spared",
        _by_name("not name.endswith('bias')"),
        "The gains of the norms are called weight, not bias, and decay here. Go by the number of dimensions.",
        GROUPS,
    ),
    Mistake(
        "embedding tables are spared",
        _by_name("weight.dim() >= 2 and 'embedding' not in name"),
        "A table of embeddings is a matrix like any other here, and may be the output head as well: it decays.",
        GROUPS,
    ),
    Mistake(
        "the groups are exchanged",
        (
            (MATRIX, VECTOR),
            (
                f"vectors = [weight for weight in weights {VECTOR}",
                f"vectors = [weight for weight in weights {MATRIX}",
            ),
        ),
        "Vectors decay and matrices do not: it is the other way round.",
        GROUPS,
    ),
    Mistake(
        "vectors are in no group",
        ((VECTOR, "if False]"),),
        "An optimizer moves only the weights it was given: norms and biases would stay as they are for ever. Give them, with a decay of 0.",
        GROUPS,
    ),
    Mistake(
        "just two dimensions",
        ((MATRIX, "if weight.dim() == 2]"), (VECTOR, "if weight.dim() != 2]")),
        "A weight may have three dimensions, such as one matrix for each head; it decays, too: two OR MORE.",
        GROUPS,
    ),
    Mistake(
        "the first rate is 0",
        ((WARM, "return highest * step / warmup_steps"),),
        "A step with a learning rate of 0 moves nothing: the first batch is wasted. Count it as 1: step + 1.",
        SCHEDULE,
    ),
    Mistake(
        "the warm-up goes on one step too long",
        (("if step < warmup_steps", "if warmup_steps and step <= warmup_steps"),),
        "Step warmup_steps gets (warmup_steps + 1) / warmup_steps of the highest rate, which is more than the highest.",
        SCHEDULE,
    ),
    Mistake(
        "no warm-up",
        ((WARM, "return highest"),),
        "AdamW's averages know little after a few steps; at full speed these go anywhere. Rise to the highest rate over warmup_steps.",
        SCHEDULE,
    ),
    Mistake(
        "the cosine ends one step late",
        (("(steps - 1 - warmup_steps)", "(steps - warmup_steps)"),),
        "The last step is number steps - 1, and is to have the lowest rate. Counted from warmup_steps, it comes after steps - 1 - warmup_steps.",
        SCHEDULE,
    ),
    Mistake(
        "the cosine begins at step 0",
        ((PROGRESS, "progress = min(1.0, step / (steps - 1))"),),
        "When the warm-up ends, a part of the cosine is gone and the rate jumps down. Count its progress from step warmup_steps.",
        SCHEDULE,
    ),
    Mistake(
        "the rate falls to 0",
        (("lowest + cosine * (highest - lowest)", "cosine * highest"),),
        "The lowest rate is not used: near the end nothing is learnt any more. Let the cosine fall from highest to lowest.",
        SCHEDULE,
    ),
    Mistake(
        "the lowest rate on top",
        (("(highest - lowest)", "highest"),),
        "At the top this gives highest + lowest. The cosine spans only what lies between both.",
        SCHEDULE,
    ),
    Mistake(
        "the rate rises again after the end",
        ((PROGRESS, PROGRESS.replace("min(1.0, ", "(")),),
        "A cosine goes up again after its lowest point. Keep the progress at 1.",
        SCHEDULE,
    ),
    Mistake(
        "a straight line down",
        ((COSINE, "cosine = 1.0 - progress"),),
        "That is a straight line. Half a cosine falls slowly at first, fast in the middle, and slowly at the end.",
        SCHEDULE,
    ),
    Mistake(
        "clipped tensor by tensor",
        (
            (NORM, f"norms = [gradient.norm() for gradient in gradients]\n    {NORM}"),
            ("if norm > max_norm:", "if norm:"),
            (SHORTEN, "gradient.mul_((max_norm / gradient.norm()).clamp(max=1.0))"),
        ),
        "Each gradient is shortened by a factor of its own, so the step's direction changes. One norm of all, one factor for all.",
        CLIPPING,
    ),
    Mistake(
        "clipped number by number",
        ((SHORTEN, "gradient.clamp_(-max_norm, max_norm)"),),
        "Cutting each number off at max_norm changes the direction, and leaves many of them as they are. Multiply all by one factor.",
        CLIPPING,
    ),
    Mistake(
        "short gradients are lengthened",
        (("if norm > max_norm:", "if norm:"),),
        "Gradients that are short enough get longer here. Only if the norm is above max_norm is there something to do.",
        CLIPPING,
    ),
    Mistake(
        "divided by the norm alone",
        ((SHORTEN, "gradient.mul_(1.0 / norm)"),),
        "That makes the norm 1, whatever max_norm is. The factor is max_norm / norm.",
        CLIPPING,
    ),
    Mistake(
        "the norm from after",
        (("return norm\n", "return min(norm, max_norm)\n"),),
        "Returned is the norm after clipping, which never shows an explosion. The one from before is what is worth a look.",
        CLIPPING,
    ),
    Mistake(
        "the norms are added up",
        ((NORM, "norm = sum(gradient.norm().item() for gradient in gradients)"),),
        "Lengths do not add: 3 and 4 at a right angle give 5. Add the squares of all, and take the root of the sum.",
        CLIPPING,
    ),
    Mistake(
        "no square root",
        ((NORM, NORM.replace("math.sqrt", "")),),
        "The sum of the squares is the square of the norm. Take its root.",
        CLIPPING,
    ),
    Mistake(
        "a copy is shortened",
        ((SHORTEN, "gradient = gradient * (max_norm / norm)"),),
        "This makes a new tensor and gives it the old one's name; the weight still has the long gradient. Use mul_, or set the weight's grad.",
        CLIPPING,
    ),
    Mistake(
        "weights without gradients are not left out",
        ((" if one.grad is not None", ""),),
        "A weight that took no part has None for a gradient. Leave it out.",
        CLIPPING,
    ),
    Mistake(
        "gone through twice",
        (
            (
                "for gradient in gradients:",
                "for gradient in [one.grad for one in parameters if one.grad is not None]:",
            ),
        ),
        "model.parameters() can be gone through once only: after the norm nothing is left to shorten. Make a list first.",
        CLIPPING,
    ),
)
