"""What a run is: settings that are validated once, frozen, and the same from JSON."""

import inspect
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from playattention import config
from playattention.config import (
    GPT2_PRESETS,
    DataConfig,
    GPT2Config,
    GPTConfig,
    ModelConfig,
    RunConfig,
    Settings,
    TrainConfig,
)
from playattention.errors import UserError
from playattention.models import build_model

KINDS = [
    kind
    for _, kind in inspect.getmembers(config, inspect.isclass)
    if issubclass(kind, Settings) and kind is not Settings
]
"""Every class of settings."""
FIELDS = [(kind, name) for kind in KINDS for name in kind.model_fields]

MODELS = {
    "gpt": GPTConfig(n_layer=3, n_head=5, n_embd=35, seq_size=17, dropout=0.3, vocab_size=7),
    "gpt2": GPT2Config(n_layer=1, n_embd=24, seq_size=8, flash_attention=False, vocab_multiple=1),
} | {f"preset {name}": GPT2Config.preset(name) for name in GPT2_PRESETS}


def refused(kind: type[Settings], **values: Any) -> str:
    """Return the one line that refuses these settings."""
    with pytest.raises(UserError) as caught:
        kind(**values)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


def test_the_classes_of_settings_are_all_looked_at():
    """Each part of a run is in KINDS, over which the tests below go."""
    assert {ModelConfig, GPTConfig, GPT2Config, DataConfig, TrainConfig, RunConfig} <= set(KINDS)


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_every_field_is_described(kind: type[Settings], name: str):
    """A field's docstring is its help on the command line."""
    assert kind.model_fields[name].description


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_settings_are_frozen(kind: type[Settings], name: str):
    made = kind()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, name, getattr(made, name))


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_an_unknown_key_is_refused_with_the_nearest(kind: type[Settings], name: str):
    assert refused(kind, **{f"{name}_": 1}).startswith(
        f"unknown setting '{name}_' (did you mean '{name}'?); allowed: "
    )


@pytest.mark.parametrize(
    ("part", "wrong", "nearest"),
    [
        ("model", {"name": "gpt", "n_embed": 8}, "n_embd"),
        ("data", {"tokeniser": "char"}, "tokenizer"),
        ("train", {"stpes": 3}, "steps"),
    ],
)
def test_an_unknown_key_inside_a_part_is_compared_with_the_keys_of_that_part(
    part: str, wrong: dict[str, Any], nearest: str
):
    assert f"did you mean '{nearest}'?" in refused(RunConfig, **{part: wrong})


@pytest.mark.parametrize("name", ["head_size", "padded_vocab_size"])
def test_what_follows_from_other_fields_is_no_field(name: str):
    assert refused(GPT2Config, **{name: 64}).startswith(f"unknown setting '{name}'")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (GPTConfig, "n_embd", "wide"),
        (GPTConfig, "n_layer", 2.5),
        (GPTConfig, "name", "gpt2"),
        (GPT2Config, "flash_attention", "perhaps"),
        (DataConfig, "dataset", 3),
        (DataConfig, "sampling", "shuffled"),
        (TrainConfig, "steps", None),
        (TrainConfig, "betas", 0.9),
        (TrainConfig, "device", "gpu"),
        (RunConfig, "model", 5),
        (RunConfig, "model", {"name": "gtp"}),
    ],
)
def test_a_wrong_type_is_told_with_field_and_value(kind: type[Settings], field: str, value: object):
    assert refused(kind, **{field: value}).startswith(f"{field} = {value!r}: input ")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        *((kind, size, 0) for kind in (GPTConfig, GPT2Config) for size in ("n_embd", "n_head")),
        *((kind, size, 0) for kind in (GPTConfig, GPT2Config) for size in ("n_layer", "seq_size")),
        *((kind, "vocab_size", 0) for kind in (GPTConfig, GPT2Config)),
        (GPTConfig, "dropout", 1.0),
        (GPTConfig, "dropout", -0.1),
        (GPT2Config, "vocab_multiple", 0),
        (DataConfig, "train_val_split", 0.0),
        (DataConfig, "train_val_split", 1.0),
        (DataConfig, "eval_tokens", 0),
        *((TrainConfig, field, 0) for field in ("steps", "batch_size", "tokens_per_step")),
        *((TrainConfig, field, 0) for field in ("eval_every", "keep_every", "threads")),
        *((TrainConfig, field, 0.0) for field in ("epochs", "learning_rate")),
        *((TrainConfig, field, -1) for field in ("warmup_steps", "sample_tokens", "seed")),
        *((TrainConfig, field, -1.0) for field in ("min_learning_rate", "weight_decay")),
        (TrainConfig, "grad_clip", -1.0),
    ],
)
def test_a_value_out_of_range_is_told_with_what_is_allowed(
    kind: type[Settings], field: str, value: float
):
    assert re.match(
        rf"{field} = {re.escape(repr(value))}: input should be (greater|less) than",
        refused(kind, **{field: value}),
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (kind, name)
        for kind, name in FIELDS
        if kind.model_fields[name].annotation in (float, float | None)
    ],
)
def test_no_number_is_nan_or_infinite(kind: type[Settings], field: str, value: float):
    assert refused(kind, **{field: value}).startswith(f"{field} = {value}: ")


