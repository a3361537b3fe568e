"""Models as learners write and change them, watched with no change anywhere else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from playattention import xray
from playattention.config import GPTConfig
from playattention.errors import UserError
from playattention.models import model_gpt
from tests.xray.conftest import SIZES

CELL = """\
from torch import nn

class Own(nn.Module):
    def forward(self, idx):
        a = idx * 2
        return a
"""


def forward(written, body: str, extra: str = "", name: str = "own", train: bool = False):
    """Write a model whose forward has this body, watch it, return the names and numbers."""
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    text = (
        "import torch\nfrom torch import nn\n\n"
        f"{extra}\n\nclass Own(nn.Module):\n    def forward(self, idx):\n{lines}\n"
    )
    model = written(name, text).Own()
    trace = xray.watch(model.train(train), torch.tensor([[1, 2, 3]]))
    return [(value.name, value.tensor.tolist()) for value in trace], trace


def named(seen: list, name: str) -> list:
    """Return the numbers bound to a name, in their order."""
    return [numbers for other, numbers in seen if other == name]


def test_a_loop_on_one_line_is_seen_at_each_turn(written):
    seen, _ = forward(written, "x = idx[0, 0]\nfor step in (1, 2, 3): x = x + step\nreturn x")
    assert named(seen, "x") == [1, 2, 4, 7]
    assert named(seen, "return") == [7]


def test_the_body_of_a_while_loop_is_seen_at_each_turn(written):
    seen, _ = forward(
        written,
        "x = idx[0, 0]\nturns = 0\nwhile True:\n    x = (\n        x\n        * 2\n    )\n"
        "    turns += 1\n    if turns == 3:\n        break\nreturn x",
    )
    assert named(seen, "x") == [1, 2, 4, 8]


def test_a_tensor_that_a_loop_runs_over_is_seen(written):
    seen, trace = forward(written, "for row in idx[0]:\n    y = row * 2\nreturn y")
    assert named(seen, "row") == [1, 2, 3]
    assert named(seen, "y") == [2, 4, 6]
    assert trace.find(name="row")[0].source == "for row in idx[0]:"


def test_a_statement_over_several_lines_is_seen_once_with_its_whole_text(written):
    seen, trace = forward(
        written,
        "total = (\n    idx\n    .float()  # as numbers\n    .sum(\n        dim=-1,\n    )\n)\n"
        "return total",
    )
    assert named(seen, "total") == [[6.0]]
    value = trace.find(name="total")[0]
    assert value.source.startswith("total = (\n    idx\n")
    assert value.source.endswith(")")
    assert [line.number for line in trace.lines("").lines if line.values] == [
        value.line + 6,
        value.line + 7,
    ]


def test_a_comprehension_gives_its_elements_one_by_one(written):
    """Its own variable is its own, even where it is called as an assigned one (Python 3.12)."""
    seen, _ = forward(
        written,
        "x = [x * 2 for x in idx[0]]\ny = torch.stack([part + 1 for part in x])\n"
        "pair = {key: x[0] for key in ('a', 'b')}\nreturn y",
    )
    assert [name for name, _ in seen] == [
        *("x[0]", "x[1]", "x[2]", "y", "pair['a']", "pair['b']", "return")
    ]
    assert named(seen, "x[2]") == [6]


def test_a_walrus_in_a_comprehension_is_seen_at_each_turn(written):
    seen, _ = forward(
        written, "last = idx[0, 0]\nall_ = [last := last + step for step in (1, 2)]\nreturn last"
    )
    assert named(seen, "last") == [1, 2, 4]
    assert [numbers for name, numbers in seen if name.startswith("all_")] == [2, 4]


def test_the_same_object_bound_again_is_seen_again(written):
    seen, trace = forward(written, "a = idx + 1\nb = a\na = b\nc = d = a\nreturn d")
    assert [name for name, _ in seen] == ["a", "b", "a", "c", "d", "return"]
    assert [value.occurrence for value in trace.find(name="a")] == [0, 1]


def test_unpacking_is_seen_name_by_name(written):
    seen, _ = forward(
        written,
        "first, (second, *rest), _ = idx[0, 0], idx[0], None\nswapped = (second, first)\n"
        "first, second = swapped\nreturn first, [second]",
    )
    assert named(seen, "first") == [1, 1]
    assert named(seen, "second") == [1, 1]
    assert named(seen, "rest[1]") == [3]
    assert [name for name, _ in seen][-2:] == ["return[0]", "return[1][0]"]


def test_attributes_and_items_are_seen(written):
    seen, _ = forward(
        written,
        "self.kept = idx * 2\nout = torch.zeros(3)\nout[1] = 5\nout[2] += 7\n"
        "typed: torch.Tensor = out * 1\nreturn typed",
    )
    assert named(seen, "self.kept") == [[[2, 4, 6]]]
    assert named(seen, "out") == [[0, 0, 0], [0, 5, 0], [0, 5, 7]]
    assert named(seen, "typed") == [[0, 5, 7]]


def test_a_change_in_place_does_not_falsify_what_was_shown(written):
    seen, _ = forward(
        written,
        "x = idx.float()\nscores = x * 2\nmasked = scores.masked_fill_(x > 1, 0.0)\nx += 1\n"
        "relu = torch.relu_(x - 3)\nreturn x",
    )
    assert named(seen, "scores") == [[[2.0, 4.0, 6.0]]]
    assert named(seen, "masked") == [[[2.0, 0.0, 0.0]]]
    assert named(seen, "x") == [[[1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0]]]


@pytest.mark.parametrize(
    ("statement", "name", "numbers"),
    [
        ("s.mul_(2)", "s", [[2.0, 4.0, 6.0]]),
        ("s.masked_fill_(s > 1, 0.0)", "s", [[1.0, 0.0, 0.0]]),
        ("(\n    s\n    .mul_(2)\n    .add_(1)\n)", "s", [[3.0, 5.0, 7.0]]),
        ("s[:, 0].fill_(9)", "s", [[9.0, 2.0, 3.0]]),
        ("torch.square_(s)", "s", [[1.0, 4.0, 9.0]]),
        ("self.kept.sub_(1)", "self.kept", [[0.0, 1.0, 2.0]]),
        ("halve(s)", "s", [[0.5, 1.0, 1.5]]),
        ("[s][0].copy_(s * torch.stack([o for o in s])[0])", "s", [[1.0, 4.0, 9.0]]),
    ],
)
def test_what_a_bare_call_changed_in_place_is_bound_anew(written, statement, name, numbers):
    """Not what it only reads, and not before it is changed."""
    body = f"s = idx.float()\no = s * 1\nself.kept = s\no.sum()\nprint(o)\n{statement}\nreturn o"
    seen, trace = forward(written, body, extra="def halve(one):\n    one.div_(2)\n")
    first, *again = named(seen, name)
    assert first == [[1.0, 2.0, 3.0]]
    assert again == [numbers]
    assert len(named(seen, "o")) == 1
    assert trace.one("", name, 1).source == statement


def test_a_change_in_place_is_seen_at_each_turn(written):
    seen, _ = forward(written, "x = idx.float(); x.add_(1)\nfor i in (1, 2): x.mul_(i)\nreturn x")
    assert [numbers[0][0] for numbers in named(seen, "x")] == [1.0, 2.0, 2.0, 4.0]


def test_a_property_is_not_run_to_look_at_it(written):
    model = written(
        "own",
        """
        import torch
        from torch import nn

        class Own(nn.Module):
            ran = 0

            @property
            def ones(self):
                self.ran += 1
                return torch.ones(1)

            def forward(self, idx):
                x = idx.float()
                x.add_(self.ones)
                return x
        """,
    ).Own()
    trace = xray.watch(model, torch.tensor([[1]]))
    assert model.ran == 2  # a run, and another for the copies
    assert [value.tensor.item() for value in trace.find(name="x")] == [1.0, 2.0]


def test_a_model_run_twice_for_its_changes_in_place_draws_the_same_dropout(written):
    body = "x = torch.dropout(idx.float(), 0.5, True)\ny = x * 1\ny += x\nreturn y"
    torch.manual_seed(3)
    seen, _ = forward(written, body)
    after = torch.rand(1)
    torch.manual_seed(3)
    x = torch.dropout(torch.tensor([[1.0, 2.0, 3.0]]), 0.5, True)
    assert named(seen, "x") == [x.tolist()]
    assert named(seen, "return") == [(2 * x).tolist()]
    assert torch.equal(after, torch.rand(1))


def test_helper_functions_closures_and_lambdas_are_seen(written):
    written("helpers", "def double(number):\n    doubled = number * 2\n    return doubled\n")
    seen, trace = forward(
        written,
        "def inner(number):\n    tripled = number * 3\n    return tripled\n"
        "a = double(idx)\nb = inner(a)\nc = (lambda number: number + 1)(b)\nreturn c",
        extra="from helpers import double",
    )
    assert [name for name, _ in seen] == [
        *("doubled", "return", "a", "tripled", "return", "b", "c", "return")
    ]
    double = trace.find(name="doubled")[0]
    assert (double.module, double.function) == ("", "double")
    assert double.file.endswith("helpers.py")


def test_values_inside_with_and_try_are_seen(written):
    seen, _ = forward(
        written,
        "with torch.no_grad() as nothing:\n    a = idx + 1\n    try:\n        b = a / 0\n"
        "        raise ValueError\n    except ValueError as error:\n        c = b * 2\n"
        "    finally:\n        d = a * 2\n    return d",
    )
    assert [name for name, _ in seen] == ["a", "b", "c", "d", "return"]


def test_a_statement_that_raises_binds_nothing(written):
    seen, _ = forward(
        written,
        "a = idx\ntry:\n    a = idx.reshape(7)\nexcept RuntimeError:\n    pass\nreturn a",
    )
    assert [name for name, _ in seen] == ["a", "return"]


def test_a_generator_is_seen_as_it_goes_on(written):
    seen, trace = forward(
        written,
        "total = idx[0, 0]\nfor part in halves(idx[0]):\n    total = total + part\nreturn total",
        extra="def halves(row):\n    for number in row:\n        half = number * 10\n"
        "        yield half\n",
    )
    assert [name for name, _ in seen][:4] == ["total", "number", "half", "part"]
    assert named(seen, "total") == [1, 11, 31, 61]
    assert [call.function for call in trace.calls] == ["forward", "halves"]


def test_a_decorated_forward_is_seen(written):
    learner = written(
        "decorated",
        """
        import functools
        import torch
        from torch import nn

        def loud(function):
            @functools.wraps(function)
            def wrapper(*args):
                return function(*args)
            return wrapper

        class Own(nn.Module):
            @loud
            @torch.no_grad()
            def forward(self, idx):
                doubled = idx * 2
                return doubled
        """,
    )
    trace = xray.watch(learner.Own(), torch.tensor([[1, 2]]))
    assert trace.find(name="doubled")[0].tensor.tolist() == [[2, 4]]


LINE_ADDED = (
    "        mixed = dropped @ values",
    "        sharper = dropped**2\n        mixed = sharper @ values",
)
GATED = (
    "        return self.dropout(contracted)",
    "        gated = self.gate(contracted)\n        return self.dropout(gated)",
)


def edited(written, *changes: tuple[str, str]) -> torch.nn.Module:
    """Return GPT from a learner's own, changed copy of its file."""
    text = Path(model_gpt.__file__).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    torch.manual_seed(0)
    return written("mine", text).GPTModel(GPTConfig(**SIZES)).eval()


