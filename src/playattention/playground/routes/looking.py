"""What a model's own lines made of a text: values, numbers, their arithmetic, the source."""

import re
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
from fastapi import Query, Response

from playattention.errors import UserError, unknown
from playattention.playground.answers import (
    Candidate,
    ExplanationAnswer,
    HeadEntry,
    LookAnswer,
    Source,
    SourceLine,
    Token,
    ValueEntry,
    WeightEntry,
    Weights,
)
from playattention.playground.looks import Look
from playattention.playground.opened import MissingError
from playattention.playground.requests import (
    ExplainQuery,
    LookQuery,
    SourceQuery,
    TensorQuery,
    TensorsQuery,
    WeightQuery,
    numbers,
)
from playattention.playground.routes import Asked, group
from playattention.playground.runs import sizes_of
from playattention.playground.tensors import (
    BINARY,
    SEVERAL,
    binary,
    columns_of,
    kind_of,
    part_of,
    several,
)
from playattention.xray.attention import places_of, weights_of
from playattention.xray.explain import explain_value
from playattention.xray.explanation import Explanation
from playattention.xray.glossary import meaning
from playattention.xray.lens import likeliest
from playattention.xray.trace import Trace
from playattention.xray.values import Value

router = group("looking")

PACKAGE = Path(__file__).parents[2]
MOST_NEXT = 5


@router.get("/look")
def look(asked: Asked, query: Annotated[LookQuery, Query()]) -> LookAnswer:
    """Return a text as a model reads it: its tokens, and every value that came to be."""
    found = asked.look(query.run, query.step, query.text, query.change)
    began, new = time.perf_counter(), not found.has("trace")
    trace = found.trace
    took = 1000 * (time.perf_counter() - began) if new else 0.0
    model = found.opened
    return LookAnswer(
        run=model.name,
        model=model.config.model.name,
        step=model.step,
        steps=[*asked.shelf.find(model.name).steps],
        text=model.tokenizer.decode(found.ids),
        change=found.changes.text,
        sizes=sizes_of(model.config.model),
        seq_size=model.config.model.seq_size,
        tokens=[
            Token(id=id_, text=text, bytes=[*model.tokenizer.decode_bytes([id_])])
            for id_, text in zip(found.ids, trace.labels, strict=True)
        ],
        loss=loss_of(trace),
        next=_next(found, trace),
        values=values_of(trace),
        heads=heads_of(trace),
        bytes=trace.nbytes,
        milliseconds=took,
    )


@router.get("/tensor", response_class=Response, responses=BINARY)
def tensor(asked: Asked, query: Annotated[TensorQuery, Query()]) -> Response:
    """Return a value's numbers, its first dimensions fixed by `index`."""
    found = asked.look(query.run, query.step, query.text, query.change)
    value = found.value(query.module, query.name, query.occurrence)
    part = part_of(value.tensor, numbers(query.index), value.title)
    return binary(columns_of(part, query.columns))


@router.get("/tensors", response_class=Response, responses=SEVERAL)
def tensors(asked: Asked, query: Annotated[TensorsQuery, Query()]) -> Response:
    """Return several values' numbers, one after another: what many small pictures need at once."""
    found = asked.look(query.run, query.step, query.text, query.change)
    parts = []
    for word in query.value:
        module, name, occurrence, index = word.split(":")
        value = found.value(module, name, int(occurrence))
        parts.append(part_of(value.tensor, numbers(index), value.title))
    return several(parts)


@router.get("/weights")
def weights(asked: Asked, query: Annotated[LookQuery, Query()]) -> Weights:
    """Return what parameters and buffers the model has."""
    found = asked.look(query.run, query.step, query.text, query.change)
    parameters = {name for name, _ in found.opened.model.named_parameters()}
    return Weights(
        weights=[
            WeightEntry(name=name, shape=[*weight.shape], parameter=name in parameters)
            for name, weight in found.trace.weights.items()
        ]
    )


@router.get("/weight", response_class=Response, responses=BINARY)
def weight(asked: Asked, query: Annotated[WeightQuery, Query()]) -> Response:
    """Return the numbers of a parameter or buffer."""
    found = asked.look(query.run, query.step, query.text, query.change)
    known = found.trace.weights
    if query.name not in known:
        raise MissingError(str(unknown("weight", query.name, known)))
    return binary(part_of(known[query.name], numbers(query.index), query.name))


