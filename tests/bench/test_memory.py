"""The planned memory is that of real steps: every tensor counted, as it comes and goes."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from playattention import evaluation
from playattention.bench.memory import EVALUATION_TOKENS, evaluation_peak, peak
from playattention.bench.step import Step
from playattention.bench.trace import trace
from playattention.config import GPT2Config, GPTConfig, ModernConfig, RunConfig, TrainConfig
from playattention.training.distributed import decide
from tests.bench.live import LiveTensors

CPU = torch.device("cpu")
SIZES = {
    "wide": {"n_embd": 128, "n_head": 4, "n_layer": 3, "seq_size": 64, "vocab_size": 65},
    "deep": {"n_embd": 48, "n_head": 3, "n_layer": 9, "seq_size": 32, "vocab_size": 97},
    "long": {"n_embd": 64, "n_head": 8, "n_layer": 2, "seq_size": 256, "vocab_size": 300},
    "wordy": {"n_embd": 96, "n_head": 3, "n_layer": 3, "seq_size": 128, "vocab_size": 5_003},
}


def run(model: Any, **train: Any) -> RunConfig:
    """Return decided settings; `accum` micro-batches fill a step."""
    accum = train.pop("accum", 1)
    settings = {"batch_size": 4, "autocast": "off", "compile": "off", **train}
    tokens = accum * settings["batch_size"] * model.seq_size
    return RunConfig(model=model, train=TrainConfig(tokens_per_step=tokens, **settings))


def counted(config: RunConfig, *, real: bool = True) -> int:
    """Return the bytes at the peak of a step in steady state, all tensors counted."""
    with nullcontext() if real else FakeTensorMode(), LiveTensors() as live:
        step = Step(config, CPU)
        _once(step, real)
        live.peak = live.now
        _once(step, real)
    return live.peak


def _once(step: Step, real: bool) -> None:
    if real:
        step()
        return
    # A fake loss has no value to scale, to clip by or to return: forward and backward alone.
    with step.worker.autocast():
        loss = step.forward(step.idx, step.targets)[1]
    loss.backward()
    step.optimizer.step()
    step.optimizer.zero_grad()


def off_by(planned: int, measured: int) -> float:
    return abs(planned / measured - 1)


def error_of_the_plan(kind: str, size: str, autocast: str, checkpointing: bool) -> float:
    """Return how far the plan is off for a model of these settings."""
    flash = {} if kind == "gpt" else {"flash_attention": kind.endswith("flash")}
    kinds = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}
    model = kinds[kind.split(maxsplit=1)[0]](**{**SIZES[size], **flash})
    config = run(model, autocast=autocast, grad_checkpointing=checkpointing)
    return off_by(peak(config, gpu=False).total, counted(config))


@pytest.mark.parametrize(
    ("kind", "size", "autocast", "checkpointing"),
    [
        ("gpt", "wide", "off", False),
        ("gpt", "long", "bf16", False),
        ("gpt", "wordy", "off", True),
        ("gpt2 flash", "wordy", "off", False),
        ("gpt2 flash", "wide", "bf16", False),
        ("gpt2 flash", "deep", "bf16", True),
        ("gpt2 explicit", "long", "off", False),
        ("gpt2 explicit", "wordy", "bf16", False),
        ("gpt2 explicit", "long", "off", True),
        ("modern flash", "wordy", "off", False),
        ("modern flash", "wide", "bf16", False),
        ("modern flash", "long", "off", True),
        ("modern explicit", "long", "off", False),
        ("modern explicit", "wordy", "bf16", True),
    ],
)
def test_the_plan_is_within_10_percent_of_all_tensors_counted(
    kind: str, size: str, autocast: str, checkpointing: bool
):
    assert error_of_the_plan(kind, size, autocast, checkpointing) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointing"])
@pytest.mark.parametrize("autocast", ["off", "bf16"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "kind", ["gpt", "gpt2 flash", "gpt2 explicit", "modern flash", "modern explicit"]
)
def test_so_it_is_for_every_combination(kind: str, size: str, autocast: str, checkpointing: bool):
    assert error_of_the_plan(kind, size, autocast, checkpointing) < 0.06


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 1},
        {"batch_size": 9},
        {"accum": 3},
        {"accum": 2, "batch_size": 2, "autocast": "bf16", "grad_checkpointing": True},
        {"fused_adamw": False, "batch_size": 1},
        {"optimizer": "muon", "batch_size": 1},
        {"optimizer": "muon", "batch_size": 9},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [GPTConfig, GPT2Config, ModernConfig])
def test_batches_accumulation_and_the_optimizer_count(kind: Any, changes: dict[str, Any]):
    config = run(kind(**SIZES["wide"]), **changes)
    assert off_by(peak(config, gpu=False).total, counted(config)) < 0.06


@pytest.mark.parametrize("autocast", ["off", "bf16"])
@pytest.mark.parametrize("kind", [GPT2Config, ModernConfig])
@pytest.mark.parametrize("flash", [None, True, False], ids=["gpt", "flash", "explicit"])
def test_dropout_counts(kind: Any, flash: bool | None, autocast: str):
    """On a CPU PyTorch has no fused attention with dropout: it goes step by step, in float32."""
    sizes = {**SIZES["long"], "dropout": 0.2}
    model = GPTConfig(**sizes) if flash is None else kind(**sizes, flash_attention=flash)
    config = run(model, autocast=autocast)
    assert off_by(peak(config, gpu=False).total, counted(config)) < 0.08


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize("flash", [True, False], ids=["flash", "explicit"])
def test_the_plan_of_gpt2_at_full_size(flash: bool, batch_size: int):
    """124M weights and up to 34 GiB: counted in tensors that have sizes and no content."""
    config = run(GPT2Config(flash_attention=flash), batch_size=batch_size, fused_adamw=False)
    config = config.updated(train={"grad_clip": 0.0})
    assert off_by(peak(config, gpu=False).total, counted(config, real=False)) < 0.05


def test_the_counted_tensors_are_what_the_allocator_gave():
    """The two ways to measure, which share nothing, agree.

    The allocator also sees what an operation takes and gives back within itself.
    """
    config = run(GPT2Config(**SIZES["wordy"]))
    step = Step(config, CPU)
    step()
    allocated = step.held() + trace(step).peak
    assert allocated == pytest.approx(counted(config), rel=0.015)


@pytest.mark.slow
@pytest.mark.skipif(decide(TrainConfig(compile="on"))["compile"] == "off", reason="no C++ compiler")
@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("autocast", ["off", "bf16"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointing"])
def test_the_plan_of_a_compiled_step(autocast: str, checkpointing: bool):
    """Compiled code keeps the same activations, and neither copies nor log-softmax."""
    for kind in (GPTConfig, GPT2Config, ModernConfig):
        model = kind(**SIZES["wordy"])
        torch._dynamo.reset()
        config = run(model, autocast=autocast, compile="on", grad_checkpointing=checkpointing)
        step = Step(config, CPU)
        step()
        step()
        allocated = step.held() + trace(step).peak
        assert off_by(peak(config, gpu=False).total, allocated) < 0.1


# Parts.


def test_the_parts_add_up_and_none_is_negative():
    moment = peak(run(GPT2Config(), autocast="bf16"), gpu=True, devices=8)
    assert sum(moment.parts.values()) == moment.total
    assert list(moment.parts) == [
        "weights",
        "weight copies",
        "gradients",
        "optimizer",
        "activations",
        "logits",
        "working",
        "sharing",
    ]
    assert min(moment.parts.values()) >= 0


def test_checkpointing_flash_attention_and_16_bits_save_what_they_promise():
    base = run(GPT2Config(flash_attention=False), batch_size=8)
    scores = 12 * 8 * 12 * 1024 * 1024 * 4
    flash = base.updated(model={"flash_attention": True})
    saved = peak(base, gpu=True).activations - peak(flash, gpu=True).activations
    assert saved == pytest.approx(scores, rel=0.05)
    halved = peak(flash.updated(train={"autocast": "bf16"}), gpu=True)
    assert halved.activations < 0.6 * peak(flash, gpu=True).activations
    assert halved.weight_copies > 0
    forgetful = peak(flash.updated(train={"grad_checkpointing": True}), gpu=True)
    assert forgetful.activations < 0.1 * peak(flash, gpu=True).activations


def test_fsdp_shares_what_ddp_repeats():
    config = run(GPT2Config.preset("gpt2-xl"), batch_size=1)
    alone, ddp = peak(config, gpu=True), peak(config, gpu=True, devices=8)
    fsdp = peak(config.updated(train={"parallel": "fsdp"}), gpu=True, devices=8)
    assert ddp.optimizer == alone.optimizer == pytest.approx(8 * fsdp.optimizer, rel=1e-6)
    assert ddp.sharing == pytest.approx(ddp.optimizer / 2)
    assert fsdp.gradients < ddp.gradients / 7
    assert fsdp.total < ddp.total / 2


# Evaluation.


def test_an_evaluation_takes_as_many_tokens_as_the_plan_thinks():
    assert EVALUATION_TOKENS == evaluation.TOKENS_PER_BATCH


@pytest.mark.parametrize("kind", [GPTConfig, GPT2Config, ModernConfig])
def test_the_plan_of_an_evaluation(kind: Any):
    """By the allocator, as the log-softmax makes a copy inside that no tensor shows."""
    config = run(kind(**SIZES["wordy"]))
    step = Step(config, CPU)
    step()
    tokens = np.arange(9_000, dtype=np.uint16) % 5_003
    seq_size = config.model.seq_size
    allocated = trace(lambda: evaluation.evaluate(step.model, tokens, seq_size)).peak
    planned = evaluation_peak(config, gpu=False).total
    assert off_by(planned, step.held() + allocated) < 0.1
