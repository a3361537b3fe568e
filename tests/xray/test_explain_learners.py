"""Explain on models as learners write and change them, and where it does not know."""

import math
import textwrap

import pytest
import torch
from torch import nn

from playattention import xray
from playattention.xray.explain import explain, explain_value
from tests.xray import own_model
from tests.xray.test_explain import cells, check, check_operand, close, explanations, largest, roles
from tests.xray.test_learners_models import GATED, LINE_ADDED, edited


@pytest.fixture(scope="module")
def own_trace() -> xray.Trace:
    """A learner's own model, watched."""
    torch.manual_seed(0)
    idx = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    targets = torch.tensor([[1, 4, 1, 5, -100], [2, 6, 5, 3, 10]])
    return xray.watch(own_model.Own().eval(), idx, targets)


def test_every_number_of_a_learners_own_model_is_explained(own_trace):
    for value, found in explanations(own_trace):
        assert found.result is not None, found
        operands = [one.number for one in found.operands if math.isfinite(one.number)]
        # Where a sum cancels, the float32 rounding of its terms is all that is left.
        bound = 1e-5 * largest(value.tensor) + 1e-6 * max(map(abs, operands), default=0.0)
        assert close(found.result, found.number, bound), found
        for operand in found.operands:
            check_operand(own_trace, operand)


def test_a_part_of_an_expression_has_an_explanation_of_its_own(own_trace):
    found = explain(own_trace, "layers.1", "h", (1, 2, 30))
    [part] = found.operands
    assert (found.operation, part.name, part.kind) == (
        "square",
        "F.relu(self.mlp[0](x))",
        "expression",
    )
    inner = part.explanation
    assert (inner.operation, inner.index) == ("relu", (1, 2, 30))
    assert inner.result**2 == found.result
    product = inner.operands[0].explanation
    assert product.operation == "dot product and bias"
    assert len(product.operands) == 1 + 2 * 12
    assert {operand.path for operand in product.operands} == {
        "layers.1.mlp.0.weight",
        "layers.1.mlp.0.bias",
        "layers.1:x#1",
    }


def test_a_number_passed_by_name_is_found_in_the_caller(own_trace):
    """`layer(x, depth=i)`, in a loop over i."""
    values = [value for value in own_trace if value.source.startswith("x = x + self.scale")]
    for depth, value in enumerate(values):
        found = explain_value(own_trace, value, (0, 0, 0))
        outer = found.operands[0].explanation.operands[1].explanation
        assert [part.name for part in outer.operands] == ["self.scale * self.mlp(x)", "depth + 1"]
        assert outer.operands[1].number == depth + 1


def variants(*changes: tuple[str, str]):
    """Return an id and changes of GPT's file."""
    return changes


@pytest.mark.parametrize(
    "changes",
    [
        variants(LINE_ADDED),
        variants(("scaled", "quieter"), ("hidden", "wide")),
        variants(
            GATED,
            (
                "        self.expand = nn.Linear(",
                "        self.gate = nn.Sequential(nn.Linear(config.n_embd, config.n_embd), "
                "nn.SiLU())\n        self.expand = nn.Linear(",
            ),
        ),
        variants(
            ("return x_attended + computed", "x_attended += computed\n        return x_attended")
        ),
        variants(("F.relu(hidden)", "F.relu(hidden).square()")),
        variants(("return self.dropout(contracted)", "return self.dropout(contracted) * 0.5")),
    ],
    ids=["line added", "renamed", "submodule", "in place", "nested", "half"],
)
def test_every_number_of_an_edited_model_is_explained(written, idx, targets, changes):
    trace = xray.watch(edited(written, *changes), idx, targets)
    for value, found in explanations(trace):
        assert found.result is not None, found
        assert close(found.result, found.number, 1e-5 * largest(value.tensor)), found


def test_a_helper_in_a_second_file_is_told_as_what_it_returned(written, idx):
    written("second", "def attend(weights, values):\n    return weights @ values\n")
    trace = xray.watch(
        edited(
            written,
            ("        mixed = dropped @ values", "        mixed = attend(dropped, values)"),
            ("import torch\n", "import torch\nfrom second import attend\n"),
        ),
        idx,
    )
    head = "blocks.1.attention.heads.2"
    found = explain(trace, head, "mixed", (1, 3, 2))
    assert (found.operation, found.operands[0].path) == ("what attend returned", f"{head}:return")
    inner = explain(trace, head, "return", (1, 3, 2), 0)
    assert inner.operation == "dot product"
    assert inner.operands[0].name == "weights"
    assert inner.operands[0].path in (f"{head}:dropped", f"{head}:weights")
    check(trace)