def test_a_line_added_is_shown(written, idx):
    trace = xray.watch(edited(written, LINE_ADDED), idx)
    head = "blocks.1.attention.heads.2"
    sharper = trace.one(head, "sharper")
    assert torch.equal(sharper.tensor, trace.one(head, "weights").tensor ** 2)
    assert sharper.source == "sharper = dropped**2"


def test_a_variable_renamed_is_shown(written, idx):
    trace = xray.watch(edited(written, ("scaled", "quieter")), idx)
    assert len(trace.find(name="quieter")) == 6
    with pytest.raises(UserError, match="unknown value 'scaled'"):
        trace.find(name="scaled")


def test_a_new_submodule_is_shown(written, idx):
    gate = (
        "        self.expand = nn.Linear(",
        "        self.gate = Gate()\n        self.expand = nn.Linear(",
    )
    cls = (
        "class FeedForward(nn.Module):",
        "class Gate(nn.Module):\n    def forward(self, x):\n        opened = x.sigmoid()\n"
        "        return opened * x\n\n\nclass FeedForward(nn.Module):",
    )
    trace = xray.watch(edited(written, GATED, gate, cls), idx)
    assert trace.find("blocks.0.feed_forward.gate", "opened")
    assert trace.parts["blocks.0.feed_forward.gate"].kind == "mine.Gate"


