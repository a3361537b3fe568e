"""The way back, one step of AdamW, and a value over a run's checkpoints."""

from typing import Annotated

import torch
from fastapi import Query, Response
from torch import nn

from playattention.errors import UserError, unknown
from playattention.playground.answers_training import (
    AdamWAnswer,
    AdamWLine,
    BackwardAnswer,
    DifferenceAnswer,
    GradientNorm,
    Share,
    WeightNorm,
)
from playattention.playground.looks import Look, encoded, value_of
from playattention.playground.opened import MissingError
from playattention.playground.requests import (
    AcrossQuery,
    DifferenceQuery,
    GradientQuery,
    LookQuery,
    WeightQuery,
    numbers,
)
from playattention.playground.routes import Asked, group
from playattention.playground.tensors import BINARY, binary, columns_of, part_of
from playattention.training.optimizer import learning_rate
from playattention.xray.across import difference as difference_of
from playattention.xray.adamw import AdamWStep, Moments, adamw_step, due
from playattention.xray.adamw_weights import adamw_groups
from playattention.xray.watch import watch

router = group("learning")


@router.get("/backward")
def backward(asked: Asked, query: Annotated[LookQuery, Query()]) -> BackwardAnswer:
    """Return how much the loss on the text's own next tokens changes with each value."""
    look = asked.look(query.run, query.step, query.text, query.change)
    found = look.backward
    numberwise = adamw_groups(look.opened.model, look.opened.config.train)
    return BackwardAnswer(
        loss=found.loss.item(),
        norm=found.norm,
        values=[
            GradientNorm(
                module=value.module,
                name=value.name,
                occurrence=value.occurrence,
                title=value.title,
                norm=None if gradient is None else gradient.norm().item(),
                largest=None if gradient is None else gradient.abs().max().item(),
            )
            for value, gradient in found.of_values.items()
        ],
        weights=[
            WeightNorm(
                name=name,
                shape=[*found.trace.weights[name].shape],
                norm=None if gradient is None else gradient.norm().item(),
                optimizer="adamw" if name in numberwise else "muon",
            )
            for name, gradient in found.gradients.items()
        ],
    )


@router.get("/gradient", response_class=Response, responses=BINARY)
def gradient(asked: Asked, query: Annotated[GradientQuery, Query()]) -> Response:
    """Return the gradient of a value, or of a weight."""
    found = asked.look(query.run, query.step, query.text, query.change).backward
    if query.weight is not None:
        if query.weight not in found.gradients:
            raise MissingError(str(unknown("weight", query.weight, found.gradients)))
        title, numbers_ = query.weight, found.gradients[query.weight]
    else:
        value = value_of(found.trace, query.module, query.name, query.occurrence)
        title, numbers_ = value.title, found.of_values[value]
    if numbers_ is None:
        raise MissingError(f"{title}: has no gradient, as the loss does not depend on it")
    return binary(columns_of(part_of(numbers_, numbers(query.index), title), query.columns))


@router.get("/adamw")
def adamw(asked: Asked, query: Annotated[WeightQuery, Query()]) -> AdamWAnswer:
    """Return one number's way through the next step of the training, spelled out."""
    found = asked.look(query.run, query.step, query.text, query.change)
    back = found.backward
    if query.name not in back.gradients:
        raise MissingError(str(unknown("weight", query.name, back.gradients)))
    index = numbers(query.index)
    gradient = back.gradients[query.name]
    if gradient is None:
        raise MissingError(f"{query.name}: has no gradient, so it takes no step")
    if len(index) != gradient.dim():
        raise UserError(f"index = {query.index}: must be one cell of {tuple(gradient.shape)}")
    part_of(gradient, index, query.name)
    step = asked.alone.do(lambda: _step(found, query.name, tuple(index[:-1])))
    update, cell = step[query.name], tuple(index[-1:])
    lines = [_line(line) for line in step.spelled(query.name, *cell).splitlines()]
    return AdamWAnswer(
        name=query.name,
        index=index,
        step=update.step,
        rate=step.rate,
        betas=step.betas,
        eps=step.eps,
        norm=step.norm,
        factor=step.factor,
        decay=update.decay,
        numbers={
            name: tensor[cell].item()
            for name, tensor in vars(update).items()
            if isinstance(tensor, torch.Tensor)
        },
        lines=lines,
    )


@router.get("/across", response_class=Response, responses=BINARY)
def across(asked: Asked, query: Annotated[AcrossQuery, Query()]) -> Response:
    """Return a value at every checkpoint of a run: (steps, ...); X-Steps tells which."""
    known = asked.shelf.find(query.run)
    known.step(None)
    parts = []
    for step in known.steps:
        found = asked.look(query.run, step, query.text, query.change)
        tensor = _value_at(found, query)
        parts.append(part_of(tensor, numbers(query.index), f"{query.module}:{query.name}"))
    return binary(torch.stack(parts), x_steps=",".join(map(str, known.steps)))


@router.get("/difference")
def difference(asked: Asked, query: Annotated[DifferenceQuery, Query()]) -> DifferenceAnswer:
    """Return which values differ most between two models on the same text."""
    found = asked.look(query.run, query.step, query.text, query.change)
    run = query.other_run or query.run
    step = query.other_step
    if step is None and run == query.run:
        step = query.step
    change = query.change if query.other_change is None else query.other_change
    other = asked.look(run, step, query.text, "" if change == "none" else change)
    if encoded(found.opened, query.text) != encoded(other.opened, query.text):
        raise UserError(
            f"other_run = {run}: its tokenizer gives this text other tokens; allowed: a run whose "
            "tokens are the same"
        )
    seen = difference_of(found.trace, other.trace)
    return DifferenceAnswer(
        shares=[
            Share(
                module=value.module,
                name=value.name,
                occurrence=value.occurrence,
                title=value.title,
                shape=[*value.shape],
                share=share,
            )
            for value, share in seen.shares.items()
        ],
        only_first=[*seen.only_first],
        only_second=[*seen.only_second],
        reshaped=[*seen.reshaped],
    )


def _value_at(found: Look, query: AcrossQuery) -> torch.Tensor:
    """Return a value of a look; what else its trace has is not kept, unless it is already."""
    if found.has("trace"):
        return found.value(query.module, query.name, query.occurrence).tensor

    def make(model: nn.Module) -> torch.Tensor:
        if query.module not in dict(model.named_modules()):
            raise MissingError(str(unknown("module", query.module, dict(model.named_modules()))))
        trace = watch(model, found.idx, found.targets, query.module)
        return value_of(trace, query.module, query.name, query.occurrence).tensor

    name = f"value {query.module}:{query.name}#{query.occurrence}"
    return found.kept(name, make)


def _step(found: Look, name: str, row: tuple[int, ...]) -> AdamWStep:
    """Return the step of one row of a weight."""
    config, opened = found.opened.config, found.opened
    rate, moments = learning_rate(0, config.train.steps, config.train), dict[str, Moments]()
    if opened.path is not None:
        rate, moments = due(opened.path, config, opened.step)
    back = found.backward
    return adamw_step(
        opened.model, back, config.train, names=[name], place=row, rate=rate, moments=moments
    )


def _line(line: str) -> AdamWLine:
    name, text, number = (part.strip() for part in line.split(" = "))
    return AdamWLine(name=name, text=text, number=float(number))
