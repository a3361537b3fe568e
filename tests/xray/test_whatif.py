"""What-ifs: each does what it says, is seen in a trace, and leaves the model as it was."""

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.generation import stream
from playattention.models.kv_cache import KVCache
from playattention.xray import whatif
from playattention.xray.patching import replace_attention
from playattention.xray.watch import watch
from tests.xray.changes import (
    CHANGES,
    HEAD_SIZE,
    Change,
    check_refused,
    everything,
    joined_by,
    later_changes,
    logits,
    mixed_by,
)
from tests.xray.edited import small

each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
each_cached_change = pytest.mark.parametrize(
    "change",
    [change for name, change in CHANGES.items() if name != "no mask"],
    ids=[name for name in CHANGES if name != "no mask"],
)


# Every change is taken back.


@each_change
def test_the_model_is_the_one_from_before(model: nn.Module, idx: torch.Tensor, change: Change):
    before, held = logits(model, idx), everything(model)
    with change(model, idx):
        changed = logits(model, idx)
        assert everything(model) != held
    assert everything(model) == held
    assert not torch.allclose(changed, before)
    assert torch.equal(logits(model, idx), before)


@each_change
def test_an_error_inside_leaves_the_model_as_it_was(
    model: nn.Module, idx: torch.Tensor, change: Change
):
    held = everything(model)
    with pytest.raises(ZeroDivisionError), change(model, idx):
        logits(model, idx)
        raise ZeroDivisionError
    assert everything(model) == held


def test_an_error_in_the_middle_of_a_pass_leaves_the_model_as_it_was(
    model: nn.Module, idx: torch.Tensor
):
    held, before = everything(model), logits(model, idx)
    with (
        pytest.raises(UserError, match="only 5 tokens"),
        whatif.no_residual(model, 1),
        replace_attention(model, 1, 0, 2, [0.0] * 5 + [1.0]),
    ):
        logits(model, idx)
    assert everything(model) == held
    assert torch.equal(logits(model, idx), before)


@pytest.mark.parametrize("distance", [0, 1, 5])
@each_change
def test_changes_work_inside_of_each_other(
    model: nn.Module, idx: torch.Tensor, change: Change, distance: int
):
    """Inside of each, itself and two others."""
    changes, held = [*CHANGES.values()], everything(model)
    inner = changes[(changes.index(change) + distance) % len(changes)]
    with change(model, idx):
        outer_held, outer = everything(model), logits(model, idx)
        with inner(model, idx):
            logits(model, idx)
        assert everything(model) == outer_held
        assert torch.equal(logits(model, idx), outer)
    assert everything(model) == held


@each_change
def test_a_watch_shows_the_changed_run(model: nn.Module, idx: torch.Tensor, change: Change):
    with change(model, idx):
        expected = logits(model, idx)
        trace = watch(model, idx)
    assert torch.equal(trace.one("", "logits").tensor, expected)


@each_cached_change
@pytest.mark.parametrize("chunks", [(2, 1, 1, 1), (1, 4), (4, 1)])
def test_with_a_cache_a_change_is_the_same(
    model: nn.Module, idx: torch.Tensor, change: Change, chunks: tuple[int, ...]
):
    model.double()
    with change(model, idx), torch.no_grad():
        cache = KVCache(7)
        parts = [model(part, cache=cache)[0] for part in idx.split(chunks, dim=1)]
        whole = model(idx)[0]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-10)


@each_cached_change
def test_generation_is_the_same_with_a_cache(model: nn.Module, idx: torch.Tensor, change: Change):
    """Four tokens more: the last two push the first ones out of the model's sight."""
    model.double()
    with change(model, idx):
        cached, whole = (
            [step.raw for step in stream(model, idx, 4, temperature=0, use_cache=use_cache)]
            for use_cache in (True, False)
        )
    torch.testing.assert_close(cached, whole, rtol=1e-9, atol=1e-9)