def test_a_second_file_is_shown(written, idx):
    written(
        "second",
        "def attend(weights, values):\n    blended = weights @ values\n    return blended\n",
    )
    trace = xray.watch(
        edited(
            written,
            ("        mixed = dropped @ values", "        mixed = attend(dropped, values)"),
            ("import torch\n", "import torch\nfrom second import attend\n"),
        ),
        idx,
    )  # fmt: skip
    blended = trace.find("blocks.0.attention.heads.0", "blended")[0]
    assert blended.file.endswith("second.py")
    assert torch.equal(blended.tensor, trace.one("blocks.0.attention.heads.0", "mixed").tensor)


def test_a_subclass_is_shown_with_its_base(written, idx):
    learner = written(
        "subclass",
        """
        from playattention.models.model_gpt import GPTModel

        class Cooler(GPTModel):
            def forward(self, idx, targets=None, cache=None):
                logits, loss = super().forward(idx, targets, cache)
                cooled = logits / 2
                return cooled, loss
        """,
    )
    trace = xray.watch(learner.Cooler(GPTConfig(**SIZES)).eval(), idx)
    assert torch.equal(trace.one("", "cooled").tensor, trace.one("", "logits").tensor / 2)
    assert len(trace.find(name="weights")) == 6
    assert len({value.file for value in trace.find(module="")}) == 2


