"""What a model's own lines made of a text, as the page is told it."""

import numpy as np
import pytest
import torch

from playattention.playground.opened import MissingError
from playattention.playground.routes.looking import opened
from playattention.training.run import load_run
from playattention.xray.attention import weights_of
from playattention.xray.explain import explain_value
from playattention.xray.watch import watch
from playattention.xray.whatif import ablate_heads
from tests.playground.conftest import HEADS, array, found, seen, told

TEXT = "Anna:\nThe lamp"


def test_a_look_tells_the_tokens_and_every_value_of_the_trace_in_its_order(client, home, run):
    trace = seen(home, run, TEXT)
    look = found(client.get("/api/look", params={"run": run, "text": TEXT}))
    assert "".join(token["text"] for token in look["tokens"]) == TEXT == look["text"]
    assert [token["id"] for token in look["tokens"]] == trace.idx[0].tolist()
    assert bytes(b for token in look["tokens"] for b in token["bytes"]) == TEXT.encode()
    told = [
        (value["module"], value["name"], value["occurrence"], tuple(value["shape"]), value["line"])
        for value in look["values"]
    ]
    assert told == [(v.module, v.name, v.occurrence, v.shape, v.line) for v in trace]
    assert (look["step"], look["steps"], look["seq_size"]) == (4, [0, 2, 4], 16)
    assert look["loss"] == pytest.approx(trace.one("", "loss").tensor.item(), abs=1e-6)


def test_a_value_brings_its_meaning_with_a_symbol_for_each_dimension(client, run):
    look = found(client.get("/api/look", params={"run": run, "text": TEXT}))
    for value in look["values"]:
        assert value["meaning"], value["title"]
        assert len(value["symbols"]) == len(value["shape"]), value["title"]
        assert value["file"].startswith("models/model_gpt")
    [scores] = [v for v in look["values"] if v["title"] == f"{HEADS[run][0]}:scores"]
    assert scores["symbols"][-2:] == ["T", "S"]


def test_the_likeliest_next_tokens_are_those_of_the_last_logits(client, home, run):
    look = found(client.get("/api/look", params={"run": run, "text": TEXT}))
    logits = seen(home, run, TEXT).one("", "logits").tensor[0, -1]
    likeliest = torch.softmax(logits.double(), dim=-1).topk(5)
    assert [token["id"] for token in look["next"]] == likeliest.indices.tolist()
    assert [t["probability"] for t in look["next"]] == pytest.approx(likeliest.values.tolist())


def test_each_value_is_sent_byte_for_byte(client, home, run):
    trace = seen(home, run, TEXT)
    for value in trace:
        params = {"module": value.module, "name": value.name, "occurrence": value.occurrence}
        numbers = array(client.get("/api/tensor", params={"run": run, "text": TEXT, **params}))
        whole = not value.tensor.dtype.is_floating_point
        expected = value.tensor.to(torch.int32 if whole else torch.float32).numpy()
        assert numbers.dtype == (np.dtype("<i4") if whole else np.dtype("<f4"))
        assert np.array_equal(numbers, expected, equal_nan=not whole), value.title


def test_an_index_fixes_the_first_dimensions_and_columns_cut_the_last(client, home, run):
    module, index = HEADS[run]
    q = {"run": run, "text": TEXT, "module": module, "name": "weights"}
    place = tuple(int(number) for number in index.split(","))
    whole = seen(home, run, TEXT).one(module, "weights").tensor[place].numpy()
    assert np.array_equal(array(client.get("/api/tensor", params={**q, "index": index})), whole)
    columns = array(client.get("/api/tensor", params={**q, "index": index, "columns": "2:5"}))
    assert np.array_equal(columns, whole[:, 2:5])
    cell = array(client.get("/api/tensor", params={**q, "index": f"{index},3,1"}))
    assert cell.shape == ()
    assert cell == whole[3, 1]