def own(written, body: str) -> xray.Trace:
    """Return the trace of a model whose forward has this body."""
    head = (
        "import torch\nfrom torch import nn\n\nclass Own(nn.Module):\n    def forward(self, idx):\n"
    )
    text = head + textwrap.indent(body, "        ") + "\n"
    return xray.watch(written("own", text).Own().eval(), torch.tensor([[1, 2, 3], [4, 5, 6]]))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("y = torch.cummax(x, dim=1)[0]", "what cummax does"),
        ("y = torch.fft.fft(x).real", "what fft"),
        ("y = x + torch.rand(2, 3)", "what rand does"),
        ("y = x if {*range(3)} else -x", "a set is not followed"),
        ("y = x * float(sorted(x[0])[0])", "sorted, with what it is given here, is not followed"),
        ("y = x * (lambda one, two=2: two)(1)", "a lambda with other arguments"),
        ("y = x.float().bernoulli_(0.5)", "what bernoulli_ does"),
        ("y = torch.dropout(x, 0.5, True) + x", "dropout draws at random"),
        ("y = x.softmax(1, invented=3) if False else torch.special.i0(x)", "what"),
    ],
)
def test_an_operation_that_is_not_known_is_told_so(written, line, why):
    trace = own(written, f"x = idx.float()\n{line}\nreturn y")
    found = explain(trace, "", "y", (1, 2))
    assert (found.result, found.error) == (None, None)
    assert found.operation == line
    assert why in found.note
    assert [(operand.name, operand.number, operand.shape) for operand in found.operands] == [
        ("x", None, (2, 3))
    ]
    assert found.operands[0].path == ":x"
    assert f"not explained: {found.note}"[:60] in repr(found)
    assert found.as_dict()["result"] is None


def test_what_was_changed_from_outside_is_not_explained_away(gpt, idx):
    """A hook makes the value another than the source says: then nothing is invented."""

    def doubled(_module: nn.Module, _given: object, made: torch.Tensor) -> torch.Tensor:
        return made * 2

    gpt.head.register_forward_hook(doubled)
    trace = xray.watch(gpt, idx)
    found = explain(trace, "", "logits", (0, 0, 0))
    assert found.result is None
    assert found.operation == "changed from outside"
    assert found.note.startswith("a hook changed what head takes in or gives")


def test_what_was_not_kept_is_told(gpt, idx):
    trace = xray.watch(gpt, idx, modules="")
    assert explain(trace, "", "normed", (0, 0, 0)).result is not None
    found = explain(trace, "", "x", (0, 0, 0))
    assert found.result is None
    assert found.note == "what block returned was not kept"