@each_change
def test_a_changed_model_in_training_mode_runs_and_has_gradients(
    model: nn.Module, idx: torch.Tensor, change: Change
):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    model.train()
    with change(model, idx):
        model(idx, idx)[1].backward()
    assert model.training
    assert all(module.training for module in model.modules())
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0


@each_change
def test_a_compiled_model_is_refused_as_its_hooks_would_not_be_called(
    model: nn.Module, idx: torch.Tensor, change: Change
):
    with (
        pytest.raises(UserError, match="compiled by"),
        change(torch.compile(model, backend="eager"), idx),
    ):
        pass


def test_means_are_taken_without_dropout_and_each_part_goes_back_to_its_own_mode(
    model: nn.Module, idx: torch.Tensor
):
    model.dropout.p = 0.5
    model.train()
    model.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with whatif.ablate_heads(model, [(1, 1)], "mean", idx):
        assert torch.equal(torch.get_rng_state(), state)
        assert [module.training for module in model.modules()] == modes
        first = watch(model.eval(), idx)
    with whatif.ablate_heads(model, [(1, 1)], "mean", idx):
        second = watch(model, idx)
    assert torch.equal(joined_by(first, 1, 1), joined_by(second, 1, 1))


# Heads and feed-forwards.


def test_ablating_a_head_subtracts_its_part_through_the_output_projection(
    model: nn.Module, idx: torch.Tensor
):
    """At the attention's output, in float64; the other heads are as before."""
    trace = watch(model, idx)
    weight = model.state_dict()["blocks.1.attention.projection.weight"].double()
    attended = trace.one("blocks.1", "attended").tensor.double()
    for head in range(3):
        own = weight[:, head * HEAD_SIZE : (head + 1) * HEAD_SIZE]
        expected = attended - joined_by(trace, 1, head).double() @ own.T
        with whatif.ablate_heads(model, [(1, head)]):
            changed = watch(model, idx)
        found = changed.one("blocks.1", "attended").tensor.double()
        assert (found - expected).abs().max() < 1e-5 * attended.abs().max()
        for other in {0, 1, 2} - {head}:
            assert torch.equal(mixed_by(changed, 1, other), mixed_by(trace, 1, other))


def test_an_ablated_head_mixes_zeros_and_all_that_follows_shows_it(
    model: nn.Module, idx: torch.Tensor
):
    with whatif.ablate_heads(model, [(0, 1)]):
        trace = watch(model, idx)
    assert not mixed_by(trace, 0, 1).any()
    assert not joined_by(trace, 0, 1).any()
    assert mixed_by(trace, 0, 0).all()


@pytest.mark.parametrize("training", [False, True])
def test_a_head_ablated_by_its_mean_mixes_that_at_every_position(
    model: nn.Module, idx: torch.Tensor, training: bool
):
    over = torch.tensor([[1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 0, 1, 2, 3], [4, 4, 4, 4, 4, 4, 4]])
    mean = joined_by(watch(model, over), 1, 2).mean(dim=(0, 1))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    with whatif.ablate_heads(model, [(1, 2)], "mean", over):
        trace = watch(model.train(training), idx)
    for found in (mixed_by(trace, 1, 2), joined_by(trace, 1, 2)):
        torch.testing.assert_close(found, mean.expand(2, 5, HEAD_SIZE))
    others = torch.cat([joined_by(trace, 1, head) for head in (0, 1)])
    assert (others != others[:, :1]).any()


def test_several_heads_each_get_their_own_mean(model: nn.Module, idx: torch.Tensor):
    clean = watch(model, idx)
    asked = [(1, 2), (1, 0), (0, 1)]
    with whatif.ablate_heads(model, asked, "mean", idx):
        trace = watch(model, idx)
    for layer, head in asked:
        mean = joined_by(clean, layer, head).mean(dim=(0, 1))
        found = joined_by(trace, layer, head)
        torch.testing.assert_close(found, mean.expand_as(found))


