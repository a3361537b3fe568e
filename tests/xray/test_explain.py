"""Explain: every number of every model, from operands that are where they say they are."""

import json
import math

import pytest
import torch
from torch import nn

from playattention import xray
from playattention.errors import UserError
from playattention.models import build_model
from playattention.xray.explain import explain, explain_value
from playattention.xray.explanation import Explanation, Operand
from playattention.xray.trace import Trace
from playattention.xray.values import Value
from tests.xray.conftest import CONFIGS, SIZES


def cells(value: Value) -> list[tuple[int, ...]]:
    """Return the first cell of a value, the last, and one more."""
    draw = torch.Generator().manual_seed(value.tensor.numel())
    first = tuple(0 for _ in value.shape)
    last = tuple(size - 1 for size in value.shape)
    other = tuple(int(torch.randint(size, (), generator=draw)) for size in value.shape)
    return list(dict.fromkeys([first, last, other]))


def explanations(trace: Trace) -> list[tuple[Value, Explanation]]:
    """Return several numbers of each value, explained."""
    return [(value, explain_value(trace, value, cell)) for value in trace for cell in cells(value)]


def largest(tensor: torch.Tensor) -> float:
    """Return the largest finite magnitude."""
    finite = tensor[tensor.isfinite()].double().abs()
    return float(finite.max()) if len(finite) else 0.0


def close(one: float, other: float, bound: float) -> bool:
    """Tell whether two numbers are the same within a bound; infinite ones, and no numbers, too."""
    return one == other or (math.isnan(one) and math.isnan(other)) or abs(one - other) <= bound


def place(trace: Trace, path: str) -> torch.Tensor | float:
    """Look up what a path names, in another way than `explain` does."""
    if path in ("idx", "targets"):
        return trace.idx if path == "idx" else trace.targets
    for value in trace:
        if value.title == path:
            return value.tensor
    if path in trace.weights:
        return trace.weights[path]
    module, _, name = path.rpartition(".")
    return trace.parts[module].settings[name]


def check_operand(trace: Trace, operand: Operand) -> None:
    """Hold an operand's number against the cell that it says it is."""
    assert (operand.path is None) == (operand.kind in ("constant", "expression", "argument")), (
        operand
    )
    if operand.path is None:
        return
    there = place(trace, operand.path)
    if isinstance(there, torch.Tensor):
        assert len(operand.at) == there.dim()
        assert operand.number == float(there[operand.at]), operand
    else:
        assert operand.kind == "setting"
        assert operand.number == there
    assert len(operand.index) == len(operand.shape)


def roles(found: Explanation) -> dict[str, list[float]]:
    """Return the operands' numbers by their roles."""
    numbers: dict[str, list[float]] = {}
    for operand in found.operands:
        numbers.setdefault(operand.role, []).append(operand.number)
    return numbers


def dot(has: dict[str, list[float]], _facts: dict) -> float:
    """Sum the products, and the bias."""
    bias = has.pop("bias", [0.0])[0]
    return sum(a * b for a, b in zip(*has.values(), strict=True)) + bias


def softmax(has: dict[str, list[float]], _facts: dict) -> float:
    """Share of the row's exponentials."""
    top = max(has["row"])
    return math.exp(has["own"][0] - top) / sum(math.exp(one - top) for one in has["row"])


def layer_norm(has: dict[str, list[float]], facts: dict) -> float:
    """Normalize, weigh, shift."""
    mean = sum(has["row"]) / len(has["row"])
    variance = sum((one - mean) ** 2 for one in has["row"]) / len(has["row"])
    normed = (has["own"][0] - mean) / math.sqrt(variance + facts["eps"])
    return normed * has["weight"][0] + has["bias"][0]


def rms_norm(has: dict[str, list[float]], facts: dict) -> float:
    """Divide by the root mean square."""
    square = sum(one**2 for one in has["row"]) / len(has["row"])
    return has["own"][0] / math.sqrt(square + facts["eps"])


