"""Each part of the bench, at sizes of seconds; and the commands that they start."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from playattention import cli
from playattention.bench.parts import MEANINGS, PARTS, Setting, laptop_recipe, measure
from playattention.bench.parts.generation import needs, ready
from playattention.bench.parts.growth import WHAT
from playattention.bench.parts.processes import options, started, training, whole
from playattention.bench.results import Figure, Growth
from playattention.bench.sizes import weights
from playattention.config import GPT2Config, RunConfig, TrainConfig
from playattention.data import tinyshakespeare
from playattention.errors import UserError
from playattention.models.model_gpt import GPTModel
from playattention.training import RECIPES, recipe
from tests.bench.benched import TINY

CPU = torch.device("cpu")


def found(name: str, folder: Path) -> tuple[list[Figure], list[Growth]]:
    """Return what a part measures."""
    scratch = folder / "scratch"
    scratch.mkdir()
    everything = list(measure(name)(Setting(TINY, CPU, scratch)))
    return (
        [one for one in everything if isinstance(one, Figure)],
        [one for one in everything if isinstance(one, Growth)],
    )


def test_every_part_has_a_meaning_and_a_time():
    assert list(MEANINGS) == ["limits", *PARTS]
    assert set(TINY.seconds) == set(PARTS)


def test_every_recipe_is_generated_with_alone_and_in_a_batch(own_folder: Path):
    figures, _ = found("generation", own_folder)
    names = [*(f"{name} 1x16" for name in RECIPES), "GPT-2 1x32"]
    assert [one.name for one in figures] == [
        f"{name}, {texts}" for name in names for texts in ("1 text", "3 texts")
    ]
    assert all(one.unit == "tokens/s" and one.raw[0] > 0 for one in figures)
    alone, together = figures[:2]
    assert together.needs["read"] == pytest.approx(alone.needs["read"] / 3)
    assert together.needs["fp32"] == alone.needs["fp32"]


def test_no_text_outgrows_its_context(own_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Past it each token costs a whole window: another thing than writing with a cache."""
    rooms = []

    def note(model: GPTModel, prompt: torch.Tensor, tokens: int, **_: object) -> None:
        rooms.append(model.config.seq_size - prompt.size(1) - tokens)

    monkeypatch.setattr("playattention.bench.parts.generation.generate", note)
    scratch = Setting(replace(TINY, written=100), CPU, own_folder)
    assert list(measure("generation")(scratch))
    assert min(rooms) >= 0


def test_a_token_reads_every_weight_once_but_one_position():
    config = GPT2Config(n_layer=2, n_head=2, n_embd=16, seq_size=32, vocab_size=50)
    every = 4 * sum(weights(config).values())
    read = needs(ready(config, CPU), 1)["read"]
    assert read == every - 4 * 31 * 16
    cached = needs(ready(config, CPU), 1, cached=10)["read"] - read
    assert cached == 4 * 2 * 2 * 16 * 10


def test_a_batch_is_told_in_milliseconds_and_as_a_share_of_its_step(own_folder: Path):
    figures, _ = found("loader", own_folder)
    assert [(one.name, one.unit) for one in figures] == [
        row
        for name in RECIPES
        for batch in [laptop_recipe(name, TINY).train.batch_size]
        for row in ((f"{name}: a batch of {batch} x 64", "ms"), (f"{name}: of its step", "%"))
    ]


def test_each_model_is_watched_and_not(own_folder: Path):
    figures, _ = found("xray", own_folder)
    names = [*(f"{name} 1x16, 64" for name in RECIPES), "GPT-2 1x32, 16"]
    assert [one.name for one in figures] == [
        f"{name} tokens, {how}" for name in names for how in ("watched", "not watched")
    ]
    watched, plain = figures[:2]
    assert watched.needs["fp32"] == plain.needs["fp32"] > 0
    assert watched.needs["read"] > 0  # what it keeps


