"""What a user gets wrong is told in one line that names it, what it was and what is allowed."""

import math

import pytest
import torch

from playattention import xray
from playattention.errors import UserError
from tests.xray.conftest import small_model

BATCH = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
TARGETS = BATCH.roll(-1, 1)
NUMBERS = torch.zeros(2, 5, 12)


def entered(change):
    """Enter a what-if and leave it again."""
    with change:
        pass


def weights(model):
    return xray.watch(model, BATCH).one("blocks.0.attention.heads.1", "weights")


def step(model, rate):
    return xray.adamw_step(model, xray.backward(model, BATCH, TARGETS), rate=rate)


REFUSED = {
    "a row below 0": (
        lambda m: entered(xray.replace_attention(m, 0, 1, 2, [0.5, -0.5])),
        "row = a weight of -0.5: must be finite and not below 0",
    ),
    "a row that is no number": (
        lambda m: entered(xray.replace_attention(m, 0, 1, 2, torch.tensor([math.nan]))),
        "row = a weight of nan",
    ),
    "an infinite row": (
        lambda m: entered(xray.replace_attention(m, 0, 1, 2, [math.inf])),
        "row = a weight of inf",
    ),
    "a row of words": (
        lambda m: entered(xray.replace_attention(m, 0, 1, 2, "one")),
        "row = 'one': must be numbers",
    ),
    "no scale": (
        lambda m: entered(xray.attention_scale(m, math.nan)),
        "value = nan: must be a finite number",
    ),
    "a scale in words": (
        lambda m: entered(xray.attention_scale(m, "a")),
        "value = 'a': must be a finite number",
    ),
    "one layer": (
        lambda m: entered(xray.attention_scale(m, 1.0, 0)),
        "layers = 0: must be several, such as [0]",
    ),
    "one feed-forward": (
        lambda m: entered(xray.ablate_feed_forward(m, 1)),
        "layers = 1: must be several, such as [1]",
    ),
    "a layer too many": (
        lambda m: entered(xray.no_causal_mask(m, [2])),
        "layer = 2: must be a whole number from 0 to 1",
    ),
    "one head": (
        lambda m: entered(xray.ablate_heads(m, (1, 1))),
        "heads = (1, 1): must be pairs (layer, head), such as [(0, 1)]",
    ),
    "a number for heads": (lambda m: entered(xray.ablate_heads(m, 1)), "heads = 1: must be pairs"),
    "a list for a patch": (
        lambda m: entered(xray.patch(m, "blocks.0", [0.0])),
        "tensor = list: must be a torch.Tensor",
    ),
    "a number for a module": (
        lambda m: entered(xray.patch(m, 3, NUMBERS)),
        "where = int: must be a path",
    ),
    "a list for a head": (
        lambda m: entered(xray.patch_head(m, 0, 1, [0.0])),
        "tensor = list: must be a torch.Tensor",
    ),
    "ids in a list": (lambda m: xray.watch(m, [[1, 2]]), "idx = list: must be a torch.Tensor"),
    "ids of numpy": (
        lambda m: xray.watch(m, BATCH.numpy()),
        "idx = ndarray: must be a torch.Tensor of token ids (B, T)",
    ),
    "targets in a list": (
        lambda m: xray.watch(m, BATCH, [[1] * 5] * 2),
        "targets = list: must be a torch.Tensor",
    ),
    "targets with a fraction": (
        lambda m: xray.watch(m, BATCH, TARGETS.float()),
        "targets = torch.float32 of shape (2, 5): must be token ids",
    ),
    "targets beyond": (
        lambda m: xray.watch(m, BATCH, BATCH + 20),
        "targets = 29: must be 0 to 10, as vocab_size = 11, or -100 where none counts",
    ),
    "a way back from a list": (lambda m: xray.backward(m, [[1]], TARGETS), "idx = list"),
    "a lens on a list": (lambda m: xray.logit_lens(m, [[1]]), "idx = list"),
    "a ledger of a row": (lambda m: xray.ledger(m, BATCH[0], 0, 1), "idx = torch.int64 of shape"),
    "one row swapped": (
        lambda _: xray.swap_tokens(BATCH[0], 0, 1),
        "idx = torch.int64 of shape (5,): must be token ids (B, T)",
    ),
    "roles of one row": (
        lambda m: xray.head_roles(m, BATCH[0]),
        "text = torch.int64 of shape (5,): must be token ids (B, T)",
    ),
    "roles of words": (lambda m: xray.head_roles(m, "abc"), "text = str: must be token ids"),
    "across of a list": (lambda _: xray.across("nothing", [[1]]), "idx = list"),
    "a difference to a number": (
        lambda m: xray.difference(xray.watch(m, BATCH), 3),
        "second = int: must be a trace",
    ),
    "a number found": (lambda m: xray.watch(m, BATCH).find(3), "module = 3: must be a text"),
    "a number for a name": (
        lambda m: xray.watch(m, BATCH).find("", 3),
        "name = 3: must be a text",
    ),
    "a rate below 0": (lambda m: step(m, -1), "rate = -1: must be a learning rate, 0 or more"),
    "no rate": (lambda m: step(m, math.nan), "rate = nan: must be a learning rate"),
    "an option of no picture": (
        lambda m: xray.picture(weights(m), foo=1),
        "unknown option of the picture of a Value 'foo'",
    ),
    "an option where there is none": (
        lambda m: xray.picture(xray.ledger(m, BATCH[:1], 0, 1), last=3),
        "last: the picture of a Ledger takes no options",
    ),
    "one label for all tokens": (
        lambda m: xray.picture(weights(m), labels=["a"]),
        "labels = 1 texts: must be 5, one for each token",
    ),
    "labels of a trace": (
        lambda m: xray.picture(xray.watch(m, BATCH), labels=["a"] * 4),
        "labels = 4 texts: must be 5",
    ),
    "losses of nothing drawn": (
        lambda m: xray.picture(xray.losses(m, BATCH, torch.full_like(BATCH, -100))),
        "result = Losses: no target counts",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_told_in_one_line(case):
    wrong, told = REFUSED[case]
    with pytest.raises(UserError) as error:
        wrong(small_model("gpt"))
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


def test_losses_of_which_none_counts_are_printed_as_such(gpt):
    losses = xray.losses(gpt, BATCH, torch.full_like(BATCH, -100))
    assert repr(losses).splitlines()[-1] == "no target counts: all are -100"
    assert "nan" not in repr(losses)


def test_a_rate_of_0_changes_nothing(gpt):
    found = step(gpt, 0.0)
    assert torch.equal(found["head.weight"].new, gpt.head.weight)


def test_labels_may_name_the_rows_alone(gpt):
    value = xray.watch(gpt, BATCH).one("", "normed")
    axes = xray.picture(value, labels=[*"abcde"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [*"abcde"]
    assert "a" not in {label.get_text() for label in axes.get_xticklabels()}


def test_a_model_of_your_own_may_ignore_another_number(written, idx):
    """Below 0, what does not count is what its own loss says."""
    learner = written(
        "mine",
        """
        import torch.nn.functional as F
        from playattention.models.model_gpt import GPTModel

        class Mine(GPTModel):
            def forward(self, idx, targets=None, cache=None):
                logits, _ = super().forward(idx, None, cache)
                if targets is None:
                    return logits, None
                loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
                return logits, loss
        """,
    )
    model = learner.Mine(small_model("gpt").config)
    targets = idx.roll(-1, 1)
    targets[:, -1] = -1
    assert xray.watch(model, idx, targets).one("", "loss").tensor.isfinite()
