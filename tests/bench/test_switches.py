"""A switch that does nothing is found out; a machine that lacks one is told why."""

from typing import Any

import pytest
import torch

from playattention.bench import switches
from playattention.bench.step import Step
from playattention.bench.switches import (
    GROUND,
    RUNGS,
    SwitchError,
    climbed,
    missing,
    verify,
    witness,
)
from playattention.bench.trace import Trace, trace
from playattention.config import GPT2Config, GPTConfig, ModernConfig, RunConfig, TrainConfig

CPU = torch.device("cpu")
SIZES = {"n_embd": 32, "n_head": 2, "n_layer": 2, "seq_size": 16, "vocab_size": 53}
GROUNDED = climbed(
    RunConfig(model=GPT2Config(**SIZES), train=TrainConfig(batch_size=2, tokens_per_step=32)),
    GROUND,
)
FLASH = {"flash_attention": True}


def traced(config: RunConfig) -> Trace:
    """Return the trace of a real step of these settings."""
    step = Step(config, CPU)
    step()
    return trace(step)


def seen_in(config: RunConfig) -> dict[str, Any]:
    """Return what a real step of these settings shows."""
    return witness(config, traced(config), CPU)


@pytest.fixture(scope="module")
def ground_trace() -> Trace:
    return traced(GROUNDED)


@pytest.fixture(scope="module")
def ground(ground_trace: Trace) -> dict[str, Any]:
    return witness(GROUNDED, ground_trace, CPU)


def test_the_ground_has_every_switch_off(ground: dict[str, Any]):
    verify(GROUNDED, ground)
    assert ground["products"] == ["fp32"]
    assert ground["attention"] == []
    assert (ground["fused AdamW"], ground["graphs"]) == (False, 0)


@pytest.mark.parametrize(
    ("model", "train"),
    [
        (FLASH, {}),
        ({"vocab_multiple": 64}, {}),
        ({}, {"autocast": "bf16"}),
        ({}, {"fused_adamw": True}),
        ({**FLASH, "vocab_multiple": 64}, {"autocast": "bf16", "fused_adamw": True}),
    ],
    ids=str,
)
def test_a_switch_shows_in_the_step_and_is_missed_where_it_is_not(
    ground_trace: Trace, model: dict[str, Any], train: dict[str, Any]
):
    config = GROUNDED.updated(model=model, train=train)
    verify(config, seen_in(config))
    with pytest.raises(SwitchError, match=r"did not take effect: expected .*, saw "):
        verify(config, witness(config, ground_trace, CPU))


def test_a_switch_that_is_on_where_it_should_be_off_is_found_too():
    seen = seen_in(GROUNDED.updated(model=FLASH, train={"fused_adamw": True}))
    with pytest.raises(SwitchError, match=r"^fused_adamw did not take effect"):
        verify(GROUNDED, seen)
    with pytest.raises(SwitchError, match=r"^flash_attention did not take effect"):
        verify(GROUNDED.updated(train={"fused_adamw": True}), seen)


def test_gradient_checkpointing_shows_as_products_done_twice(ground: dict[str, Any]):
    config = GROUNDED.updated(train={"grad_checkpointing": True})
    before = {"products without checkpointing": ground["number of products"]}
    verify(config, {**seen_in(config), **before})
    with pytest.raises(SwitchError, match="grad_checkpointing"):
        verify(config, {**ground, **before})


def test_a_model_that_was_not_compiled_and_a_graph_in_pieces_are_found_out(ground: dict[str, Any]):
    config = GROUNDED.updated(train={"compile": "on"})
    verify(config, {**ground, "graphs": 1})
    for pieces in ({"graphs": 0}, {"graphs": 2}, {"graphs": 1, "graph breaks": 1}):
        with pytest.raises(SwitchError, match=r"^compile \(graphs, breaks\) did not take effect"):
            verify(config, {**ground, **pieces})


def test_a_gpu_that_does_not_round_as_asked_is_found_out(ground: dict[str, Any]):
    config = GROUNDED.updated(train={"tf32": True})
    verify(config, {**ground, "TF32 rounds": True})
    with pytest.raises(SwitchError, match=r"^tf32 did not take effect: expected True, saw False"):
        verify(config, {**ground, "TF32 rounds": False})


def test_rounded_operands_are_told_from_whole_ones(monkeypatch: pytest.MonkeyPatch):
    """A product of numbers with 10 bits, as TF32 has them, is off by far more than float32's."""
    assert not switches._rounds(CPU)
    draw = torch.randn

    def rounded(*shape: int, **options: Any) -> torch.Tensor:
        return draw(*shape, **options).half().float().mul_(1 + 2**-11)

    product = torch.Tensor.__matmul__
    monkeypatch.setattr(
        torch.Tensor,
        "__matmul__",
        lambda a, b: (
            product(a.half().to(a.dtype), b.half().to(b.dtype))
            if a.dtype == torch.float32
            else product(a, b)
        ),
    )
    assert switches._rounds(CPU)


# What a machine or a model lacks.


def test_a_cpu_lacks_the_formats_of_gpus():
    lacking = {rung.name: missing(rung, GROUNDED, CPU) for rung in RUNGS}
    assert lacking["TF32"] == "NVIDIA GPUs from compute capability 8.0 on"
    assert lacking["autocast fp16"] == "a format for GPUs"
    assert lacking["autocast bf16"] is None
    assert lacking["nothing (float32)"] is None


def test_gpt_has_neither_flash_attention_nor_padding():
    config = RunConfig(model=GPTConfig(**SIZES))
    lacking = [
        rung.name for rung in RUNGS if missing(rung, config, CPU) == "gpt has no such setting"
    ]
    assert lacking == ["flash attention", "padded vocabulary"]


def test_the_modern_model_has_flash_attention_and_no_padding():
    config = RunConfig(model=ModernConfig(**SIZES))
    lacking = [
        rung.name for rung in RUNGS if missing(rung, config, CPU) == "modern has no such setting"
    ]
    assert lacking == ["padded vocabulary"]


@pytest.mark.parametrize("autocast", ["off", "bf16"])
def test_muons_own_products_are_in_float32_whatever_the_models_are_in(autocast: str):
    base = RunConfig(model=ModernConfig(**SIZES), train=TrainConfig(batch_size=2))
    train = {"optimizer": "muon", "autocast": autocast, "compile": "off"}
    config = base.updated(train=train)
    seen = seen_in(config)
    verify(config, seen)
    plain = seen_in(config.updated(train={"optimizer": "adamw"}))
    if autocast == "bf16":
        with pytest.raises(SwitchError, match=r"^autocast bf16 did not take effect"):
            verify(config, {**seen, "products": plain["products"]})
    with pytest.raises(SwitchError, match=r"^flash_attention did not take effect"):
        verify(config.updated(model={"flash_attention": False}), seen)


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch):
    (rung,) = [rung for rung in RUNGS if rung.name == "torch.compile"]
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert missing(rung, GROUNDED, CPU) == "no C++ compiler was found"


def test_every_speed_setting_of_a_run_is_a_rung():
    """A switch that is added to the settings must be added here."""
    switched = {name for rung in RUNGS for name in (*rung.train, *rung.model)}
    assert switched >= {
        "autocast",
        "tf32",
        "compile",
        "fused_adamw",
        "grad_checkpointing",
        "flash_attention",
        "vocab_multiple",
    }
    assert set(GROUND.train) | set(GROUND.model) >= switched