def test_several_values_come_at_once(client, home):
    """Those of one answer are those of one answer each, whole numbers too."""
    trace = seen(home, "small-gpt", TEXT)
    some = [one for one in trace.values if one.tensor.numel()][:40]
    words = [f"{one.module}:{one.name}:{one.occurrence}:" for one in some]
    head = trace.one("blocks.1.attention.heads.1", "weights")
    words.append(f"{head.module}:weights:0:0,3")
    q = {"run": "small-gpt", "text": TEXT}
    answer = client.get("/api/tensors", params={**q, "value": words})
    shapes = answer.headers["x-shapes"].split(";")
    tensors = [one.tensor for one in some] + [head.tensor[0, 3]]
    assert shapes == [",".join(map(str, one.shape)) for one in tensors]
    expected = torch.cat([one.float().flatten() for one in tensors]).numpy()
    assert np.array_equal(np.frombuffer(answer.content, "<f4"), expected)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], 422),
        (["logits"], 422),
        ([":logits:0:x"], 422),
        ([":logits:0:"] * 501, 422),
        ([":logits:0:", ":nothing:0:"], 404),
        ([":logits:9:"], 404),
        ([":logits:0:0,99"], 400),
    ],
)
def test_several_values_of_which_one_is_not_there(client, words, status):
    q = {"run": "small-gpt", "text": TEXT}
    answer = client.get("/api/tensors", params={**q, "value": words})
    assert answer.status_code == status
    assert [*answer.json()] == ["error"]


@pytest.mark.parametrize(
    ("params", "status", "word"),
    [
        ({"module": "blocks.7", "name": "x"}, 404, "unknown module 'blocks.7'"),
        ({"module": "blocks.*", "name": "attended"}, 404, "unknown module"),
        ({"module": "blocks.0", "name": "atended"}, 404, "did you mean 'attended'"),
        ({"module": "blocks.0", "name": "attended", "occurrence": 1}, 404, "allowed: 0 to 0"),
        ({"module": "blocks.0", "name": "attended", "index": "0,99"}, 400, "has the shape"),
        ({"module": "blocks.0", "name": "attended", "index": "0,1,1,1"}, 400, "has the shape"),
        ({"module": "blocks.0", "name": "attended", "columns": "0:99"}, 400, "must end at 12"),
        ({"module": "blocks.0", "name": "attended", "columns": "5:5"}, 422, "columns"),
        ({"module": "blocks.0", "name": "attended", "index": "1.5"}, 422, "index"),
        ({"module": "blocks.0", "name": "attended", "index": "-1"}, 422, "index"),
        ({"module": "blocks.0", "name": "attended", "indx": "1"}, 422, "indx"),
        ({"module": "blocks.0"}, 422, "name"),
    ],
)
def test_a_value_that_is_not_there_is_told_in_one_line(params, status, word, client):
    answer = client.get("/api/tensor", params={"run": "small-gpt", "text": TEXT, **params})
    assert word in told(answer, status)


@pytest.mark.parametrize(
    ("params", "status", "word"),
    [
        ({"run": "small-gtp"}, 404, "did you mean 'small-gpt'"),
        ({"run": ".."}, 404, "unknown run"),
        ({"run": "../logs/small-gpt"}, 404, "unknown run"),
        ({"run": "small-gpt/"}, 404, "unknown run"),
        ({"run": ".jobs"}, 404, "unknown run"),
        ({"run": "x" * 900}, 404, "unknown run"),
        ({"run": "a\0b"}, 404, "unknown run"),
        ({"run": "untrained:bert"}, 404, "unknown run"),
        ({"run": ""}, 422, "run"),
        ({"run": "small-gpt", "step": 3}, 404, "allowed: 0, 2, 4"),
        ({"run": "small-gpt", "step": -1}, 422, "step"),
        ({"run": "small-gpt", "step": "x"}, 422, "step"),
        ({"run": "small-gpt", "text": "é"}, 400, "unknown character 'é'"),
        (
            {"run": "small-gpt", "text": "Anna " * 4},
            400,
            "20 tokens: the model takes seq_size = 16",
        ),
        ({"run": "small-gpt", "text": "a" * 20_001}, 422, "text"),
        ({"run": "small-gpt", "change": "ablate:9.0"}, 400, "layer = 9"),
        ({"run": "small-gpt", "change": "explode"}, 400, "unknown change 'explode'"),
    ],
)
def test_a_look_that_is_not_possible_is_told_in_one_line(params, status, word, client):
    assert word in told(client.get("/api/look", params=params), status)


