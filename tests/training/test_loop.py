"""The loop: what a step does, and what stops it."""

import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from playattention.config import RunConfig
from playattention.evaluation import evaluate, window_losses
from playattention.training import checkpoint, loop
from playattention.training.loop import (
    Trainer,
    TrainingDivergedError,
    TrainingStoppedError,
    resume,
    train,
)
from playattention.training.report import read_log
from playattention.training.run import create_run, load_run
from tests.training.conftest import log_rows, outcome

pytestmark = pytest.mark.usefixtures("no_plots")


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return a copy of the weights as they are now."""
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return how far apart two models are."""
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


# A step.


@pytest.fixture
def still_config(config: RunConfig) -> RunConfig:
    """Without dropout, whose draws depend on how a batch is cut."""
    return config.updated(model={"dropout": 0.0})


def test_four_micro_batches_equal_the_full_batch(still_config: RunConfig):
    """To 1e-6 in every weight after a step, and the loss that is told is the whole batch's."""
    whole = still_config.updated(train={"batch_size": 8, "tokens_per_step": 128})
    parts = still_config.updated(train={"batch_size": 2, "tokens_per_step": 128})
    assert (whole.grad_accum, parts.grad_accum) == (1, 4)
    one, other = Trainer(create_run(whole)), Trainer(create_run(parts))
    before = weights_of(one)
    row, other_row = one.update(), other.update()
    assert largest_difference(weights_of(one), weights_of(other)) < 1e-6
    assert largest_difference(weights_of(one), before) > 1e-5
    assert other_row.train_loss == pytest.approx(row.train_loss, abs=1e-6)
    assert other_row.gradient_norm == pytest.approx(row.gradient_norm, rel=1e-5)
    assert (one.position, other.position) == (8, 8)


@pytest.mark.parametrize("grad_clip", [0.0, 0.5])
def test_training_is_what_a_plain_loop_in_pytorch_does(still_config: RunConfig, grad_clip: float):
    """The update by hand, in float64, on the same windows: losses, norms and weights agree."""
    plain = {"grad_clip": grad_clip, "steps": 8, "optimizer": "adamw"}
    config = still_config.updated(train=plain)
    trainer = Trainer(create_run(config))
    model = Trainer(trainer.folder).model.double().train()
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    vectors = [weight for weight in model.parameters() if weight.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.99),
        foreach=False,
        fused=False,
    )
    rates = [2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3, 5.5e-4, 1e-4]
    for step, rate in enumerate(rates):
        row = trainer.update()
        idx, targets = trainer.windows.batch(4 * step, 4)
        logits, _ = model(idx)
        loss = -logits.log_softmax(-1).gather(-1, targets[..., None]).mean()
        optimizer.zero_grad()
        loss.backward()
        norm = math.sqrt(sum(weight.grad.square().sum() for weight in model.parameters()))
        if grad_clip and norm > grad_clip:
            for weight in model.parameters():
                weight.grad *= grad_clip / norm
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        assert row.train_loss == pytest.approx(loss.item(), abs=1e-5)
        assert row.gradient_norm == pytest.approx(norm, rel=1e-4)
        assert row.learning_rate == pytest.approx(rate)
        # Of a gradient of almost 0 rounding decides the sign, and AdamW takes a whole step for it.
        weights = weights_of(trainer)
        off = [(each - weights[name]).abs().flatten() for name, each in model.named_parameters()]
        assert torch.cat(off).quantile(0.99) < 1e-6
        # From the same weights once more: a unit on the other side of ReLU's bend would part them.
        model.load_state_dict(weights)


def test_a_model_that_knows_nothing_starts_at_the_entropy_of_its_vocabulary(config: RunConfig):
    trainer = Trainer(create_run(config))
    assert trainer.update().train_loss == pytest.approx(math.log(26), abs=0.15)