def test_a_feed_forward_ablated_by_zero_or_mean_adds_that(model: nn.Module, idx: torch.Tensor):
    mean = watch(model, idx).one("blocks.0", "computed").tensor.mean(dim=(0, 1))
    with whatif.ablate_feed_forward(model, [0], "mean", idx):
        trace = watch(model, idx)
    computed = trace.one("blocks.0", "computed").tensor
    torch.testing.assert_close(computed, mean.expand_as(computed))
    with whatif.ablate_feed_forward(model, [0]):
        trace = watch(model, idx)
    assert not trace.one("blocks.0", "computed").tensor.any()
    unchanged = trace.one("blocks.0", "x_attended").tensor
    assert torch.equal(trace.one("blocks.0", "return").tensor, unchanged)


# Mask, scale, positions, residual.


def test_a_later_token_changes_earlier_logits_only_once_the_mask_is_dropped(
    model: nn.Module, idx: torch.Tensor
):
    assert later_changes(model, idx) == [4]
    with whatif.no_causal_mask(model):
        assert later_changes(model, idx) == [0, 1, 2, 3, 4]
    with whatif.no_causal_mask(model, layers=[1]):
        assert later_changes(model, idx) == [0, 1, 2, 3, 4]
    assert later_changes(model, idx) == [4]


def test_without_a_mask_a_cache_is_refused(model: nn.Module, idx: torch.Tensor):
    with whatif.no_causal_mask(model), pytest.raises(UserError, match="allowed: use_cache=False"):
        list(stream(model, idx, 1))
    with whatif.no_causal_mask(model):
        assert len(list(stream(model, idx, 1, use_cache=False))) == 1


@pytest.mark.parametrize("value", [1.0, 0.25, 0.0])
def test_the_scale_is_the_one_that_is_asked_for(model: nn.Module, idx: torch.Tensor, value: float):
    with whatif.attention_scale(model, value, layers=[1]):
        trace = watch(model, idx)
    for layer, factor in ((0, HEAD_SIZE**-0.5), (1, value)):
        scores = trace.find(f"blocks.{layer}.attention*", "scores")
        scaled = trace.find(f"blocks.{layer}.attention*", "scaled")
        for one, other in zip(scores, scaled, strict=True):
            torch.testing.assert_close(other.tensor, one.tensor * factor)


def test_without_a_scale_scores_are_left_alone(model: nn.Module, idx: torch.Tensor):
    with whatif.no_scale(model):
        trace = watch(model, idx)
    for one, other in zip(trace.find(name="scores"), trace.find(name="scaled"), strict=True):
        assert torch.equal(one.tensor, other.tensor)


def test_without_positions_a_block_sees_the_tokens_alone(model: nn.Module, idx: torch.Tensor):
    with whatif.no_positions(model):
        trace = watch(model, idx)
    if model.config.name == "modern":
        for turned in trace.find(name="query_turned") + trace.find(name="key_turned"):
            before = trace.one(turned.module, turned.name.replace("turned", "normed")).tensor
            assert torch.equal(turned.tensor, before)
        return
    tokens = trace.one("", "token_embedded").tensor
    assert torch.equal(trace.one("", "embedded").tensor, tokens)
    assert not trace.one("", "position_embedded").tensor.any()


def test_a_model_with_neither_places_nor_turns_has_no_positions_to_take(idx: torch.Tensor):
    told = r"^unknown module 'position_embedding'"
    with pytest.raises(UserError, match=told), whatif.no_positions(small("bare")):
        logits(small("bare"), idx)


def test_without_a_residual_the_result_takes_the_place_of_the_stream(
    model: nn.Module, idx: torch.Tensor
):
    clean = watch(model, idx)
    with whatif.no_residual(model, 1, "attention"):
        trace = watch(model, idx)
    attended = clean.one("blocks.1", "attended").tensor
    assert torch.equal(trace.one("blocks.1", "attended").tensor, attended)
    assert torch.equal(trace.one("blocks.1", "x_attended").tensor, attended)
    with whatif.no_residual(model, 0, "feed_forward"):
        trace = watch(model, idx)
    computed = clean.one("blocks.0", "computed").tensor
    assert torch.equal(trace.one("blocks.0", "computed").tensor, computed)
    assert torch.equal(trace.one("", "x", 1).tensor, computed)


