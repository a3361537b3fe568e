"""What if, in words."""

from contextlib import nullcontext

import pytest
import torch

from playattention.errors import UserError
from playattention.models import build_model
from playattention.playground.changes import FORMS, parse
from playattention.xray import whatif
from playattention.xray.patching import replace_attention
from tests.xray.conftest import CONFIGS, SIZES

IDX = torch.tensor([[3, 1, 4, 1, 5]])

SAME = {
    "ablate:1.2": lambda m: whatif.ablate_heads(m, [(1, 2)]),
    "ablate-mean:0.1": lambda m: whatif.ablate_heads(m, [(0, 1)], "mean", IDX),
    "ablate-ff:1": lambda m: whatif.ablate_feed_forward(m, [1]),
    "ablate-ff-mean:0": lambda m: whatif.ablate_feed_forward(m, [0], "mean", IDX),
    "no-mask": whatif.no_causal_mask,
    "no-mask:1": lambda m: whatif.no_causal_mask(m, [1]),
    "no-scale": whatif.no_scale,
    "no-scale:0": lambda m: whatif.no_scale(m, [0]),
    "scale:2.5": lambda m: whatif.attention_scale(m, 2.5),
    "scale:1e-3@1": lambda m: whatif.attention_scale(m, 1e-3, [1]),
    "no-positions": whatif.no_positions,
    "no-residual:0.attention": lambda m: whatif.no_residual(m, 0, "attention"),
    "no-residual:1.feed_forward": lambda m: whatif.no_residual(m, 1, "feed_forward"),
    "look:1.0.3=0.5,0,0.5": lambda m: replace_attention(m, 1, 0, 3, [0.5, 0, 0.5]),
}


@pytest.fixture(params=CONFIGS)
def model(request):
    """A model of each kind with weights large enough to matter."""
    torch.manual_seed(0)
    built = build_model(CONFIGS[request.param](**SIZES)).eval()
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return built


def logits(model, context):
    """Return what a changed model says."""
    with torch.no_grad(), context:
        return model(IDX)[0]


@pytest.mark.parametrize("word", SAME)
def test_a_word_is_the_change_of_x_ray(word, model):
    changed = logits(model, parse(word).made(model, IDX))
    assert torch.equal(changed, logits(model, SAME[word](model)))
    plain = logits(model, nullcontext())
    assert not torch.equal(changed, plain)
    assert torch.equal(plain, logits(model, parse("").made(model, IDX)))


def test_every_form_is_tried_here():
    names = {form.partition(":")[0] for form in FORMS}
    assert names == {word.partition(":")[0] for word in SAME}


def test_several_words_act_together_in_their_order(model):
    changes = parse("  no-mask   ablate:0.1\tscale:2 ")
    assert changes.text == "no-mask ablate:0.1 scale:2"
    with whatif.no_causal_mask(model), whatif.ablate_heads(model, [(0, 1)]):
        expected = logits(model, whatif.attention_scale(model, 2))
    assert torch.equal(logits(model, changes.made(model, IDX)), expected)


def test_swaps_are_of_the_text():
    changes = parse("swap:0.2 swap:1.4")
    assert changes.tokens(IDX).tolist() == [[4, 5, 3, 1, 1]]
    assert changes.enters == ()
    with pytest.raises(UserError, match="second = 9"):
        parse("swap:0.9").tokens(IDX)


@pytest.mark.parametrize(
    "word",
    ["ablat:0.1", "ablate", "ablate:0", "ablate:0.1.2", "ablate:-1.0", "scale:", "scale:inf",
     "scale:nan", "scale:1_0", "look:0.0.0=", "look:0.0.0=1,,2", "no-residual:0.x", "swap:1",
     "no-mask:", "no-mask:0.1", "import os", "__import__('os')", "ablate:٣.0"],
)  # fmt: skip
def test_what_is_no_change_is_refused_with_what_is(word):
    with pytest.raises(UserError, match="unknown change") as refused:
        parse(word)
    assert "ablate:L.H" in str(refused.value)


def test_so_many_words_are_refused():
    with pytest.raises(UserError, match="65 words"):
        parse("no-mask " * 65)