@router.get("/maps", response_class=Response, responses=BINARY)
def maps(asked: Asked, query: Annotated[LookQuery, Query()]) -> Response:
    """Return every head's attention weights (L, H, T, T), before dropout."""
    found = asked.look(query.run, query.step, query.text, query.change)
    every = weights_of(found.trace)
    n_layer = len({layer for layer, _ in every})
    n_head = len({head for _, head in every})
    if not every or len(every) != n_layer * n_head:
        raise UserError(
            f"run '{query.run}': shows the attention weights of {len(every)} heads; allowed: a "
            "model that binds as many in each block, say as `weights`"
        )
    stacked = torch.stack([*every.values()])[:, 0]
    return binary(stacked.view(n_layer, n_head, *stacked.shape[1:]))


@router.get("/explain")
def explain(asked: Asked, query: Annotated[ExplainQuery, Query()]) -> ExplanationAnswer:
    """Return where one number comes from."""
    found = asked.look(query.run, query.step, query.text, query.change)
    value = found.value(query.module, query.name, query.occurrence)
    explanation = explain_value(found.trace, value, numbers(query.index))
    for number in numbers(query.operand):
        explanation = opened(explanation, number)
    told = replace(explanation, operands=explanation.operands[: query.count]).as_dict()
    facts: dict[str, Any] = {
        name: fact[: query.count] if isinstance(fact, list) else fact
        for name, fact in told["facts"].items()
    }
    file = None if told["file"] is None else short(told["file"])
    return ExplanationAnswer(
        **{**told, "facts": facts, "file": file, "total": len(explanation.operands)}
    )


@router.get("/source")
def source(asked: Asked, query: Annotated[SourceQuery, Query()]) -> Source:
    """Return a function's source, each line with the values that it made."""
    trace = asked.look(query.run, query.step, query.text, query.change).trace
    try:
        listing = trace.lines(query.module, query.function)
    except UserError as error:
        raise MissingError(str(error)) from None
    lines = [
        SourceLine(number=line.number, text=line.text, values=[one.title for one in line.values])
        for line in listing.lines
    ]
    return Source(
        file=short(listing.file), module=query.module, function=query.function, lines=lines
    )


@cache
def short(file: str) -> str:
    """Return how a source file is called: below the package, else by its name alone."""
    path = Path(file)
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name


def loss_of(trace: Trace) -> float | None:
    """Return the loss that the model returned beside its logits."""
    found = [one for one in trace.values if (one.module, one.name) == ("", "return[1]")]
    return found[-1].tensor.item() if found and found[-1].shape == () else None


def _next(found: Look, trace: Trace) -> list[Candidate]:
    """Return the likeliest tokens after the text, by what the model returned first."""
    returned = [one for one in trace.values if (one.module, one.name) == ("", "return[0]")]
    if not returned:
        return []
    scores = returned[-1].tensor[0, -1].float()
    probabilities, ids = likeliest(scores, min(MOST_NEXT, len(scores)))
    decode = found.opened.tokenizer.decode
    return [
        Candidate(id=id_, text=decode([id_]), probability=probability)
        for id_, probability in zip(ids.tolist(), probabilities.tolist(), strict=True)
    ]


def values_of(trace: Trace) -> list[ValueEntry]:
    """Return what is told of each value, in the order in which they came to be."""
    calls: set[int] = set()
    entries = []
    for value in trace.values:
        entries.append(_value(value, first=value.call not in calls))
        calls.add(value.call)
    return entries


def _value(value: Value, *, first: bool) -> ValueEntry:
    entry = meaning(value)
    return ValueEntry(
        module=value.module,
        name=value.name,
        occurrence=value.occurrence,
        title=value.title,
        shape=[*value.shape],
        dtype=kind_of(value.tensor),
        symbols=None if entry is None else re.findall(r"[\w/]+", entry.shape),
        meaning=None if entry is None else entry.meaning,
        formula=None if entry is None else entry.formula,
        file=short(value.file),
        line=value.line,
        source=value.source,
        function=value.function,
        first=first,
    )


def heads_of(trace: Trace) -> list[HeadEntry]:
    """Return which value each head's attention weights are."""
    return [
        HeadEntry(
            layer=layer,
            head=head,
            module=value.module,
            name=value.name,
            occurrence=value.occurrence,
            index=[0] if number is None else [0, number],
        )
        for (layer, head), (value, number) in places_of(trace).items()
    ]


def opened(explanation: Explanation, number: int) -> Explanation:
    """Return where an operand comes from that has no name of its own.

    Args:
        explanation: What it is an operand of.
        number: Which of them, from 0.

    Raises:
        MissingError: If it has a name, or there is none.
    """
    operands = explanation.operands
    found = operands[number].explanation if number < len(operands) else None
    if found is None:
        openable = [place for place, one in enumerate(operands) if one.further is not None]
        told = ", ".join(map(str, openable[:8])) or "none of them"
        raise MissingError(f"operand = {number}: can't be opened; allowed: {told}")
    return found