def test_a_residual_taken_out_twice_is_taken_out_once(model: nn.Module, idx: torch.Tensor):
    for sublayer in ("attention", "feed_forward"):
        with whatif.no_residual(model, 0, sublayer):
            once = logits(model, idx)
            with whatif.no_residual(model, 0, sublayer):
                assert torch.equal(logits(model, idx), once)


def test_swapped_tokens_exchange_two_positions_and_leave_the_ids_alone():
    idx = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert whatif.swap_tokens(idx, 0, 2).tolist() == [[3, 2, 1, 4], [7, 6, 5, 8]]
    assert whatif.swap_tokens(idx, 3, 3).tolist() == idx.tolist()
    assert idx[0].tolist() == [1, 2, 3, 4]


# Mistakes.


MISTAKES: dict[str, tuple[Change, str]] = {
    "layer": (
        lambda model, _: whatif.ablate_heads(model, [(2, 0)]),
        "layer = 2: must be a whole number from 0 to 1",
    ),
    "head": (
        lambda model, _: whatif.ablate_heads(model, [(1, 3)]),
        "head = 3: must be a whole number from 0 to 2",
    ),
    "negative head": (lambda model, _: whatif.ablate_heads(model, [(0, -1)]), "head = -1: "),
    "feed-forward": (lambda model, _: whatif.ablate_feed_forward(model, [-1]), "layer = -1: "),
    "mask": (lambda model, _: whatif.no_causal_mask(model, [9]), "layer = 9: "),
    "scale": (lambda model, _: whatif.no_scale(model, [1, 2]), "layer = 2: "),
    "residual": (lambda model, _: whatif.no_residual(model, 2), "layer = 2: "),
    "sublayer": (
        lambda model, _: whatif.no_residual(model, 0, "attentoin"),
        "unknown part of layer 0 'attentoin' (did you mean 'attention'?); allowed: ",
    ),
    "by": (
        lambda model, idx: whatif.ablate_heads(model, [(0, 0)], "meen", idx),
        "unknown ablation 'meen' (did you mean 'mean'?); allowed: zero, mean",
    ),
    "over": (lambda model, _: whatif.ablate_heads(model, [(0, 0)], "mean"), "by = 'mean': with "),
    "over for nothing": (
        lambda model, idx: whatif.ablate_feed_forward(model, [0], "zero", idx),
        "by = 'zero': with over = token ids; allowed: ",
    ),
    "over too long": (
        lambda model, _: whatif.ablate_heads(model, [(0, 0)], "mean", torch.zeros(1, 8).long()),
        "idx = 8 tokens: the model takes seq_size = 7 at most",
    ),
}


@pytest.mark.parametrize(("change", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_line(
    model: nn.Module, idx: torch.Tensor, change: Change, told: str
):
    check_refused(model, idx, change, told)


def test_a_swap_of_a_position_that_is_not_there_is_refused(idx: torch.Tensor):
    with pytest.raises(UserError, match=r"^second = 5: must be a whole number from 0 to 4$"):
        whatif.swap_tokens(idx, 0, 5)


def test_a_cache_from_before_the_change_is_refused(model: nn.Module, idx: torch.Tensor):
    cache = KVCache(7)
    model(idx, cache=cache)
    with whatif.no_positions(model), pytest.raises(UserError, match=r"^cache: holds 5 tokens"):
        model(idx[:, :1], cache=cache)


def test_a_model_that_is_wrapped_for_several_devices_is_refused(model: nn.Module):
    with (
        pytest.raises(UserError, match="wrapped for several devices"),
        whatif.no_scale(nn.DataParallel(model)),
    ):
        pass


def test_a_model_with_no_blocks_is_refused():
    with (
        pytest.raises(UserError, match=r"^model = Linear: has no 'blocks'; allowed: "),
        whatif.no_scale(nn.Linear(2, 2)),
    ):
        pass