@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
@pytest.mark.parametrize("place", [0, 1])
def test_betas_are_rates_from_0_to_below_1(place: int, beta: float):
    betas = [0.9, 0.99]
    betas[place] = beta
    assert refused(TrainConfig, betas=tuple(betas)).startswith("betas")


def test_betas_of_0_are_allowed():
    assert TrainConfig(betas=(0.0, 0.0)).betas == (0.0, 0.0)


def test_the_lowest_learning_rate_may_not_be_above_the_highest():
    line = refused(TrainConfig, learning_rate=1e-4, min_learning_rate=1e-3)
    assert line == "min_learning_rate = 0.001: must not be above learning_rate = 0.0001"


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_every_seed_that_is_allowed_is_one_that_torch_takes(seed: int):
    generator = torch.Generator().manual_seed(TrainConfig(seed=seed).seed)
    assert generator.initial_seed() == seed


def test_a_seed_that_torch_would_refuse_is_refused():
    with pytest.raises(ValueError, match="Overflow"):
        torch.Generator().manual_seed(2**64)
    assert refused(TrainConfig, seed=2**64).startswith(f"seed = {2**64}: ")


def test_head_size_follows_from_channels_and_heads():
    assert GPTConfig(n_embd=48, n_head=6).head_size == 8


@settings(deadline=None)
@given(n_embd=st.integers(1, 500), n_head=st.integers(1, 30))
def test_heads_that_do_not_divide_the_channels_are_refused_with_sizes_that_do(
    n_embd: int, n_head: int
):
    if n_embd % n_head == 0:
        assert GPTConfig(n_embd=n_embd, n_head=n_head).head_size * n_head == n_embd
        return
    line = refused(GPTConfig, n_embd=n_embd, n_head=n_head)
    assert line.startswith(f"n_embd = {n_embd}: must be divisible by n_head = {n_head}; nearest: ")
    sizes, _, heads = line.split("nearest: ")[1].partition(", or n_head = ")
    assert GPTConfig(n_embd=n_embd, n_head=int(heads)).n_head == int(heads)
    for size in map(int, sizes.split(" or ")):
        assert GPTConfig(n_embd=size, n_head=n_head).n_embd == size
        assert abs(size - n_embd) < n_head


def test_a_step_is_one_micro_batch_unless_told_otherwise():
    run = RunConfig(model=GPTConfig(seq_size=32), train=TrainConfig(batch_size=5))
    assert (run.tokens_per_step, run.grad_accum) == (160, 1)


@settings(deadline=None)
@given(
    batch_size=st.integers(1, 20), seq_size=st.integers(1, 40), tokens_per_step=st.integers(1, 3000)
)
def test_a_step_is_filled_by_whole_micro_batches_or_refused_with_the_nearest(
    batch_size: int, seq_size: int, tokens_per_step: int
):
    def run(tokens: int) -> RunConfig:
        train = TrainConfig(batch_size=batch_size, tokens_per_step=tokens)
        return RunConfig(model=GPTConfig(seq_size=seq_size), train=train)

    if tokens_per_step % (batch_size * seq_size) == 0:
        made = run(tokens_per_step)
        assert made.tokens_per_step == tokens_per_step
        assert made.grad_accum * batch_size * seq_size == tokens_per_step
        return
    with pytest.raises(UserError, match=f"tokens_per_step = {tokens_per_step}: ") as caught:
        run(tokens_per_step)
    nearest = [int(tokens) for tokens in str(caught.value).split("nearest: ")[1].split(" or ")]
    assert nearest[-1] > tokens_per_step
    assert len(nearest) == 2 or tokens_per_step < batch_size * seq_size
    for tokens in nearest:
        assert abs(tokens - tokens_per_step) < batch_size * seq_size
        assert run(tokens).tokens_per_step == tokens


def test_another_batch_size_is_another_step_where_no_step_is_set():
    run = RunConfig(train=TrainConfig(batch_size=12))
    doubled = run.updated(train={"batch_size": 24})
    assert doubled.tokens_per_step == 2 * run.tokens_per_step
    assert doubled.grad_accum == 1


def test_another_batch_size_is_the_same_step_where_one_is_set():
    run = RunConfig(train=TrainConfig(batch_size=12, tokens_per_step=12 * 64))
    halved = run.updated(train={"batch_size": 6})
    assert halved.tokens_per_step == run.tokens_per_step
    assert halved.grad_accum == 2