def cross_entropy(has: dict[str, list[float]], facts: dict) -> float:
    """Mean of the losses."""
    pairs = zip(facts["log-sum"], has["target's logit"], strict=True)
    losses = [log_sum - logit for log_sum, logit in pairs]
    return sum(losses) / len(losses)


def gelu(has: dict[str, list[float]], _facts: dict) -> float:
    """Tanh form."""
    [x] = has["operand"]
    return x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def dropout(has: dict[str, list[float]], facts: dict) -> float:
    """Scale what was kept."""
    return has["operand"][0] / (1 - facts["p"]) if has["drawn at random"][0] else 0.0


BY_HAND = {
    "dot product": dot,
    "dot product and bias": dot,
    "softmax": softmax,
    "layer norm": layer_norm,
    "rms norm": rms_norm,
    "cross-entropy": cross_entropy,
    "gelu, by tanh": gelu,
    "dropout": dropout,
    "count": lambda has, _: has["first"][0] + has["place"][0] * has["step"][0],
    "choice": lambda has, _: has["where true" if has["condition"][0] else "where false"][0],
    "sum": lambda has, _: has["left"][0] + has["right"][0],
    "difference": lambda has, _: has["left"][0] - has["right"][0],
    "product": lambda has, _: has["left"][0] * has["right"][0],
    "lookup": lambda has, _: has["entry"][0],
    "relu": lambda has, _: max(0.0, has["operand"][0]),
    "moved": lambda has, _: has["operand"][0],
    "unchanged": lambda has, _: has["operand"][0],
    "dropout, not in training: unchanged": lambda has, _: has["operand"][0],
    "what was returned": lambda has, _: has["operand"][0],
}
"""What an operation makes of its operands' numbers, by Python's own arithmetic."""


def by_hand(found: Explanation) -> float:
    """Return the result from the operands alone."""
    returned = found.operation.startswith("what ")
    words = "what was returned" if returned else found.operation
    return BY_HAND[words](roles(found), found.facts)


def check(trace: Trace) -> None:
    """Check every value: the result, the operands, and that the one follows from the others."""
    for value, found in explanations(trace):
        assert found.result is not None, found
        bound = 1e-5 * largest(value.tensor)
        assert found.number == pytest.approx(float(value.tensor[found.index]), nan_ok=True)
        assert close(found.result, found.number, bound), found
        assert close(by_hand(found), found.number, bound), found
        for operand in found.operands:
            check_operand(trace, operand)


def test_every_number_follows_from_operands_that_are_where_they_say(model, idx, targets):
    check(xray.watch(model, idx, targets))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_in_training_with_its_dropout(name, idx, targets):
    torch.manual_seed(0)
    model = build_model(CONFIGS[name](**SIZES, dropout=0.4)).train()
    trace = xray.watch(model, idx, targets)
    check(trace)
    kept = {found.facts["kept"] for _, found in explanations(trace) if found.operation == "dropout"}
    assert kept == {True, False}


def test_the_same_in_float64(model, idx, targets):
    trace = xray.watch(model.double(), idx, targets)
    for value, found in explanations(trace):
        assert close(found.result, found.number, 1e-13 * max(1.0, largest(value.tensor))), found


def test_the_same_of_a_trace_from_disk(model, idx, targets, tmp_path):
    trace = xray.watch(model, idx, targets)
    trace.save(tmp_path / "trace")
    again = Trace.load(tmp_path / "trace")
    for (_, one), (_, other) in zip(explanations(trace), explanations(again), strict=True):
        assert one.as_dict()["operation"] == other.as_dict()["operation"]
        assert close(one.result, other.result, 0.0)
        for mine, theirs in zip(one.operands, other.operands, strict=True):
            assert (mine.name, mine.index, mine.number) == (
                theirs.name,
                theirs.index,
                theirs.number,
            )


