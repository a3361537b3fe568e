"""The spelled-out step against torch's own AdamW, and against a run's next checkpoint."""

import math
import re

import pytest
import torch
from torch import nn

from playattention.config import RunConfig, TrainConfig
from playattention.errors import UserError
from playattention.training import report
from playattention.training.loop import Trainer, train
from playattention.training.optimizer import build_optimizer, learning_rate
from playattention.training.run import load_run
from playattention.xray.adamw import AdamWStep, Moments, adamw_step, next_step
from playattention.xray.backward import Backward, backward
from tests.xray.changes import everything
from tests.xray.conftest import small_model

ONE = "blocks.1.feed_forward.expand.weight"
"""A weight of every model (48, 12)."""
CONFIG = TrainConfig(
    learning_rate=0.03, min_learning_rate=0.001, betas=(0.8, 0.95), weight_decay=0.3, steps=50
)


def remembered(model: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Moments]:
    """Return an optimizer's moments by the weights' names."""
    return {
        name: Moments(kept["exp_avg"].clone(), kept["exp_avg_sq"].clone(), int(kept["step"]))
        for name, kept in (
            (name, optimizer.state[weight]) for name, weight in model.named_parameters()
        )
        if kept
    }


def give(model: nn.Module, back: Backward) -> None:
    """Give gradients to the weights, where torch's optimizer finds them."""
    for name, weight in model.named_parameters():
        weight.grad = back.gradients[name].clone()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("grad_clip", [0.0, 0.05, 1000.0])
def test_a_step_is_the_one_of_torch(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor, fused: bool, grad_clip: float
):
    """The first three, each from the moments of the one before."""
    config = CONFIG.model_copy(update={"fused_adamw": fused, "grad_clip": grad_clip})
    optimizer = build_optimizer(model, config)
    for number in range(3):
        before, back = remembered(model, optimizer), backward(model, idx, targets)
        step = adamw_step(model, back, config, moments=before)
        rate = learning_rate(number, 50, config)
        assert step.rate == rate

        for group in optimizer.param_groups:
            group["lr"] = rate
        give(model, back)
        norm = nn.utils.clip_grad_norm_(model.parameters(), grad_clip or math.inf)
        optimizer.step()
        optimizer.zero_grad()
        assert step.norm == pytest.approx(norm.item(), rel=1e-6)
        assert (step.factor < 1) == (grad_clip == 0.05)
        moments = remembered(model, optimizer)
        for name, weight in model.named_parameters():
            assert step[name].step == number + 1
            if fused:  # the last bit may differ
                torch.testing.assert_close(step[name].new, weight.detach(), rtol=2e-7, atol=1e-9)
            else:
                assert torch.equal(step[name].new, weight)
            for found, kept in (
                (step[name].first, moments[name].first),
                (step[name].second, moments[name].second),
            ):
                atol = 1e-7 * kept.abs().max().item()
                torch.testing.assert_close(found, kept, rtol=1e-6, atol=atol)