def test_without_a_text_the_model_reads_what_a_sample_starts_from(client, run):
    look = found(client.get("/api/look", params={"run": run}))
    assert [token["text"] for token in look["tokens"]] == ["\n"]
    assert look["loss"] is None
    for path in ("lens", "losses", "ledger", "maps"):
        assert client.get(f"/api/{path}", params={"run": run}).status_code == 200
    assert "2 at least" in told(client.get("/api/backward", params={"run": run}))


def test_an_earlier_step_is_another_model(client, home, run):
    module, _ = HEADS[run]
    params = {"run": run, "text": TEXT, "step": 0, "module": module, "name": "weights"}
    early = array(client.get("/api/tensor", params=params))
    expected = seen(home, run, TEXT, step=0).one(module, "weights").tensor.numpy()
    assert np.array_equal(early, expected)
    late = array(client.get("/api/tensor", params={**params, "step": 4}))
    assert not np.array_equal(early, late)


def test_maps_are_the_attention_weights_of_every_head(client, home, run):
    maps = array(client.get("/api/maps", params={"run": run, "text": TEXT}))
    every = weights_of(seen(home, run, TEXT))
    assert maps.shape == (2, 2, len(TEXT), len(TEXT))
    for (layer, head), weights in every.items():
        assert np.array_equal(maps[layer, head], weights[0].numpy())


def test_each_map_names_the_value_that_it_is(client, run):
    q = {"run": run, "text": TEXT}
    maps = array(client.get("/api/maps", params=q))
    heads = found(client.get("/api/look", params=q))["heads"]
    assert [(head["layer"], head["head"]) for head in heads] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for head in heads:
        place = {name: head[name] for name in ("module", "name", "occurrence")}
        index = ",".join(map(str, head["index"]))
        numbers = array(client.get("/api/tensor", params={**q, **place, "index": index}))
        assert np.array_equal(numbers, maps[head["layer"], head["head"]])


def test_weights_are_listed_and_sent(client, home, run):
    q = {"run": run, "text": TEXT}
    listed = found(client.get("/api/weights", params=q))["weights"]
    own = load_run(home / "logs" / run).model
    expected = {**dict(own.named_parameters()), **dict(own.named_buffers())}
    assert {one["name"]: tuple(one["shape"]) for one in listed} == {
        name: tuple(weight.shape) for name, weight in expected.items()
    }
    assert sum(one["parameter"] for one in listed) == len(dict(own.named_parameters()))
    name = "blocks.0.attention.projection.weight"
    numbers = array(client.get("/api/weight", params={**q, "name": name, "index": "3"}))
    assert np.array_equal(numbers, expected[name][3].detach().numpy())
    mask = array(client.get("/api/weight", params={**q, "name": _mask(expected)}))
    assert mask.dtype == np.dtype("<i4")
    assert "unknown weight" in told(client.get("/api/weight", params={**q, "name": "blok"}), 404)


def _mask(weights) -> str:
    return next(name for name in weights if name.endswith("causal_mask"))


def test_a_number_is_explained_by_operands_that_are_the_models(client, home, run):
    module, index = HEADS[run]
    params = {"run": run, "text": TEXT, "module": module, "name": "scores", "index": f"{index},5,2"}
    explained = found(client.get("/api/explain", params=params))
    trace = seen(home, run, TEXT)
    place = tuple(int(number) for number in params["index"].split(","))
    assert explained["number"] == trace.one(module, "scores").tensor[place].item()
    left, right = (
        [one for one in explained["operands"] if one["role"] == role] for role in ("left", "right")
    )
    terms = [a["number"] * b["number"] for a, b in zip(left, right, strict=True)]
    assert len(terms) == 6
    assert sum(terms) == pytest.approx(explained["result"], rel=1e-12)
    assert explained["total"] == len(explained["operands"])
    assert explained["file"].startswith("models/")
    for operand in left:
        owner, name = operand["path"].rsplit(":", 1)
        assert operand["number"] == trace.one(owner, name).tensor[tuple(operand["at"])].item()


