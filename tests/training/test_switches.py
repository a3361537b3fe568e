"""The switches for speed and memory: each takes effect, and none changes what is learnt."""

import math
import shutil

import pytest
import torch

from playattention.config import RunConfig
from playattention.training import checkpoint
from playattention.training.loop import Trainer, TrainingDivergedError, resume, train
from playattention.training.run import create_run, load_run
from tests.training.conftest import log_rows, outcome


def test_activations_computed_again_give_the_same_run(config: RunConfig):
    """Bit for bit, dropout included, under the names that the model's file gives its weights."""
    plain = train(config, "plain", quiet=True)
    again = train(config.updated(train={"grad_checkpointing": True}), "again", quiet=True)
    assert outcome(again) == outcome(plain)
    assert load_run(again).step == 20


def test_activations_computed_again_are_not_kept(config: RunConfig):
    """Autograd holds less for the backward pass."""

    def kept(**train: object) -> int:
        trainer, held = Trainer(create_run(config.updated(train=train))), []
        idx, targets = trainer.windows.batch(0, 4)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: held.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            trainer.forward(idx, targets)
        return sum(held)

    assert kept(grad_checkpointing=True) < 0.5 * kept()


def test_a_run_goes_on_with_activations_computed_again(config: RunConfig):
    """The switch may change on the way: checkpoints know nothing of it."""
    short = train(config.updated(train={"grad_checkpointing": True}), "a", quiet=True)
    trainer = Trainer(short)
    names = [name for name, _ in trainer.model.named_parameters()]
    assert any("_checkpoint_wrapped_module" in name for name in names)
    stored = load_run(short).model.state_dict()
    assert not any("_checkpoint_wrapped_module" in name for name in stored)


@pytest.mark.parametrize("fused", [True, False])
def test_adamw_is_fused_or_not_as_asked(config: RunConfig, fused: bool):
    trainer = Trainer(create_run(config.updated(train={"fused_adamw": fused})))
    assert trainer.optimizer.defaults["fused"] is fused


def test_fused_and_unfused_updates_agree(config: RunConfig):
    runs = [
        train(config.updated(train={"fused_adamw": fused}), str(fused), quiet=True)
        for fused in (True, False)
    ]
    one, other = (load_run(run).model.state_dict() for run in runs)
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], atol=1e-5, rtol=1e-4)


# fp16


def test_fp16_learns_as_float32_does(config: RunConfig):
    ends = []
    for kind in ("off", "fp16"):
        run = train(config.updated(train={"autocast": kind}), kind, quiet=True)
        ends.append(float(log_rows(run)[-1]["eval_val_loss"]))
    assert ends[0] != ends[1]
    assert ends[0] == pytest.approx(ends[1], abs=0.01)


@pytest.mark.parametrize("kind", ["off", "bf16"])
def test_gradients_are_scaled_in_fp16_alone(config: RunConfig, kind: str):
    assert not Trainer(create_run(config.updated(train={"autocast": kind}))).scaler.is_enabled()
    assert Trainer(create_run(config.updated(train={"autocast": "fp16"}))).scaler.is_enabled()


def test_a_scale_that_is_too_bold_costs_one_update_and_is_halved(config: RunConfig):
    trainer = Trainer(create_run(config.updated(train={"autocast": "fp16"})))
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60)
    before = [weight.clone() for weight in trainer.model.parameters()]
    row = trainer.update()
    assert row.gradient_norm is None
    assert math.isfinite(row.train_loss)
    assert trainer.scaler.get_scale() == 2.0**59
    assert all(map(torch.equal, before, trainer.model.parameters()))


def test_gradients_that_are_never_finite_stop_an_fp16_run(config: RunConfig):
    """A scale below 1 means that it was not the scale."""
    trainer = Trainer(create_run(config.updated(train={"autocast": "fp16"})))
    weight = next(trainer.model.parameters())
    weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(TrainingDivergedError, match="gradient norm = nan"):
        for _ in range(40):
            trainer.update()


def test_an_fp16_run_goes_on_bit_for_bit(config: RunConfig):
    """With the scale that it had."""
    config = config.updated(train={"autocast": "fp16"})
    undisturbed = train(config, "undisturbed", quiet=True)
    stopped = create_run(config, "stopped")
    resume(stopped, quiet=True)
    shutil.rmtree(checkpoint.folder_of(stopped, 20))  # the best or the first is the last now
    resume(stopped, quiet=True)
    assert outcome(stopped) == outcome(undisturbed)


def test_a_checkpoint_keeps_the_scale(config: RunConfig):
    trainer = Trainer(create_run(config.updated(train={"autocast": "fp16"}), "a"))
    trainer.scaler.scale(torch.ones(1))  # it makes its tensors when it is first used
    trainer.scaler.update(1024.0)
    trainer.save(None)
    assert Trainer(trainer.folder).scaler.get_scale() == 1024.0