def test_all_that_grows_is_measured_over_every_size(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gc.collect", lambda: 0)  # a tenth of a second, for each of 24 models
    _, growth = found("growth", own_folder)
    assert [(one.what, one.axis) for one in growth] == [
        (what, axis) for what in WHAT for axis in TINY.growth_axes
    ]
    for one in growth:
        assert [len(raw) for raw in one.raw] == [1, 1]
        assert one.needs[1]["fp32"] > one.needs[0]["fp32"]
    batch = growth[3]
    assert batch.needs[1]["fp32"] == 2 * batch.needs[0]["fp32"]


def test_a_large_recipe_is_taken_down_and_trained_as_the_small_one():
    small = laptop_recipe("gpt2", TINY)
    assert (small.model.n_embd, small.model.name) == (16, "gpt2")
    assert small.train == TrainConfig()
    assert laptop_recipe("gpt", TINY).train == recipe("gpt").train


@pytest.mark.parametrize("name", RECIPES)
def test_the_words_of_settings_are_those_settings(name: str, monkeypatch: pytest.MonkeyPatch):
    """Parsed as a user's, they give the same run."""
    changes = {"betas": (0.5, 0.6), "fused_adamw": False, "steps": 7, "tokens_per_step": None}
    config = laptop_recipe(name, TINY).updated(train=changes, data={"dataset": "a text.txt"})
    parsed: list[RunConfig] = []
    monkeypatch.setattr(
        "playattention.commands.train.Train.run", lambda self: parsed.append(self.config)
    )
    assert cli.main(["train", name, *options(config)]) == 0
    untold = {"vocab_size": parsed[0].model.vocab_size}
    assert parsed[0] == config.updated(model=untold)


def test_a_command_that_fails_is_told_by_its_last_line(own_folder: Path):
    with pytest.raises(UserError, match=r"^a command failed: .*unknown command 'trian'"):
        whole(["trian"], own_folder)


def test_a_command_is_ended_with_the_part_that_needs_it(own_folder: Path):
    with started(["gpu", "--every", "100"], own_folder) as process:
        time.sleep(0.1)
        assert process.poll() is None
    assert process.poll() is not None


@pytest.mark.slow
def test_a_training_is_watched_from_its_start_and_ended_early(text_file: Path):
    config = laptop_recipe("gpt", TINY).updated(
        data={"dataset": str(text_file), "eval_tokens": 200},
        train={"steps": 100_000, "eval_every": 5, "sample_tokens": 0},
    )
    began, seen = time.perf_counter(), []
    for seconds, row in training(config, text_file.parent / "new"):
        seen.append(row.step)
        assert 0 < seconds < time.perf_counter() - began + 1
        if row.step == 10:
            break
    assert seen == list(range(11))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["training", "loss", "ingestion", "page"])
def test_the_parts_that_start_commands_measure_them(name: str, own_folder: Path):
    figures, _ = found(name, own_folder)
    expected = {
        "training": ["playattention --help", *RECIPES, *RECIPES, "GPT-2 1x32, 1 x 16"],
        "loss": [f"{one} to 4.1 on playhouse" for one in RECIPES],
        "ingestion": ["tiktoken alone, one thread", "JSON lines to shards"],
        "page": ["first answer, from the start", *(one for one in RECIPES for _ in range(3))],
    }[name]
    assert len(figures) == len(expected)
    for one in figures:
        assert any(one.name.startswith(words) for words in expected)
        assert min(one.raw) > 0
        assert one.part == name


def test_the_loss_is_measured_on_tiny_shakespeare_where_it_is(own_folder: Path):
    from playattention.bench.parts.loss import _text

    assert _text(own_folder)[0] == "playhouse"
    tinyshakespeare.HOME.parent.mkdir(parents=True)
    tinyshakespeare.HOME.write_text("the text")
    name, path = _text(own_folder)
    assert (name, path.read_text(), path.is_absolute()) == ("tinyshakespeare", "the text", True)