def test_as_many_operands_are_told_as_were_asked_for(client, run):
    module, index = HEADS[run]
    params = {"run": run, "text": TEXT, "module": module, "name": "scores", "index": f"{index},5,2"}
    explained = found(client.get("/api/explain", params={**params, "count": 3}))
    assert len(explained["operands"]) == 3
    assert explained["total"] == 12


class Unnamed(torch.nn.Module):
    """A learner's model with a step that has no name."""

    def forward(self, idx):
        """Return something of each token."""
        made = torch.relu(idx * 2.0 - 3)
        return made


def test_an_operand_without_a_name_is_opened():
    trace = watch(Unnamed(), torch.tensor([[3, 1]]))
    explanation = explain_value(trace, trace.one("", "made"), [0, 0])
    [number] = [n for n, one in enumerate(explanation.operands) if one.further is not None]
    inner = opened(explanation, number)
    assert inner.result == 3.0
    assert [one.number for one in inner.operands][-1] == 3
    with pytest.raises(MissingError, match=f"allowed: {number}"):
        opened(explanation, 99)


def test_an_operand_that_has_a_name_is_not_opened(client):
    params = {"run": "small-gpt", "text": TEXT, "module": "", "name": "embedded", "index": "0,0,0"}
    answer = client.get("/api/explain", params={**params, "operand": "0"})
    assert "allowed: none of them" in told(answer, 404)


def test_infinite_numbers_are_explained_as_text(client, run):
    module, index = HEADS[run]
    params = {"run": run, "text": TEXT, "module": module, "name": "masked", "index": f"{index},2,5"}
    assert found(client.get("/api/explain", params=params))["number"] == "-inf"


def test_the_source_lists_what_each_line_made(client, home, run):
    module, _ = HEADS[run]
    function = "forward" if run == "small-gpt" else "_attend"
    q = {"run": run, "text": TEXT, "module": module, "function": function}
    source = found(client.get("/api/source", params=q))
    listing = seen(home, run, TEXT).lines(module, function)
    assert [line["text"] for line in source["lines"]] == [line.text for line in listing.lines]
    [row] = [line for line in source["lines"] if f"{module}:weights" in line["values"]]
    assert "softmax" in row["text"]
    assert "unknown" in told(client.get("/api/source", params={**q, "function": "x"}), 404)


def test_a_change_is_made_and_taken_back(client, home, run):
    q = {"run": run, "text": TEXT, "module": "", "name": "logits"}
    plain = array(client.get("/api/tensor", params=q))
    changed = array(client.get("/api/tensor", params={**q, "change": "ablate:1.1"}))
    loaded = load_run(home / "logs" / run)
    idx = torch.tensor([loaded.tokenizer.encode(TEXT)])
    with ablate_heads(loaded.model, [(1, 1)]):
        expected = watch(loaded.model, idx).one("", "logits").tensor.numpy()
    assert np.allclose(changed, expected, atol=1e-6)
    assert not np.allclose(changed, plain, atol=1e-4)
    again = array(client.get("/api/tensor", params={**q, "text": TEXT[:-1]}))
    assert np.allclose(again[0], plain[0, :-1], atol=1e-5)


def test_swapped_tokens_are_those_of_the_text_that_ran(client):
    look = found(
        client.get("/api/look", params={"run": "small-gpt", "text": "Anna", "change": "swap:0.3"})
    )
    assert look["text"] == "annA"


@pytest.mark.parametrize("name", ["gpt", "gpt2", "modern"])
def test_an_untrained_model_can_be_looked_at(name, client):
    run = f"untrained:{name}"
    example = found(client.get("/api/examples", params={"run": run}))["texts"][0]["text"]
    look = found(client.get("/api/look", params={"run": run, "text": example}))
    assert (look["model"], look["step"], look["steps"]) == (name, 0, [0])
    assert look["loss"] == pytest.approx(4.11, abs=0.15)  # ln 61
    maps = array(client.get("/api/maps", params={"run": run, "text": example}))
    assert maps.shape == (4, 4, len(example), len(example))