def test_a_reader_can_go_on_from_any_number_to_the_tokens_and_weights(model, idx, targets):
    """From the loss back along one operand after another, until only inputs are left."""
    trace = xray.watch(model, idx, targets)
    titles = {value.title: value for value in trace}
    waiting, seen = [("", "loss", ())], set()
    ends: set[str] = set()
    while waiting:
        value = titles[":".join(waiting[-1][:2])]
        found = explain_value(trace, value, waiting.pop()[2])
        for operand in found.operands[:2] + found.operands[-2:]:
            if operand.kind != "value":
                ends.add(operand.kind)
            elif (operand.path, operand.at) not in seen:
                seen.add((operand.path, operand.at))
                module, _, name = operand.path.partition(":")
                waiting.append((module, name, operand.at))
        if len(seen) > 300:
            break
    assert {path for path, _ in seen} >= {":logits", ":normed"}
    assert ends >= {"weight", "input", "setting"}
    assert any(path.startswith("blocks.0") for path, _ in seen)


def gpt_trace(gpt: nn.Module, idx: torch.Tensor, targets: torch.Tensor | None = None) -> Trace:
    """Return a trace of GPT."""
    return xray.watch(gpt, idx, targets)


def test_all_terms_of_a_dot_product_are_there(gpt, idx):
    found = explain(gpt_trace(gpt, idx), "blocks.0.attention.heads.1", "scores", (1, 4, 2))
    terms = [(operand.name, operand.index, operand.term) for operand in found.operands]
    assert terms == [
        entry for d in range(4) for entry in (("query", (1, 4, d), d), ("keys", (1, 2, d), d))
    ]
    assert [operand.path for operand in found.operands[:2]] == [
        "blocks.0.attention.heads.1:query",
        "blocks.0.attention.heads.1:keys",
    ]


def test_a_softmax_tells_maximum_and_sum_and_what_was_masked(gpt, idx):
    trace = gpt_trace(gpt, idx)
    head = "blocks.1.attention.heads.0"
    found = explain(trace, head, "weights", (0, 2, 4))
    row = trace.one(head, "masked").tensor[0, 2].double()
    assert found.number == found.result == 0
    assert roles(found)["row"] == row.tolist()
    assert found.facts["maximum"] == float(row.max())
    assert found.facts["sum"] == pytest.approx(float((row - row.max()).exp().sum()), rel=1e-12)


def test_a_masked_score_is_minus_infinity_because_of_the_mask(gpt, idx):
    trace = gpt_trace(gpt, idx)
    found = explain(trace, "blocks.0.attention.heads.2", "masked", (0, 1, 3))
    condition = next(operand for operand in found.operands if operand.role == "condition")
    assert found.number == found.result == -math.inf
    assert (condition.path, condition.at, condition.number) == (
        "blocks.0.attention.heads.2.causal_mask",
        (1, 3),
        0.0,
    )
    assert condition.name == "self.causal_mask"


def test_a_cross_entropy_tells_each_position_that_counts(gpt, idx, targets):
    trace = gpt_trace(gpt, idx, targets)
    found = explain(trace, "", "loss", ())
    logits = trace.one("", "logits").tensor.double()
    positions = [(b, t) for b in range(2) for t in range(5) if targets[b, t] != -100]
    assert found.facts["position"] == tuple(positions)
    expected = [float(logits[b, t].logsumexp(0)) for b, t in positions]
    assert found.facts["log-sum"] == pytest.approx(expected, rel=1e-12)
    scores = [operand.at for operand in found.operands if operand.role == "target's logit"]
    assert scores == [(b, t, int(targets[b, t])) for b, t in positions]


def test_a_cell_of_gpt2s_split_heads_leads_back_to_the_fused_projection(idx):
    from tests.xray.conftest import small_model

    trace = xray.watch(small_model("gpt2"), idx)
    key = explain(trace, "blocks.0.attention", "key", (1, 2, 3, 1))
    [operand] = key.operands
    assert key.operation == "what _split returned"
    module, _, name = operand.path.partition(":")
    [source] = explain(trace, module, "return", operand.at, 1).operands
    assert name == "return#1"
    assert (source.name, source.index) == ("fused", (1, 3, 2 * 4 + 1))
    assert (source.path, source.at) == ("blocks.0.attention:fused", (1, 3, 12 + 2 * 4 + 1))


