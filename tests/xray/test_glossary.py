"""The glossary: all values, none that is not there, true shapes; and those in the models' files."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from playattention import xray
from playattention.models import MODELS
from playattention.xray.glossary import GLOSSARY, key, meaning, role
from playattention.xray.glossary_statements import STATEMENTS
from playattention.xray.glossary_words import WORDS
from playattention.xray.trace import Trace
from playattention.xray.values import Value
from tests.xray.conftest import CONFIGS, SIZES, small_model
from tests.xray.test_learners_models import LINE_ADDED, edited

B, T = 2, 5
HEAD = "blocks.0.attention.heads.1"
BATCH = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])

SHAPE = r"\(([A-Z0-9, /]*)\)"
COMMENT = re.compile(rf"#\s*(?:([A-Z]) x )?{SHAPE}\s*$")


@pytest.fixture(scope="module", params=MODELS)
def traced(request: pytest.FixtureRequest) -> tuple[str, Trace]:
    """A registered model's name and trace, with targets."""
    return request.param, xray.watch(small_model(request.param), BATCH, BATCH)


def sizes(trace: Trace) -> dict[str, int]:
    """Return what the symbols stand for; all differ but S, which is T in a watch."""
    C, H = SIZES["n_embd"], SIZES["n_head"]
    known = {"B": B, "T": T, "C": C, "H": H, "D": C // H, "V": SIZES["vocab_size"]}
    known["P"] = trace.weights["token_embedding.weight"].shape[0]
    if known["P"] == known["V"]:
        del known["P"]
    assert len(set(known.values())) == len(known)
    return {**known, "S": T}


def shape_of(symbols: str, known: dict[str, int]) -> tuple[int, ...]:
    """Return the numbers that symbols stand for: "B, T, 4C, D/2" -> (2, 5, 48, 2)."""
    found = []
    for symbol in filter(None, symbols.replace(" ", "").split(",")):
        times, letter, parts = re.fullmatch(r"(\d*)([A-Z])(?:/(\d))?", symbol).groups()
        found.append(int(times or 1) * known[letter] // int(parts or 1))
    return tuple(found)


def test_every_model_has_a_table():
    assert set(GLOSSARY) == set(MODELS)


def test_every_value_has_an_entry_whose_shape_is_true(traced):
    model, trace = traced
    known = sizes(trace)
    for value in trace:
        found = meaning(value)
        assert found is not None, value
        assert found == GLOSSARY[model][key(value, GLOSSARY[model])]
        assert shape_of(found.shape.strip("()"), known) == value.shape, value


def test_there_is_no_entry_for_a_value_that_is_not_there(traced):
    model, trace = traced
    used = {key(value, GLOSSARY[model]) for value in trace}
    assert [place for place in GLOSSARY[model] if place not in used] == []


def test_the_statements_are_those_of_the_models_files(traced):
    """All of them, and no other: with what runs where no targets are given."""
    model, trace = traced
    without = xray.watch(small_model(model), BATCH)
    seen: dict[tuple[str, str, str], set[str]] = {}
    for value in (*trace, *without):
        seen.setdefault(key(value, GLOSSARY[model]), set()).add(in_one_line(value.source))
    seen["", "forward", "return[1]"].add("return logits, None")  # whose second is no tensor
    told = {
        (*place, name): {*statements.splitlines()}
        for place, names in STATEMENTS[model].items()
        for name, statements in names.items()
    }
    assert told == seen


def in_one_line(statement: str) -> str:
    """Return a statement as it would stand if lines had no end."""
    return re.sub(r"\s+", " ", statement).replace("( ", "(").replace(" )", ")")


@pytest.mark.parametrize("name", MODELS)
def test_a_copy_of_a_models_file_has_the_words_of_that_model(written, name: str):
    """Where two models have the same line, which calls another kind of norm in each."""
    own = xray.watch(small_model(name), BATCH)
    text = Path(file_of(own)).read_text(encoding="utf-8")
    copied = written("mine", text.replace("joined", "put_together"))
    kind = getattr(copied, type(small_model(name)).__name__)
    trace = xray.watch(kind(CONFIGS[name](**SIZES)), BATCH)
    for place, value in (("blocks.1", "attention_input"), ("", "normed"), ("", "embedded")):
        assert meaning(trace.one(place, value)) == meaning(own.one(place, value)) is not None


def test_what_is_written_once_is_used():
    """By one model at least; and nothing is written twice."""
    written = [tuple(words) for words in WORDS.values()]
    used = {
        (found.meaning, found.formula) for table in GLOSSARY.values() for found in table.values()
    }
    assert set(written) == used
    assert len(set(written)) == len(written)


def test_an_entry_is_one_sentence_and_a_formula():
    for name, (told, formula) in WORDS.items():
        assert told[0].isupper(), name
        assert told.endswith("."), name
        assert told.count(". ") == 0, name
        assert re.match(r"\w+(\[[^\]]+\])? = \S", formula), name


def test_a_formula_tells_the_value_that_it_is_of(traced):
    model, _ = traced
    for (_, _, name), found in GLOSSARY[model].items():
        assert re.match(rf"{re.escape(name.partition('#')[0])}(\[| =)", found.formula), name


def test_a_learners_line_has_no_entry_and_the_lines_left_alone_have(written):
    trace = xray.watch(edited(written, LINE_ADDED), BATCH)
    head = "blocks.0.attention.heads.1"
    assert meaning(trace.one(head, "sharper")) is None
    assert meaning(trace.one(head, "mixed")) is None
    own = xray.watch(small_model("gpt"), BATCH)
    assert meaning(trace.one(head, "weights")) == meaning(own.one(head, "weights"))
    assert meaning(trace.one(head, "weights")) is not None


@pytest.mark.parametrize(
    ("module", "name", "old", "new"),
    [
        (HEAD, "weights", "F.softmax(masked, dim=-1)", "torch.sigmoid(masked)"),
        (HEAD, "scaled", "scores * self.scale", "scores * 100"),
        ("blocks.1.feed_forward", "activated", "F.relu(hidden)", "F.silu(hidden)"),
        ("blocks.1", "return", "x_attended + computed", "(\n    x_attended + 2 * computed\n)"),
    ],
)
def test_a_changed_statement_has_no_entry_in_the_models_own_file_neither(
    written, module, name, old, new
):
    """The file of a copied package is edited in place: it is found under the model's own path."""
    trace = xray.watch(edited(written, (old, new)), BATCH)
    own = xray.watch(small_model("gpt"), BATCH).one(module, name)
    value = replace(trace.one(module, name), file=own.file)
    assert meaning(own) is not None
    assert meaning(value) is None


def test_layout_and_comments_are_no_change(written):
    laid_out = (
        "weights = F.softmax(\n            masked,  # no token looks ahead\n            dim=-1)"
    )
    trace = xray.watch(edited(written, ("weights = F.softmax(masked, dim=-1)", laid_out)), BATCH)
    assert "no token looks ahead" in trace.one(HEAD, "weights").source
    own = xray.watch(small_model("gpt"), BATCH)
    assert meaning(trace.one(HEAD, "weights")) == meaning(own.one(HEAD, "weights")) is not None


def test_numbers_are_left_out_of_a_modules_role():
    assert role("blocks.0.attention.heads.11") == "heads"
    assert role("blocks.3") == "blocks"
    assert role("") == ""


# The model files' own words: each shape that they tell is held against what was seen.


def file_of(trace: Trace) -> str:
    """Return the model's file."""
    return trace.one("", "logits").file


def made_at(trace: Trace, line: int) -> list[Value]:
    """Return the values of the statement that a line of the model's file belongs to."""
    return [
        value
        for value in trace
        if value.file == file_of(trace)
        and value.line <= line <= value.line + value.source.count("\n")
    ]


def comments(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, count and symbols of each shape comment: (7, "H", "B, T, D")."""
    for number, row in enumerate(text.splitlines(), start=1):
        found = COMMENT.search(row)
        if found:
            yield number, found[1] or "", found[2]


def test_every_shape_comment_is_true(traced):
    _, trace = traced
    known = sizes(trace)
    text = trace.sources[file_of(trace)]
    told = list(comments(text))
    assert len(told) == len(re.findall(r"#\s*(?:[A-Z] x )?\([A-Z]", text)) > 20
    for line, count, symbols in told:
        values = made_at(trace, line)
        assert values, f"line {line}: nothing was seen there"
        assert {value.shape for value in values} == {shape_of(symbols, known)}, f"line {line}"
        elements = len({value.name for value in values})
        assert elements == (known[count] if count else elements), f"line {line}"


def functions(trace: Trace) -> Iterator[tuple[ast.FunctionDef, list[int]]]:
    """Yield the functions of a model's file that forward passes run, and their calls."""
    tree = ast.parse(trace.sources[file_of(trace)])
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in kind.body:
            if isinstance(node, ast.FunctionDef) and "init" not in node.name:
                calls = [
                    number
                    for number, call in enumerate(trace.calls)
                    if call.function == node.name and call.line == node.lineno
                ]
                yield node, calls


def returned(trace: Trace, call: int, name: str = "return") -> tuple[int, ...]:
    """Return the shape of what a call gave back."""
    return next(value.shape for value in trace if value.call == call and value.name == name)


def test_every_shape_in_a_docstring_is_true(traced):
    """ "(B, T, C) -> (B, T, D)": of the arguments, in their order, and of the result."""
    _, trace = traced
    known = sizes(trace)
    seen = 0
    for function, calls in functions(trace):
        doc = ast.get_docstring(function)
        given, arrow, result = doc.partition("->")
        if function.name.endswith("_fused"):
            continue  # the branch that a watch does not take; its tests hold it against the other
        assert calls, function.name
        for call in calls:
            arguments = [tensor.shape for tensor in trace.calls[call].arguments.values()]
            if not arrow:
                seen += check_sections(trace, call, doc, known)
                continue
            expected = [
                shape_of(symbols, known)
                for times, symbols in re.findall(rf"(twice )?{SHAPE}", given)
                for _ in range(2 if times else 1)
            ]
            assert [tuple(shape) for shape in arguments] == expected, function.name
            same = result.strip().startswith("the same")
            after = expected[0] if same else shape_of(re.search(SHAPE, result)[1], known)
            assert returned(trace, call) == after
            seen += 1
    assert seen > 5


def check_sections(trace: Trace, call: int, doc: str, known: dict[str, int]) -> int:
    """Hold what Args and Returns tell against a call; return how many shapes that were."""
    head, _, tail = doc.partition("Returns:")
    told = re.findall(rf"(\w+): [^\n]*?{SHAPE}", head)
    for name, symbols in told:
        assert trace.calls[call].arguments[name].shape == shape_of(symbols, known), name
    [result] = re.findall(SHAPE, tail)
    assert returned(trace, call, "return[0]") == shape_of(result, known)
    assert len(told) == 2
    return len(told) + 1


def test_the_legend_names_every_symbol_that_is_used(traced):
    model, trace = traced
    legend = ast.get_docstring(ast.parse(Path(file_of(trace)).read_text(encoding="utf-8")))
    told = set(re.findall(r"(?:^|\s)([A-Z]) [a-z]", legend[legend.index("Shapes:") :]))
    symbols = {
        symbol for found in GLOSSARY[model].values() for symbol in re.findall("[A-Z]", found.shape)
    }
    assert symbols <= told
