"""Exercise 13: one step of training, and a look at text the model does not learn from."""

import torch
from torch import nn

from playattention.course.exercise import Exercise, Mistake, Probe
from playattention.course.watched import evaluated, losses, overfitted, steps, weights


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: list[tuple[torch.Tensor, torch.Tensor]],
) -> float:
    """Move the weights once, by the mean gradient of several micro-batches.

    Each micro-batch has its own forward and backward pass, one after the other, so that no more
    than one has to be in memory; the gradients add up in the weights' `grad`.

    Args:
        model: Takes ids x and the ids that come next, y, both (B, T), and returns
            (logits, loss): the loss is the mean over its B x T tokens. In training mode.
        optimizer: Has the model's weights. Their `grad` may still hold that of the step before.
        micro_batches: Pairs (x, y), all of the same size; at least one.

    Returns:
        The loss of all micro-batches together, in nats per token, before the weights moved.
    """
    optimizer.zero_grad()
    total = 0.0
    for x, y in micro_batches:
        _, loss = model(x, y)
        share = loss / len(micro_batches)
        share.backward()
        total += share.item()
    optimizer.step()
    return total


def evaluate(model: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return the mean loss on batches, without dropout and without learning from them.

    Args:
        model: As in `train_step`; in whatever mode, and afterwards in the same.
        batches: Pairs (x, y), all of the same size; at least one.

    Returns:
        The mean loss in nats per token. No gradients are kept ready for it.
    """
    before = model.training
    model.eval()
    losses = []
    with torch.no_grad():
        for x, y in batches:
            _, batch_loss = model(x, y)
            losses.append(batch_loss.item())
    model.train(before)
    return sum(losses) / len(losses)


READ = "docs/10-training.md#step"
ACCUMULATION = "docs/10-training.md#accumulation"
EVALUATION = "docs/10-training.md#evaluation"
SHARE = "share = loss / len(micro_batches)"
BACKWARD = "share.backward()"
TOTAL = "total += share.item()"
STEP = "    optimizer.step()\n"
LOOP = "    for x, y in micro_batches:\n"
ZERO = "    optimizer.zero_grad()\n"
BACK = "    model.train(before)\n"

EXERCISE = Exercise(
    number=13,
    name="train_step",
    title="One step of training",
    goal="""
Training repeats one step: predict, measure the loss, ask each weight for its gradient, move all
weights a little against it. A batch that does not fit into memory comes as several micro-batches,
whose gradients add up before the weights move: the step must be the one that the whole batch would
have made. evaluate measures the loss on other text, and changes nothing.
""",
    reference=(train_step, evaluate),
    imports=("import torch", "from torch import nn"),
    probes=(
        Probe(
            "a step returns a float",
            lambda own, seed: type(steps(own, seed, 1)["returned"][0]).__name__,
        ),
        Probe("a step returns the loss from before it", losses(1)),
        Probe("a step on one micro-batch moves the weights against its gradient", weights(1)),
        Probe("a second step knows nothing of the first one's gradients", weights(1, 1)),
        Probe("a step on three micro-batches moves the weights as the whole batch", weights(3)),
        Probe("a step on three micro-batches returns the loss of all", losses(3)),
        Probe(
            "each micro-batch goes forward, then backward; at the end comes one step",
            lambda own, seed: steps(own, seed, 3)["order"],
        ),
        Probe("steps on one batch bring its loss down", overfitted),
        Probe("steps of 3, 1 and 2 micro-batches, with AdamW", weights(3, 1, 2, adam=True), 1e-6),
        Probe("an evaluation returns the mean loss, a float, without dropout", evaluated("loss")),
        Probe("it runs each batch in evaluation mode, without gradients", evaluated("runs")),
        Probe("it leaves the model in the mode it was in", evaluated("modes")),
        Probe("it leaves weights and their gradients alone", evaluated("weights")),
        Probe("gradients are computed again after it", evaluated("gradients")),
    ),
    hints=(
        "Three micro-batches must move the weights exactly as one batch three times as large; and one step must leave nothing for the next.",
        "backward() adds to what is in grad. So: empty it once before the loop, divide each loss by the number of micro-batches, and step once after the loop. For evaluate: note model.training first.",
        "zero_grad(); for each: (loss / n).backward(), add up its .item(); step(). evaluate: eval(), with torch.no_grad(): add up .item(); train(before).",
    ),
    equivalents=(
        """
import torch


def train_step(model, optimizer, micro_batches):
    model.train()
    losses = []
    for x, y in micro_batches:
        loss = model(x, y)[1]
        loss.backward(torch.tensor(1 / len(micro_batches)))
        losses.append(loss.detach())
    optimizer.step()
    optimizer.zero_grad()
    return torch.stack(losses).mean().item()


@torch.no_grad()
def evaluate(model, batches):
    before = model.training
    model.train(False)
    losses = torch.stack([model(x, y)[1] for x, y in batches])
    model.train(before)
    return float(losses.mean())
""",
        """
import torch


def train_step(model, optimizer, micro_batches):
    weights = list(model.parameters())
    sums = [torch.zeros_like(weight) for weight in weights]
    total = 0.0
    for x, y in micro_batches:
        _, loss = model(x, y)
        for one, gradient in zip(sums, torch.autograd.grad(loss, weights)):
            one.add_(gradient)
        total = total + float(loss)
    for weight, one in zip(weights, sums):
        weight.grad = one / len(micro_batches)
    optimizer.step()
    return total / len(micro_batches)


def evaluate(model, batches):
    training, total = model.training, 0.0
    try:
        model.eval()
        with torch.inference_mode():
            for x, y in batches:
                total += model(x, y)[1].item() / len(batches)
    finally:
        if training:
            model.train()
    return total
""",
    ),
    mistakes=(
        Mistake(
            "no zero_grad",
            ((ZERO, ""),),
            "backward adds to the gradients that are there. Never emptied, they hold those of all steps so far, and the weights keep moving where the first batches sent them.",
            READ,
        ),
        Mistake(
            "gradients emptied between backward and step",
            ((ZERO, ""), (STEP, f"{ZERO}{STEP}")),
            "The gradients are gone before the optimizer can use them: the weights stay where they are. Empty before the first backward, or after the step.",
            READ,
        ),
        Mistake(
            "gradients emptied for every micro-batch",
            ((ZERO, ""), (LOOP, f"{LOOP}    {ZERO}")),
            "Only the last micro-batch is left when the weights move; the others were computed for nothing. Empty once, before the loop.",
            ACCUMULATION,
        ),
        Mistake(
            "accumulation undivided",
            ((SHARE, "share = loss"), (TOTAL, "total += share.item() / len(micro_batches)")),
            "Gradients of n micro-batches add up to n times that of the whole batch, whose loss is a mean. Divide each loss by n before its backward.",
            ACCUMULATION,
        ),
        Mistake(
            "undivided, and the sum returned",
            ((SHARE, "share = loss"),),
            "Gradients and returned loss are sums over the micro-batches; those of the whole batch are means. Divide each loss by their number.",
            ACCUMULATION,
        ),
        Mistake(
            "a step for every micro-batch",
            ((STEP, ""), (TOTAL, f"{TOTAL}\n    {STEP.rstrip()}")),
            "The weights move before all micro-batches were seen, so those after the first are measured with other weights. One step, after the loop.",
            ACCUMULATION,
        ),
        Mistake(
            "no step",
            ((STEP, ""),),
            "The gradients are there, but nothing moves the weights: optimizer.step() does.",
            READ,
        ),
        Mistake(
            "no backward",
            ((BACKWARD, ""),),
            "Without backward no weight has a gradient, and the optimizer leaves such weights alone.",
            READ,
        ),
        Mistake(
            "the last micro-batch's loss returned",
            ((TOTAL, "total = loss.item()"),),
            "The loss of one micro-batch jumps about more than that of the batch. Return the mean over all.",
            ACCUMULATION,
        ),
        Mistake(
            "the sum of the losses returned",
            ((TOTAL, "total += loss.item()"),),
            "Returned is n times the loss per token: a curve that changes with the number of micro-batches. Return their mean.",
            ACCUMULATION,
        ),
        Mistake(
            "a tensor returned",
            ((TOTAL, "total += share"),),
            "A loss that is still a tensor holds on to the whole graph it was computed with; a list of them fills the memory. item() gives the number alone.",
            READ,
        ),
        Mistake(
            "all graphs kept to the end",
            (
                (BACKWARD, "total = total + share"),
                (TOTAL, "pass"),
                (STEP, f"    total.backward()\n{STEP}"),
                ("return total\n", "return total.item()\n"),
            ),
            "The gradient is right, but the graphs of all micro-batches are in memory at once: what they were made to avoid. Go backward right after each forward.",
            ACCUMULATION,
        ),
        Mistake(
            "micro-batches put together again",
            (
                (LOOP, "    for x, y in [[torch.cat(part) for part in zip(*micro_batches)]]:\n"),
                (SHARE, "share = loss"),
            ),
            "The gradient is right, but the whole batch goes through the model at once: it was cut because it does not fit into memory.",
            ACCUMULATION,
        ),
        Mistake(
            "the inputs as targets",
            (("_, loss = model(x, y)", "_, loss = model(x, x)"),),
            "The model is asked for the token that it is given, and learns to copy. The targets are the tokens that come next.",
            "docs/03-batches.md#pairs",
        ),
        Mistake(
            "no eval()",
            (("    model.eval()\n", ""),),
            "Dropout goes on, so the loss is too high, and another one each time. eval() switches it off.",
            EVALUATION,
        ),
        Mistake(
            "eval() never undone",
            ((BACK, ""),),
            "From the first evaluation on, training goes on without dropout, and nobody notices. Put the model back into the mode it was in.",
            EVALUATION,
        ),
        Mistake(
            "always put into training mode",
            ((BACK, "    model.train()\n"),),
            "A model that was in evaluation mode comes back with dropout on, and writes worse text from then on. Note model.training first.",
            EVALUATION,
        ),
        Mistake(
            "the evaluation builds a graph",
            (("with torch.no_grad():", "if True:"),),
            "Each forward pass keeps all its values for a backward that never comes: memory and time for nothing. Use torch.no_grad().",
            EVALUATION,
        ),
        Mistake(
            "gradients switched off for good",
            (("    with torch.no_grad():", "    torch.set_grad_enabled(False)\n    if True:"),),
            "Nothing switches them on again, and the next backward fails. `with torch.no_grad():` ends by itself.",
            EVALUATION,
        ),
        Mistake(
            "the sum of the evaluation's losses",
            (("return sum(losses) / len(losses)", "return sum(losses)"),),
            "The number grows with the number of batches. Return the mean.",
            EVALUATION,
        ),
    ),
    read=READ,
)