def test_in_float64_a_step_is_that_of_torch_to_the_last_digits(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    model.double()
    back = backward(model, idx, targets)
    step = adamw_step(model, back, CONFIG, rate=0.02)
    optimizer = build_optimizer(model, CONFIG.model_copy(update={"learning_rate": 0.02}))
    give(model, back)
    nn.utils.clip_grad_norm_(model.parameters(), CONFIG.grad_clip)
    optimizer.step()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(step[name].new, weight.detach(), rtol=1e-14, atol=1e-14)


def test_a_step_changes_nothing(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor):
    found = backward(model, idx, targets)
    held = everything(model)
    moments = {
        name: Moments(torch.ones_like(weight), torch.ones_like(weight), 4)
        for name, weight in model.named_parameters()
    }
    step = adamw_step(model, found, CONFIG, moments=moments)
    assert everything(model) == held
    assert all(torch.equal(kept.first, torch.ones_like(kept.first)) for kept in moments.values())
    assert {update.step for update in step.updates.values()} == {5}
    assert step.rate == learning_rate(4, 50, CONFIG)


def test_a_weight_without_a_gradient_takes_no_step(model: nn.Module):
    gradients = {name: None for name, _ in model.named_parameters()}
    gradients[ONE] = torch.ones_like(model.get_parameter(ONE))
    step = adamw_step(model, gradients, CONFIG)
    assert [*step.updates] == [ONE]
    with pytest.raises(UserError, match="unknown weight with a gradient"):
        step["token_embedding.weight"]


def test_of_the_weights_that_are_named_alone_the_step_is_the_same(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    back = backward(model, idx, targets)
    whole = adamw_step(model, back, CONFIG)
    part = adamw_step(model, back, CONFIG, names=[ONE])
    assert [*part.updates] == [ONE]
    assert (part.norm, part.factor) == (whole.norm, whole.factor)
    assert torch.equal(part[ONE].new, whole[ONE].new)
    with pytest.raises(
        UserError, match=r"unknown weight 'blocks.1.feed_forward.expand.weights'.*did you mean"
    ):
        adamw_step(model, back, CONFIG, names=[f"{ONE}s"])


@pytest.fixture
def step(model: nn.Module, idx: torch.Tensor, targets: torch.Tensor) -> AdamWStep:
    """A step of which everything counts: clipping, decay, earlier moments."""
    moments = {
        name: Moments(torch.full_like(weight, 0.01), torch.full_like(weight, 0.002), 6)
        for name, weight in model.named_parameters()
    }
    return adamw_step(model, backward(model, idx, targets), CONFIG, moments=moments)


def test_of_a_row_alone_the_step_is_the_same(
    model: nn.Module, idx: torch.Tensor, targets: torch.Tensor
):
    """Bit for bit, also where earlier gradients are remembered."""
    found = backward(model, idx, targets)
    names = [name for name, weight in model.named_parameters() if weight.dim() == 2]
    first = adamw_step(model, found)
    moments = {name: Moments(one.first, one.second, 1) for name, one in first.updates.items()}
    for known in ({}, moments):
        whole = adamw_step(model, found, moments=known)
        row = adamw_step(model, found, names=names, place=(1,), moments=known)
        assert (row.norm, row.factor) == (whole.norm, whole.factor)
        for name in names:
            for field, tensor in vars(row[name]).items():
                if isinstance(tensor, torch.Tensor):
                    assert torch.equal(tensor, getattr(whole[name], field)[1]), (name, field)
            assert row.spelled(name, 2) == whole.spelled(name, 1, 2)


def test_the_arithmetic_of_one_number_can_be_done_again(step: AdamWStep):
    """Each line's text, evaluated, is the number behind it."""
    name = "blocks.1.feed_forward.expand.weight"
    assert step.factor < 1
    lines = step.spelled(name, 3, 5).splitlines()
    assert [line.split()[0] for line in lines] == [
        "clipped",
        "first",
        "second",
        "first_corrected",
        "second_corrected",
        "decayed",
        "change",
        "new",
    ]
    for line in lines:
        field, text, result = re.split(r"\s+= ", line)
        value = eval(text.replace("^", "**"), {"sqrt": math.sqrt})
        assert value == pytest.approx(float(result), rel=2e-3 if field == "change" else 1e-5)
        assert float(result) == pytest.approx(vars(step[name])[field][3, 5].item(), rel=1e-6)


def test_of_a_weight_that_muon_turns_there_is_no_step_of_adamw(
    idx: torch.Tensor, targets: torch.Tensor
):
    """Told in one line, with what AdamW does update; the others' steps are as without Muon."""
    model = small_model("modern")
    back, config = backward(model, idx, targets), CONFIG.model_copy(update={"optimizer": "muon"})
    told = (
        "weight 'blocks.0.feed_forward.expand.weight': with optimizer = muon it takes no step of "
        "AdamW, but is turned; allowed: what AdamW updates, token_embedding.weight, head.weight"
    )
    with pytest.raises(UserError) as error:
        adamw_step(model, back, config, names=["blocks.0.feed_forward.expand.weight"])
    assert str(error.value) == told
    step, plain = adamw_step(model, back, config), adamw_step(model, back, CONFIG)
    assert [*step.updates] == ["token_embedding.weight", "head.weight"]
    for name in step.updates:
        assert torch.equal(step[name].new, plain[name].new)


def test_a_number_that_is_not_there_is_refused(step: AdamWStep):
    for index in ((48, 0), (0,), (-1, 0)):
        with pytest.raises(UserError, match=rf"^index = .* must be in {ONE} of shape"):
            step.spelled(ONE, *index)


def test_they_say_in_one_line_what_they_hold(step: AdamWStep):
    update = step[ONE]
    moved = (update.new - update.weight).abs().max().item()
    assert repr(update) == f"<Update of {ONE} (48, 12): by at most {moved:.3g}>"
    assert re.fullmatch(
        r"<AdamWStep: \d+ weights, learning rate \S+, gradient norm .*>", repr(step)
    )
    assert len(repr(step)) <= 80


def test_from_a_checkpoint_it_is_the_step_that_the_run_took(
    small_run: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """The weights of the next checkpoint, at the first step and at a later one."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)
    batches = []
    update = Trainer.update

    def noted(self: Trainer) -> report.Row:
        batches.append(self.windows.batch(self.position, self.config.train.batch_size))
        return update(self)

    monkeypatch.setattr(Trainer, "update", noted)
    # Fused attention rounds otherwise, which shows where a gradient is 0 but for rounding.
    step_by_step = {} if small_run.model.name == "gpt" else {"flash_attention": False}
    config = small_run.updated(
        model={"dropout": 0.0, **step_by_step},
        train={"steps": 8, "eval_every": 1, "keep_every": 1, "sample_tokens": 0},
    )
    threads = torch.get_num_threads()
    folder = train(config, "a", quiet=True)
    torch.set_num_threads(threads)
    for step in (0, 6):
        found, taken = next_step(folder, *batches[step], step=step)
        after = load_run(folder, step + 1).model.state_dict()
        assert {update.step for update in taken.updates.values()} == {step + 1}
        assert found.loss > 0
        turned = {name for name in after if "blocks" in name and after[name].dim() == 2}
        muon = small_run.train.optimizer == "muon"
        assert set(taken.updates) == {*after} - (turned if muon else set())
        for name, weight in after.items():
            if muon and name in turned:
                continue
            assert not torch.equal(taken[name].weight, weight)
            torch.testing.assert_close(taken[name].new, weight, rtol=2e-7, atol=1e-7)