def test_a_run_learns_its_text(still_config: RunConfig):
    """A model of a few thousand weights gets below the text's letter frequencies in seconds."""
    folder = train(
        still_config.updated(
            train={"steps": 150, "eval_every": 150, "learning_rate": 1e-2, "sample_tokens": 0}
        )
    )
    first, last = read_log(folder)[0], read_log(folder)[-1]
    text = Path(still_config.data.dataset).read_text(encoding="utf-8")
    shares = [text.count(letter) / len(text) for letter in set(text)]
    assert last.eval_val_loss < -sum(share * math.log(share) for share in shares) - 0.5
    assert first.eval_val_loss > last.eval_val_loss + 1


def test_what_is_logged_as_validation_loss_is_that_of_the_checkpoint(config: RunConfig):
    folder = train(config)
    trainer, loaded = Trainer(folder), load_run(folder)
    again = evaluate(loaded.model, trainer.splits.val, 16, max_tokens=200)
    assert read_log(folder)[-1].eval_val_loss == again.loss
    assert checkpoint.read_progress(folder, 20).val_loss == again.loss


def test_epochs_take_the_place_of_steps(gpt_config: RunConfig):
    """Two passes over 5,567 tokens, 16 of them a step."""
    folder = create_run(gpt_config.updated(train={"epochs": 2.0}))
    assert Trainer(folder).steps == round(2 * 5567 / 16)


def test_bfloat16_is_close_to_and_not_the_same_as_float32(still_config: RunConfig):
    losses = []
    for kind in ("off", "bf16"):
        trainer = Trainer(create_run(still_config.updated(train={"autocast": kind})))
        trainer.update()  # a head that begins at zero has the same first loss in any format
        losses.append(trainer.update().train_loss)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.01)


