"""The ladder: rungs stand on each other, are timed in turns, and leave files."""

import json
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch

from playattention.bench import ladder, ladder_files
from playattention.bench.ladder import Ladder, Missing, Peak, Row, measured_peak
from playattention.bench.ladder_files import Result
from playattention.bench.switches import GROUND, RUNGS, SwitchError
from playattention.config import GPT2Config, RunConfig, TrainConfig
from playattention.training.distributed import decide

CPU = torch.device("cpu")
CONFIG = RunConfig(
    model=GPT2Config(n_embd=32, n_head=2, n_layer=2, seq_size=16, vocab_size=53),
    train=TrainConfig(batch_size=2),
)
FAST_BF16 = Peak({"fp32": 1e9, "tf32": 1e9, "bf16": 2e9}, "made up")
SLOW_BF16 = Peak({"fp32": 2e9, "tf32": 2e9, "bf16": 1e9}, "made up")
UNCOMPILED = tuple(rung for rung in RUNGS if rung.name != "torch.compile")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the rung that takes half a minute."""
    monkeypatch.setattr(ladder, "RUNGS", UNCOMPILED)


def climb(peak: Peak = FAST_BF16, steps: int = 3) -> tuple[list[Row], list[Missing]]:
    found = list(Ladder(CPU, peak, steps).climb(CONFIG))
    return (
        [one for one in found if isinstance(one, Row)],
        [one for one in found if isinstance(one, Missing)],
    )


def test_each_rung_stands_on_those_before_and_side_rungs_carry_none(uncompiled: None):
    rows, missing = climb()
    assert [row.switch for row in rows] == [
        "nothing (float32)",
        "autocast bf16",
        "flash attention",
        "padded vocabulary",
        "fused AdamW",
        "gradient checkpointing",
    ]
    assert [one.switch for one in missing] == ["TF32", "autocast fp16"]
    assert [row.side for row in rows] == [False] * 5 + [True]
    last = rows[-1].seen
    assert (last["products"], last["fused AdamW"]) == (["bf16"], True)
    assert last["attention"] == ["scaled_dot_product_flash_attention_for_cpu"]


def test_bf16_that_is_slower_here_is_measured_beside(uncompiled: None):
    rows, _ = climb(SLOW_BF16)
    assert [row.switch for row in rows if row.side] == ["autocast bf16", "gradient checkpointing"]
    assert rows[1].seen["products"] == ["bf16"]
    assert all(row.seen["products"] == ["fp32"] for row in rows[2:])


@pytest.mark.slow
def test_a_rows_figures_follow_from_its_times(uncompiled: None):
    first, second, *_ = climb(steps=5)[0]
    assert len(second.milliseconds) == len(second.faster) == 5
    assert second.tokens_per_second == pytest.approx(1000 * 32 / second.median)
    operations = 6 * (12 * 2 * 32**2 + 53 * 32) + 12 * 2 * 32 * 16
    assert second.mfu == pytest.approx(second.tokens_per_second * operations / 2e9)
    assert first.mfu == pytest.approx(first.tokens_per_second * operations / 1e9)
    lower, upper = second.quartiles
    assert min(second.milliseconds) <= lower <= second.median <= upper <= max(second.milliseconds)
    assert first.faster == []


@pytest.mark.slow
def test_the_memory_of_each_row_is_near_its_plan(uncompiled: None):
    for row in climb(steps=1)[0]:
        assert row.memory == pytest.approx(row.planned_memory, rel=0.1)


def test_a_switch_without_effect_ends_the_climb(uncompiled: None, monkeypatch: pytest.MonkeyPatch):
    """As if fused AdamW were set and PyTorch went on as before."""
    build = ladder.Step.__init__

    def unfused(step: Any, config: RunConfig, device: torch.device) -> None:
        build(step, config.updated(train={"fused_adamw": False}), device)

    monkeypatch.setattr(ladder.Step, "__init__", unfused)
    with pytest.raises(SwitchError, match="fused_adamw did not take effect"):
        climb()


def test_steps_are_taken_in_turns(monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    mine, theirs = ladder._take_turns(
        lambda: order.append("mine"), lambda: order.append("theirs"), 3
    )
    assert order == ["mine", "theirs"] * 3
    assert len(mine) == len(theirs) == 3


def test_a_slow_rung_stops_after_three_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ladder, "SECONDS_OF_A_RUNG", 0)
    mine, theirs = ladder._take_turns(lambda: None, None, 50)
    assert (len(mine), theirs) == (3, [])


@pytest.mark.slow
@pytest.mark.skipif(decide(TrainConfig(compile="on"))["compile"] == "off", reason="no C++ compiler")
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_the_whole_ladder_with_compiled_rungs():
    rows, _ = climb()
    assert [row.switch for row in rows][2] == "torch.compile"
    assert [row.seen["graphs"] for row in rows] == [0, 0, 1, 1, 1, 1, 1]
    for row in rows:
        assert row.memory == pytest.approx(row.planned_memory, rel=0.15)


# Peaks.


def test_the_peak_of_a_cpu_is_measured():
    peak = measured_peak(CPU)
    assert peak.source == "matrix products measured here"
    assert set(peak.operations) == {"fp32", "tf32", "bf16"}
    assert peak.operations["fp32"] > 1e8
    assert peak.of(CONFIG.updated(train={"autocast": "bf16"})) == peak.operations["bf16"]
    assert peak.of(CONFIG.updated(train={"autocast": "off"})) == peak.operations["fp32"]


# Files.

ROWS = [
    Row("nothing (float32)", False, [10.0, 11.0, 12.0], 3000.0, 2**20, 2**20, 0.2, [], {"a": 1}),
    Row("autocast bf16", True, [90.0], 333.3, 2**19, 2**19, 0.1, [0.12], {"a": 2}),
    Row("fused AdamW", False, [8.0, 9.0, 9.5], 3700.0, 2**20, 2**20, 0.25, [1.2, 1.3], {"a": 3}),
]
RESULT = Result(CONFIG, {"device_name": "a $ machine"}, FAST_BF16, ROWS, [Missing("TF32", "why")])


def test_every_step_is_written():
    folder = Path("made/here")
    ladder_files.write(folder, RESULT)
    results = json.loads((folder / "ladder.json").read_text())
    assert [row["milliseconds"]["raw"] for row in results["rows"]] == [
        row.milliseconds for row in ROWS
    ]
    assert results["rows"][2]["milliseconds"]["median"] == 9.0
    assert results["rows"][2]["faster"]["median"] == pytest.approx(1.25)
    assert results["rows"][0]["faster"] == {"median": None, "raw": []}
    assert results["missing"] == [{"switch": "TF32", "reason": "why"}]
    assert results["peak"]["source"] == "made up"
    assert results["model"]["n_embd"] == 32


def test_the_plot_is_a_small_picture():
    ladder_files.write(Path("here"), RESULT)
    picture = Path("here/ladder.png")
    height, width, _ = matplotlib.image.imread(picture).shape
    assert width > height > 100
    assert picture.stat().st_size < 200_000


def test_ground_is_the_first_rung():
    assert RUNGS[0] is GROUND
