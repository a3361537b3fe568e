"""Pictures of X-ray's results: they show the numbers that they are given."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from playattention import xray
from playattention.errors import UserError
from playattention.xray.attention import weights_of
from tests.xray.conftest import small_model


def decode(ids: list[int]) -> str:
    """Show tokens, some of which mean something to matplotlib or can't be seen."""
    return "".join("$a\n\tbcdef é"[id_] for id_ in ids)


def images(figure: Figure) -> list[np.ndarray]:
    """Return the numbers of a figure's maps, without those of colour bars."""
    found = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    return [np.asarray(array) for array in found]


def drawn(figure: Figure, tmp_path) -> int:
    """Write a figure as a picture and return its size in bytes."""
    figure.savefig(tmp_path / "picture.png")
    return (tmp_path / "picture.png").stat().st_size


@pytest.fixture
def trace(model, idx, targets) -> xray.Trace:
    """A watch of each registered model."""
    return xray.watch(model, idx, targets)


def test_a_map_has_the_values_numbers_and_the_tokens_on_both_axes(trace, tmp_path):
    weights = trace.find(name="weights")[0]
    labels = list("abcde")
    figure = xray.picture(weights, labels=labels)
    expected = weights.tensor[0] if weights.tensor.dim() == 3 else weights.tensor[0, 0]
    np.testing.assert_array_equal(images(figure)[0], expected.numpy())
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    assert drawn(figure, tmp_path) > 1000


def test_index_chooses_what_is_drawn(trace):
    weights = trace.find(name="weights")[0]
    index = (1,) if weights.tensor.dim() == 3 else (1, 2)
    figure = xray.picture(weights, index=index)
    np.testing.assert_array_equal(images(figure)[0], weights.tensor[index].numpy())


def test_every_value_of_every_model_has_a_picture(trace, tmp_path):
    for value in trace:
        figure = xray.picture(value)
        assert images(figure)[0].size > 0
    assert drawn(xray.picture(trace.one("", "loss")), tmp_path) > 1000


def test_infinite_numbers_do_not_bend_the_scale(trace):
    masked = trace.find(name="masked")[0]
    figure = xray.picture(masked)
    finite = masked.tensor[0] if masked.tensor.dim() == 3 else masked.tensor[0, 0]
    largest = float(finite[finite.isfinite()].abs().max())
    limits = figure.axes[0].get_images()[0].get_clim()
    assert max(map(abs, limits)) == pytest.approx(largest)


def test_a_trace_shows_every_heads_map(trace):
    figure = xray.picture(trace)
    found = images(figure)
    heads = weights_of(trace)
    assert len(found) == len(heads) == 6
    for array, weights in zip(found, heads.values(), strict=True):
        np.testing.assert_array_equal(array, weights[0].numpy())


def test_bars_are_the_ledgers_entries(model, idx, tmp_path):
    ledger = xray.ledger(model, idx[:1], 3, 7, decode=decode)
    figure = xray.picture(ledger)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    amounts = [entry.amount for entry in ledger.entries]
    np.testing.assert_allclose(widths, [*amounts, ledger.remainder], atol=1e-12)
    assert drawn(figure, tmp_path) > 1000


def test_the_lens_and_losses_are_drawn_with_tokens_that_are_no_formulas(
    model, idx, targets, tmp_path
):
    lens = xray.logit_lens(model, idx, decode=decode)
    figure = xray.picture(lens)
    np.testing.assert_allclose(images(figure)[0], lens.top()[0][:, 0, :, 0].numpy())
    assert drawn(figure, tmp_path) > 1000
    losses = xray.losses(model, idx, targets, decode=decode)
    figure = xray.picture(losses)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, losses.loss[0, :4].tolist(), rtol=1e-6)
    assert drawn(figure, tmp_path) > 1000


def test_roles_backward_steps_and_differences_are_drawn(model, idx, targets, tmp_path):
    back = xray.backward(model, idx, targets)
    step = xray.adamw_step(model, back)
    with xray.ablate_heads(model, [(0, 1)]):
        without = xray.watch(model, idx, targets)
    results = [
        xray.head_roles(model, idx, untrained=[small_model(model.config.name)]),
        back,
        step,
        next(iter(step.updates.values())),
        xray.difference(without, back.trace),
        xray.explain(back.trace, "", "logits", (0, 2, 3)),
        xray.explain(back.trace, "", "embedded", (0, 2, 3)),
    ]
    for result in results:
        assert drawn(xray.picture(result), tmp_path) > 1000


def test_what_has_no_picture_is_told(gpt, idx):
    with pytest.raises(UserError, match="result = int: has no picture"):
        xray.picture(3)
    with pytest.raises(UserError, match="keeps no attention weights"):
        xray.picture(xray.watch(gpt, idx, modules=""))


def test_long_texts_have_maps_without_labels(tmp_path):
    from playattention import GPTConfig, GPTModel

    model = GPTModel(GPTConfig(vocab_size=11, seq_size=60, n_embd=8, n_head=2, n_layer=1)).eval()
    trace = xray.watch(model, torch.zeros(1, 60, dtype=torch.long))
    figure = xray.picture(trace.find(name="weights")[0], labels=["a"] * 60)
    assert drawn(figure, tmp_path) > 1000