def test_drawn_weights_are_evaluated_on_few_tokens(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """Their loss is near ln(V) wherever it is measured; a first step is worth more."""
    monkeypatch.setattr("playattention.training.loop.FIRST_TOKENS", 100)
    trainer = Trainer(create_run(gpt_config.updated(data={"eval_tokens": 10_000})))
    first = trainer.evaluate()[1]
    trainer.update()
    later = trainer.evaluate()[1]
    size = trainer.config.model.seq_size
    assert later.tokens == len(trainer.splits.val) - 1
    assert first.tokens == 100 // size * size


def test_the_training_split_is_not_measured_on_a_few_windows_alone(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """A tenth of few tokens would say more about those windows than about the model."""
    monkeypatch.setattr("playattention.training.loop.TRAIN_TOKENS", 60)
    size = gpt_config.model.seq_size
    for limit, tokens in ((50, 50), (100, 60), (1000, 100)):
        trainer = Trainer(create_run(gpt_config.updated(data={"eval_tokens": limit})))
        trainer.update()
        assert trainer.evaluate()[0].tokens == tokens // size * size


def test_evaluating_and_sampling_leave_a_trainer_as_it_is(config: RunConfig):
    """Mode, random state and position: the next step is the one that would have been."""
    disturbed, other = (Trainer(create_run(config)) for _ in range(2))
    rows = []
    for trainer in (disturbed, other):
        torch.manual_seed(5)
        first = trainer.update()
        if trainer is disturbed:
            trainer.evaluate()
            assert trainer.sample() == trainer.sample()
        rows.append([first.train_loss, trainer.update().train_loss])
    assert rows[0] == rows[1]
    assert largest_difference(weights_of(disturbed), weights_of(other)) == 0


# What stops it.


def losses_from(monkeypatch: pytest.MonkeyPatch, at: int, figure: float) -> None:
    """Let a loss be this from a step on."""
    build = loop.build_optimizer

    def spoiled(model: torch.nn.Module, *args: object) -> torch.optim.Optimizer:
        forward, calls = model.forward, iter(range(1, 10_000))

        def wrong(idx: torch.Tensor, targets: torch.Tensor | None = None, cache: object = None):
            logits, loss = forward(idx, targets, cache)
            if loss is not None and next(calls) >= at:
                loss = loss * figure
            return logits, loss

        monkeypatch.setattr(model, "forward", wrong)
        return build(model, *args)

    monkeypatch.setattr(loop, "build_optimizer", spoiled)


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_before_it_spoils_a_weight(
    gpt_config: RunConfig, figure: float, monkeypatch: pytest.MonkeyPatch
):
    """The message has the step, the rate and the way back, and that way works."""
    undisturbed = outcome(train(gpt_config, "undisturbed"))
    with monkeypatch.context() as patch:
        losses_from(patch, at=4, figure=figure)
        with pytest.raises(TrainingDivergedError) as told:
            train(gpt_config, "a")
    assert str(told.value) == (
        f"loss = {figure} at step 4, learning rate 1.00e-04; the last good checkpoint is "
        "logs/a/checkpoints/step_00000002; try a new run with a lower --train.learning-rate "
        "than 0.001"
    )
    assert [row["step"] for row in log_rows(Path("logs/a"))] == ["0", "1", "2", "3"]
    resume(Path("logs/a"))
    assert outcome(Path("logs/a")) == undisturbed


def test_a_gradient_that_is_not_finite_stops_the_run(gpt_config: RunConfig, monkeypatch):
    """The loss itself still is: 1e36 of it is within float32, its square in the norm is not."""
    losses_from(monkeypatch, at=3, figure=1e36)
    with pytest.raises(TrainingDivergedError, match=r"^gradient norm = inf at step 3, "):
        train(gpt_config, "a")


def test_a_validation_loss_that_is_not_finite_is_told_with_its_step(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    """No checkpoint is written of that step."""
    calls = iter(range(1, 100))

    def spoiled(*args: object, **settings: object) -> torch.Tensor:
        found = window_losses(*args, **settings)
        return found if next(calls) <= 2 else found * torch.tensor([math.nan, 1.0])

    monkeypatch.setattr(loop, "window_losses", spoiled)
    with pytest.raises(TrainingDivergedError) as told:
        train(gpt_config, "a")
    assert str(told.value).startswith("validation loss = nan at step 2, learning rate 1.00e-03; ")
    assert checkpoint.saved_steps(Path("logs/a")) == [0]


@pytest.mark.parametrize("eval_every", [1, 5])
def test_a_learning_rate_far_too_high_leaves_only_finite_checkpoints(
    config: RunConfig, eval_every: int
):
    settings = {"learning_rate": 1e30, "grad_clip": 0.0, "warmup_steps": 0}
    with pytest.raises(TrainingDivergedError, match=r"learning rate \S+e\+(29|30); the last good"):
        train(config.updated(train={**settings, "eval_every": eval_every}), "a")
    folder = Path("logs/a")
    step = checkpoint.saved_steps(folder)[-1]
    for file in ("model", "training"):
        stored = load_file(checkpoint.folder_of(folder, step) / f"{file}.safetensors")
        assert stored
        assert all(tensor.float().isfinite().all() for tensor in stored.values())
    assert math.isfinite(checkpoint.read_progress(folder, step).val_loss)


def test_ctrl_c_in_the_last_step_lets_the_run_end(gpt_config: RunConfig, press_ctrl_c):
    press_ctrl_c(4)
    assert checkpoint.saved_steps(train(gpt_config)) == [0, 4]


def test_ctrl_c_in_the_first_evaluation_waits_for_a_checkpoint(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch
):
    look_up = loop._look_up

    def interrupted(*args: object) -> None:
        signal.raise_signal(signal.SIGINT)
        look_up(*args)

    monkeypatch.setattr(loop, "_look_up", interrupted)
    with pytest.raises(TrainingStoppedError, match="stopped at step 0 of 4 and saved"):
        train(gpt_config, "a")
    assert checkpoint.saved_steps(Path("logs/a")) == [0]


def test_ctrl_c_saves_where_it_ended_the_reader_of_the_output_too(
    gpt_config: RunConfig, press_ctrl_c: Callable, monkeypatch: pytest.MonkeyPatch
):
    """As in `train | tee file`: the terminal sends it to both, and tee is gone at once."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        press_ctrl_c(3)
        update = Trainer.update

        def without_reader(trainer: Trainer) -> object:
            if trainer.step == 2:
                os.close(reading)
            return update(trainer)

        monkeypatch.setattr(Trainer, "update", without_reader)
        with pytest.raises(TrainingStoppedError, match="stopped at step 3 of 4 and saved"):
            train(gpt_config, "a")
    assert checkpoint.saved_steps(Path("logs/a"))[-1] == 3
