"""What a learner is told: four parts in plain words, with the line, the index and the numbers."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from playattention.course import check, exercise
from playattention.course.calls import described
from playattention.course.child import Check, Job
from playattention.course.judge import Difference, judge, load
from playattention.course.messages import Message
from playattention.course.wording import _of_difference, picture, side_by_side
from playattention.errors import UserError

NAME = "causal_mask"
FILE = "e06_causal_mask.py"
HEAD = "def causal_softmax(scores):\n"


@pytest.fixture
def outcome(own_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """What the checking process finds in a file: here in this process, as these do no harm."""

    def found(source: str) -> dict:
        Path(FILE).write_text(source)
        job = Job(NAME, FILE, str(own_folder), str(own_folder), 9, 2**30)
        one = Check(job)
        one._check()
        for stream in (one._result, one._crash, one._late):
            stream.close()
        monkeypatch.delitem(sys.modules, FILE.removesuffix(".py"), raising=False)
        return json.loads(Path("result.jsonl").read_text().splitlines()[-1])

    return found


def parts(found: dict) -> str:
    """Return a message in one line."""
    return " ".join(Message.from_state(found["message"]).text.split())


FILES = {
    # Name: (file, what is told, the line that is named, or None).
    "syntax error": ("import torch\ndef causal_softmax(scores)\n", "expected ':'", 2),
    "wrong indent": (HEAD + "return scores\n", "expected an indented block", 2),
    "zero byte": ("a = '\0'\n", "null bytes", None),
    "missing import": (
        "import numppy\n",
        "numppy, which is not installed here. Did you mean nu",
        1,
    ),
    "calls itself": (HEAD + "    return causal_softmax(scores)\n", "calls itself without end", 2),
    "stops while it is read": (
        "import torch\ntorch.nothing\n",
        "stops while Python reads it: A",
        2,
    ),
    "raises": (HEAD + "    return scores + undefined\n", "NameError: name 'undefined'", 2),
    "is not written yet": (None, "causal_softmax is not written yet.", 25),
    "has another name": (
        "\ndef casual_softmax(scores):\n    0\n",
        "Did you mean causal_softmax?",
        2,
    ),
    "has other names": ("def f():\n    0\n", "It also defines: f (line 1).", None),
    "is no function": ("causal_softmax = 3\n", "causal_softmax is 3; it must be a function.", None),
    "is empty": ("", "no function called causal_softmax.", None),
    "returns nothing": (HEAD + "    scores.softmax(-1)\n", "None: is a `return` missing?", None),
    "returns a list": (
        HEAD + "    return scores.tolist()\n",
        "returned a list of 2. Right is",
        None,
    ),
    "other shape": (HEAD + "    return scores[0]\n", "[3, 4, 4]; right is [2, 3, 4, 4].", None),
    "too few arguments": ("def causal_softmax():\n    0\n", "takes 0 positional arguments", None),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_right_is_told_why(name: str, outcome):
    source, told, line = FILES[name]
    found = outcome(exercise(NAME).stub if source is None else source)
    assert not found["passed"]
    assert told in parts(found)
    assert line is None or f"{FILE}, line {line}" in parts(found)


def test_an_error_of_the_learners_names_the_call_and_the_line_itself(outcome):
    source = "import torch\n" + HEAD + "    half = scores[0]\n    return half @ torch.ones(9)\n"
    found = outcome(source)
    assert found["message"]["observed"].startswith("causal_softmax stops with an error")
    assert f"{FILE}, line 4:\n    return half @ torch.ones(9)" in found["message"]["evidence"]
    assert "called with scores of shape (2, 3, 4, 4)" in found["message"]["evidence"]


def test_an_error_in_a_file_beside_names_that_file(outcome):
    Path("helper.py").write_text("def help(x):\n    return x.nothing\n")
    sys.path.append(".")
    try:
        found = outcome(f"from helper import help\n{HEAD}    return help(scores)\n")
    finally:
        sys.path.remove(".")
        del sys.modules["helper"]
    assert "helper.py, line 2" in found["message"]["evidence"]


def test_a_number_that_differs_is_told_with_its_index_and_both_matrices(outcome, solution: str):
    found = outcome(solution.replace("tril(Tk - Tq)", "tril()"))
    evidence = found["message"]["evidence"]
    assert evidence.startswith("At [0, 0, 0] it is 1; right is 0.0257659. 27 of 30 numbers differ.")
    assert re.search(r"\n +yours\[0, :, :\] +right\n +1.000 0.000 .* 0.026 0.179", evidence)


def test_a_cause_is_told_only_where_it_is_known(outcome, solution: str):
    named = outcome(solution.replace("tril(Tk - Tq)", "tril()"))
    assert named["message"]["cause"].startswith("Aligned at the top left. ")
    unknown = outcome(HEAD + "    return scores\n")
    assert unknown["message"]["cause"] == ""
    assert "Cause" not in Message.from_state(unknown["message"]).text
    assert unknown["message"]["read"] == exercise(NAME).read


@pytest.mark.parametrize(("terminal", "width"), [(60, 60), (80, 80), (200, 96), (None, 96)])
def test_four_parts_have_their_labels_and_fit_the_terminal(
    terminal: int | None, width: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("COLUMNS", raising=False)
    if terminal is not None:
        monkeypatch.setenv("COLUMNS", str(terminal))
    text = Message("seen " * 40, "numbers\n    kept as it is", "why", "docs/x.md#y").text
    assert [line.split()[0] for line in text.splitlines() if line[0] != " "] == [
        "Observed",
        "Evidence",
        "Cause",
        "Read",
    ]
    assert width - 5 <= max(map(len, text.splitlines())) <= width
    assert "\n              kept as it is\n" in text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (torch.zeros(2, 3), "a tensor of shape (2, 3)"),
        (torch.zeros(2, dtype=torch.long), "a tensor of int64 of shape (2,)"),
        (None, "None"),
        ((torch.zeros(1), None), "a tuple of 2: a tensor of shape (1,), None"),
        ([[1]], "a list of 1"),
        ([], "an empty list"),
        ({"a": 1}, "a dict of 1"),
        (torch.nn.Linear(1, 1), "a Linear"),
        (0.1 + 0.2, "0.3"),
        (iter([1]), "a list_iterator"),
        ("x" * 99, "'" + "x" * 55 + " ..."),
    ],
)
def test_a_value_is_described_in_a_few_words(value: object, told: str):
    assert described(value) == told


def test_a_large_matrix_is_cut_around_the_difference():
    got = torch.zeros(3, 40, 50)
    text = side_by_side(got, got + 1, (2, 20, 30)).splitlines()
    assert text[0].split() == ["yours[2,", "16:24,", "28:33]", "right"]
    assert len(text) == 9


def test_matrices_side_by_side_fit_a_terminal_of_80_columns_behind_their_label():
    got = torch.full((8, 8), -123.4567)
    assert max(map(len, side_by_side(got, got, (0, 0)).splitlines())) <= 70


def test_texts_that_differ_are_told_from_where_they_part():
    texts = "to be or not to be", "to be or note to be"
    told = _of_difference(Difference("[1]", *texts))
    assert told.startswith("At [1] it gives ... ' be or not to be'; right is ... ' be or note to")
    assert told.endswith("(they part at character 12).")


def test_pictures_are_small_and_carry_what_json_has_no_number_for(solution: str):
    found = exercise(NAME)
    verdict = judge(found, load(solution.replace("tril(Tk - Tq)", "tril(Tk - Tq - 1)"), "own"))
    drawn = json.loads(json.dumps(picture(verdict), allow_nan=False))
    assert drawn["got"]["values"][0][0] == "NaN"
    large = torch.zeros(2, 500, 500)
    difference = Difference("[1, 0, 0]", 0, 1, (large, large + 1), (1, 0, 0), 1)
    drawn = picture(type(verdict)(False, 0, difference=difference))
    assert (len(drawn["got"]["values"]), len(drawn["got"]["values"][0])) == (64, 64)
    assert drawn["got"]["shape"] == [2, 500, 500]


# In a notebook.


def test_a_notebook_is_told_the_same_and_gets_the_verdict(capsys):
    def mine(scores):
        return scores.softmax(dim=-1)

    verdict = check(NAME, mine)
    told = capsys.readouterr().out
    assert [one.name for one in verdict.mistakes] == ["no mask"]
    assert "Cause     No mask. " in told
    assert "in this process" in told


def test_a_notebooks_right_function_passes(capsys):
    verdict = check(NAME, causal_softmax=load(exercise(NAME).solution, "own").causal_softmax)
    assert verdict.passed
    held = len(exercise(NAME).probes)
    told = capsys.readouterr().out
    assert told.startswith(f"causal_mask: right; all {held} properties hold (")


def test_a_notebooks_error_names_its_line(capsys):
    check(NAME, lambda scores: scores.nothing)
    assert re.search(r"at test_messages.py, line \d+", capsys.readouterr().out)


def test_a_notebook_that_names_what_is_not_there_is_told():
    with pytest.raises(UserError, match=r"unknown exercise 'causal_msk' \(did you mean 'causal_m"):
        check("causal_msk", len)
    with pytest.raises(UserError, match="also asks for causal_softmax"):
        check(NAME)
    with pytest.raises(UserError, match="unknown part of causal_mask 'other'"):
        check(NAME, other=len)
    with pytest.raises(UserError, match="must be a function or a class"):
        check(NAME, 3)
    with pytest.raises(UserError, match="ends the program"):
        check(NAME, lambda _: sys.exit(0))