@pytest.mark.parametrize(
    "body",
    [
        "x = idx.float()\nturns = 0\nwhile turns < 3:\n    x = x * 2\n    turns += 1\nreturn x",
        "for row in idx:\n    y = row * 2\nreturn y",
        "a, (b, *rest) = idx, (idx + 1, idx)\nc = d = a * b\nreturn [c, d]",
        "pair = {key: idx * 2 for key in ('a', 'b')}\ny = pair['b'] + 1\nreturn pair",
        "def inner(number):\n    return number * 3\ny = inner(idx)\nreturn y",
        "if idx.dim() == 2:\n    scale = 3\nelse:\n    scale = 4\ny = idx * scale\nreturn y",
        "self.kept = idx * 2\ny = self.kept + 1\nreturn y",
        "y: torch.Tensor = torch.where(idx > 2, idx, -idx)\nz = y.sum(dim=(0, 1)) / 2\nreturn z",
        "x = idx.float()\nk = max(x.sum(), x.mean()) + min(x[0, 0], x[1, 1], 3)\nreturn k",
        "x = idx - 2.5\ny = abs(x) + x.round() + len(x)\nreturn y",
        "x = idx.float()\ny = x / float(x.max()) if x.sum() > 3 and not (x < 0).any() else -x\n"
        "return y",
        "parts = {'a': idx * 2, 'b': [idx + 1]}\ny = parts['b'][0] * parts['a']\nreturn y",
        "st = {'a': idx}\nst['k'] = idx * 3\ny = st['k'] + st['a']\nreturn y",
        "out = [idx, idx * 2]\nout[1] = idx * 5\ny = out[0] + out[1]\nreturn y",
        "out = torch.zeros(2, 3)\nout[:, 1] = idx[:, 0] * 2\nout[0] += 7\nout[idx > 4] = -1\n"
        "y = out * 2\nreturn y",
        "acc = 0\nfor row in idx:\n    o = row * 2\n    acc = acc + o\ny = acc / 2\nreturn y",
        "acc = 0.5\nfor row in idx:\n    acc += row\nreturn acc",
        "acc = None\nfor row in idx:\n    acc = row if acc is None else acc + row\nreturn acc",
        "twice = lambda z: z * 2 + idx\ny = twice(idx) + (lambda a, b: a - b)(idx, 1)\nreturn y",
        "x = idx - 2.5\nF = torch.nn.functional\ny = F.leaky_relu(x, 0.2) + F.elu(x)\nreturn y",
        "x = idx.float()\nvalues, places = x.max(-1)\ny = x.min(dim=0).values * 2 + x.amin(0)\n"
        "both = x.max(1)\nz = both.values + both[1]\nreturn z",
        "x = idx.float()\ny = x.cumsum(dim=1) + torch.lerp(x, -x, 0.25)\nreturn y",
        "y = idx * 2; z = y + 1; return z",
        "s = idx * 1.0; s.mul_(3); return s",
        "x = idx.float()\ns = x @ x.T\nmask = torch.eye(2)\n"
        "s.masked_fill_(mask == 0, float('-inf'))\nw = s.softmax(-1)\nreturn w",
        "x = idx.float()\nx.mul_(2)\ny = x * 1\nx[:, 0].fill_(9)\ntorch.relu_(x)\nx.copy_(y)\n"
        "x.sub_(1).clamp_(0, 3)\nreturn x",
        "x = idx - 2.5\ntorch.nn.functional.relu(x, inplace=True)\nreturn x",
        "y = (idx > 2) & ~(idx == 5) | (idx < 1)\nreturn y.long()",
    ],
)
def test_pythons_other_ways_to_write_are_followed(written, body):
    trace = own(written, body)
    for value in trace:
        for cell in cells(value):
            found = explain_value(trace, value, cell)
            assert found.result is not None, found
            assert found.result == pytest.approx(float(value.tensor[cell])), found


def test_a_change_in_place_is_explained_from_what_was_there_before(written):
    trace = own(written, "x = idx.float()\nx.mul_(2)\ny = x\nreturn y")
    found = explain(trace, "", "x", (1, 2))
    assert (found.operation, roles(found)) == ("product", {"left": [6.0], "right": [2.0]})
    assert found.operands[0].path == ":x"
    after = explain(trace, "", "y", (1, 2))
    assert (after.operands[0].path, after.operands[0].number) == (":x#1", 12.0)


def test_a_change_under_another_name_is_told_so(written):
    trace = own(written, "x = idx.float()\ny = x\nx.add_(y)\nz = y * 1\nreturn z")
    found = explain(trace, "", "y", (1, 2))
    assert found.note == "it was changed in place under another name"
    assert explain(trace, "", "z", (1, 2)).result == 12.0


def test_a_property_is_told_as_what_it_returned(written, idx):
    learner = written(
        "own",
        """
        import torch
        from torch import nn

        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                self.emb = nn.Embedding(11, 4)
                self.w = nn.Parameter(torch.ones(4))

            @property
            def w2(self):
                return self.w * 2

            def forward(self, idx):
                y = self.emb(idx) * self.w2
                return y
        """,
    )
    trace = xray.watch(learner.Own(), idx)
    found = explain(trace, "", "y", (0, 1, 2))
    assert found.operation == "product"
    assert [one.path for one in found.operands] == [None, ":return"]
    assert "return[2]" in repr(found)


def test_what_is_no_number_is_told_in_words(written):
    """A class of numbers of its own, as a learner may write one."""
    trace = own(
        written,
        "class Two:\n    def __rmul__(self, other):\n        return other * 2\n"
        "y = idx * Two()\nreturn y",
    )
    found = explain(trace, "", "y", (0, 0))
    assert found.result is None
    assert not any(name in found.note for name in ("Leaf", "Own(", "Computed", "Method("))


def test_a_loops_counter_is_not_guessed(written):
    trace = own(
        written,
        "x = idx\nturns = 0\nwhile turns < 3:\n    x = x * turns\n    turns += 1\nreturn x",
    )
    found = explain(trace, "", "x", (0, 0), 2)
    assert (found.result, found.note) == (None, "what turns was in this round of the loop")