def test_steps_are_those_of_the_settings_without_epochs():
    assert RunConfig(train=TrainConfig(steps=7)).steps(train_tokens=10**6) == 7


@pytest.mark.parametrize(("epochs", "steps"), [(1.0, 100), (2.5, 250), (0.1, 10), (1e-9, 1)])
def test_epochs_take_the_place_of_steps(epochs: float, steps: int):
    """So many passes over 64,000 tokens at 640 a step, and at least one step."""
    train = TrainConfig(steps=7, epochs=epochs, batch_size=5, tokens_per_step=640)
    assert RunConfig(model=GPTConfig(seq_size=64), train=train).steps(64_000) == steps


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_a_preset_has_as_many_weights_as_the_released_model(name: str, weights: int):
    """The counts of the released checkpoints, whose embedding table has no padding."""
    with torch.device("meta"):
        model = build_model(GPT2Config.preset(name, vocab_multiple=1))
    assert sum(weight.numel() for weight in model.parameters()) == weights


def test_the_default_gpt2_is_the_small_one():
    assert GPT2Config() == GPT2Config.preset("gpt2")


def test_a_preset_gives_way_to_what_is_set_beside_it():
    preset = GPT2Config.preset("gpt2-medium", n_layer=2, dropout=0.1)
    assert (preset.n_layer, preset.dropout, preset.n_embd) == (2, 0.1, 1024)


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown preset 'gpt2-xxl' \(did you mean 'gpt2-xl'\?\)"):
        GPT2Config.preset("gpt2-xxl")


@pytest.mark.parametrize(
    ("vocab_size", "multiple", "rows"),
    [(50_257, 128, 50_304), (50_257, 1, 50_257), (50_304, 128, 50_304), (1, 128, 128)],
)
def test_the_embedding_table_is_padded_to_the_next_multiple(
    vocab_size: int, multiple: int, rows: int
):
    sizes = GPT2Config(vocab_size=vocab_size, vocab_multiple=multiple)
    assert sizes.padded_vocab_size == rows


@pytest.mark.parametrize("name", MODELS)
def test_a_run_is_the_same_from_its_json(name: str):
    model = MODELS[name]
    run = RunConfig(model=model, train=TrainConfig(batch_size=2, epochs=0.5, threads=3))
    again = RunConfig.from_json(run.model_dump_json())
    assert again == run
    assert type(again.model) is type(model)


def test_a_run_is_the_same_from_json_laid_out_in_lines(small_run: RunConfig):
    assert RunConfig.from_json(small_run.model_dump_json(indent=2).encode()) == small_run


@settings(deadline=None)
@given(
    rate=st.floats(min_value=0.0, exclude_min=True, allow_infinity=False),
    beta=st.floats(min_value=0.0, max_value=1.0, exclude_max=True),
    split=st.floats(min_value=0.0, max_value=1.0, exclude_min=True, exclude_max=True),
    dataset=st.text(),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_number_and_name_survives_json_to_its_last_bit(
    rate: float, beta: float, split: float, dataset: str, seed: int
):
    run = RunConfig(
        data=DataConfig(dataset=dataset, train_val_split=split),
        train=TrainConfig(learning_rate=rate, min_learning_rate=rate, betas=(beta, 0.5), seed=seed),
    )
    assert RunConfig.from_json(run.model_dump_json()) == run


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('{"train": {"stpes": 1}}', "unknown setting 'stpes' (did you mean 'steps'?)"),
        ('{"modle": {}}', "unknown setting 'modle' (did you mean 'model'?)"),
        ('{"model": {"name": "gpt", "n_embd": 130}}', "n_embd = 130: must be divisible by"),
        ('{"model": {"n_embd": 64}}', "model = "),
        ('{"train": {"learning_rate": NaN}}', "learning_rate = nan: "),
        ('{"train": {"steps": 1', "RunConfig: invalid JSON: "),
        (b"\xff\xfe", "RunConfig: invalid JSON: "),
        ("[]", "RunConfig: "),
    ],
)
def test_json_that_is_no_run_is_refused_in_one_line(text: str | bytes, start: str):
    with pytest.raises(UserError) as caught:
        RunConfig.from_json(text)
    line = str(caught.value)
    assert line.startswith(start)
    assert len(line.splitlines()) == 1


def test_an_update_leaves_the_original_as_it_was():
    run = RunConfig()
    assert run.updated(train={"steps": 9}, model={"n_layer": 1}).train.steps == 9
    assert run == RunConfig()


def test_an_update_is_validated_anew():
    with pytest.raises(UserError, match="steps = 0: "):
        RunConfig().updated(train={"steps": 0})


def test_an_update_of_one_part_is_checked_against_the_others():
    run = RunConfig(train=TrainConfig(tokens_per_step=12 * 64))
    with pytest.raises(UserError, match="tokens_per_step = 768: must be a multiple of"):
        run.updated(model={"seq_size": 60})