def test_an_index_may_count_from_the_end(gpt, idx):
    trace = gpt_trace(gpt, idx)
    assert explain(trace, "", "logits", (-1, -1, -1)).index == (1, 4, 10)
    assert explain(trace, "", "positions", 2).index == (2,)


@pytest.mark.parametrize("index", [(0, 0), (2, 0, 0), (0, -6, 0), 1, (0, 0, 0, 0)])
def test_a_wrong_index_is_told_with_the_shape(gpt, idx, index):
    trace = gpt_trace(gpt, idx)
    with pytest.raises(UserError, match=r"index = .*: logits has the shape \(2, 5, 11\); allowed"):
        explain(trace, "", "logits", index)


@pytest.mark.parametrize("index", [(0, 0.5, 0), "ab", (None, 0, 0), 1.5])
def test_an_index_is_whole_numbers(gpt, idx, index):
    with pytest.raises(UserError, match="must be whole numbers"):
        explain(gpt_trace(gpt, idx), "", "logits", index)


def test_a_value_of_the_model_itself_is_printed_without_a_colon(gpt, idx, targets):
    trace = gpt_trace(gpt, idx, targets)
    loss = explain(trace, "", "loss", ())
    assert repr(loss).startswith("loss[] = ")
    assert repr(trace.one("", "loss")).startswith("<loss () ")
    assert (loss.title, loss.value.shown) == (":loss", "loss")
    returned = explain(trace, "", "return[0]", (0, 0, 0))
    assert repr(returned).startswith("return[0][0, 0, 0] = ")
    with pytest.raises(UserError, match=r"occurrence = 9: loss was bound 1 times"):
        trace.one("", "loss", 9)


def test_no_number_is_cut_in_80_columns(own_note="a " * 30 + "word, the model's number 8.8212345 "):
    value = Explanation("m" * 70, (0, 1), -1.25e-05, "op", "", (), {}, None, own_note * 3)
    rows = repr(value).splitlines()
    assert rows[0].endswith("mm[0, 1] = -1.25e-05")
    assert "..." in rows[0]
    assert all(len(row) <= 80 for row in rows)
    assert " ".join(" ".join(rows).split()).count("the model's number 8.8212345") == 3


def test_weights_that_were_changed_since_are_refused(gpt, idx):
    trace = gpt_trace(gpt, idx)
    with torch.no_grad():
        gpt.head.weight.add_(1.0)
    with pytest.raises(UserError, match="changed since the watch"):
        explain(trace, "", "logits", (0, 0, 0))


def test_it_reads_in_80_columns_and_shows_all_when_asked(model, idx, targets):
    trace = xray.watch(model, idx, targets)
    for _, found in explanations(trace):
        assert all(len(line) <= 80 for line in repr(found).splitlines())
    long = explain(trace, "blocks.0.feed_forward", "contracted", (1, 2, 3))
    assert "more" in repr(long)
    assert "more" not in long.full
    assert all(f"activated[1, 2, {place}]" in long.full for place in range(48))


def test_it_goes_into_json_whole(model, idx, targets):
    trace = xray.watch(model, idx, targets)
    for _, found in explanations(trace):
        again = json.loads(json.dumps(found.as_dict(), allow_nan=False))
        assert len(again["operands"]) == len(found.operands)
        assert again["source"] == found.value.source


@pytest.mark.parametrize("case", ["one token", "no target counts", "bfloat16", "a part kept"])
def test_every_number_is_explained_in_odd_cases_too(model, idx, targets, case):
    if case == "one token":
        trace = xray.watch(model, idx[:1, :1], targets[:1, :1])
    elif case == "no target counts":
        trace = xray.watch(model, idx, torch.full_like(targets, -100))
    elif case == "bfloat16":
        trace = xray.watch(model.bfloat16(), idx, targets)
    else:
        trace = xray.watch(model, idx, modules="blocks.1.attention*")
    for value, found in explanations(trace):
        assert found.result is not None, found
        rounding = 0.02 if case == "bfloat16" else 1e-5
        assert close(found.result, found.number, rounding * largest(value.tensor)), found