def test_a_forward_given_by_hand_is_shown(written, gpt, idx):
    learner = written("by_hand", "def forward(self, x):\n    nothing = x * 0\n    return nothing\n")
    part = gpt.blocks[0].feed_forward
    part.forward = learner.forward.__get__(part)
    trace = xray.watch(gpt, idx)
    assert trace.one("blocks.0.feed_forward", "nothing").tensor.abs().sum() == 0


def test_hooks_are_no_part_of_the_model(written, gpt, idx):
    learner = written("hooks", "def look(module, given, made):\n    secret = made * 2\n")
    gpt.blocks[0].register_forward_hook(learner.look)
    assert "secret" not in {value.name for value in xray.watch(gpt, idx)}


def test_a_file_changed_since_it_was_imported_is_refused(written, tmp_path):
    model = written("stale", CELL).Own()
    (tmp_path / "stale.py").write_text("# a line more\n" + CELL, encoding="utf-8")
    with pytest.raises(UserError, match="changed since it was imported"):
        xray.watch(model, torch.tensor([[1]]))


def test_a_line_changed_since_it_was_imported_is_refused(written, tmp_path):
    model = written("stale", CELL).Own()
    (tmp_path / "stale.py").write_text(CELL.replace("* 2", "* 3"), encoding="utf-8")
    with pytest.raises(UserError, match="is no longer what ran"):
        xray.watch(model, torch.tensor([[1]]))


def test_a_class_typed_on_the_command_line_is_refused():
    line = f"{CELL}\nimport torch\nfrom playattention import xray\n"
    line += "xray.watch(Own(), torch.tensor([[1]]))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=False)
    if sys.version_info < (3, 13):  # later ones keep what was typed
        assert "its source can't be read" in done.stderr


def test_a_class_without_source_is_refused():
    space: dict = {"__name__": "typed"}
    exec(compile(CELL, "<typed>", "exec"), space)
    with pytest.raises(UserError, match="its source can't be read"):
        xray.watch(space["Own"](), torch.tensor([[1]]))


def test_a_class_of_a_notebooks_cell_is_watched():
    """IPython puts the text of a cell into linecache, under a name of its own."""
    import linecache

    name = "<ipython-input-3-0123456789ab>"
    linecache.cache[name] = (len(CELL), None, CELL.splitlines(keepends=True), name)
    space: dict = {"__name__": "__main__"}
    exec(compile(CELL, name, "exec"), space)
    assert xray.watch(space["Own"](), torch.tensor([[1]])).one("", "a").tensor.item() == 2
