"""A plan says what will be: what fits is trained, what can't is refused with what would."""

from typing import Any

import pytest

from playattention.bench import plan
from playattention.bench.memory import GIB
from playattention.bench.plan import (
    MARGIN,
    Target,
    check_fits,
    checkpoint_bytes,
    checkpoints_kept,
    data_bytes,
    decided,
    even_batch,
    largest_batch,
    needed,
    tokens_per_second,
)
from playattention.bench.sizes import flops_per_token, weights
from playattention.bench.trace import trace
from playattention.config import GPT2Config, GPTConfig, ModernConfig, RunConfig, TrainConfig
from playattention.errors import UserError
from playattention.training import checkpoint, recipe
from playattention.training.loop import train

H100 = Target("h100", 80 * 10**9, gpu=True, has_bf16=True)
LAPTOP = Target("laptop", 12 * GIB, gpu=False, has_bf16=False)


def test_auto_is_decided_for_the_device_not_for_this_machine():
    config = recipe("gpt2")
    on_gpu, on_cpu = decided(config, H100).train, decided(config, LAPTOP).train
    assert (on_gpu.autocast, on_gpu.compile) == ("bf16", "on")
    assert (on_cpu.autocast, on_cpu.compile) == ("off", "off")
    old = Target("t4", 16 * 10**9, gpu=True, has_bf16=False)
    assert decided(config, old).train.autocast == "off"
    asked = config.updated(train={"autocast": "fp16", "compile": "off"})
    assert decided(asked, H100).train.autocast == "fp16"


def test_the_vocabulary_is_the_tokenizers():
    assert decided(recipe("gpt"), LAPTOP).model.vocab_size == 65
    tokens = recipe("gpt").updated(data={"tokenizer": "gpt2"})
    assert decided(tokens, LAPTOP).model.vocab_size == 50_257
    letters = recipe("gpt2").updated(data={"tokenizer": "char"})
    assert decided(letters, LAPTOP).model.vocab_size == 65
    own = recipe("gpt2").updated(model={"vocab_size": 99})
    assert decided(own, LAPTOP).model.vocab_size == 99


def test_a_step_keeps_its_tokens_on_any_number_of_devices_or_tells_the_nearest():
    eight = Target("h100", 80 * 10**9, gpu=True, has_bf16=True, devices=8)
    assert decided(recipe("gpt2"), eight).tokens_per_step == 524_288
    three = Target("h100", 80 * 10**9, gpu=True, has_bf16=True, devices=3)
    with pytest.raises(UserError, match=r"x devices = 16 x 1024 x 3 = 49152; nearest: 491520 or"):
        decided(recipe("gpt2"), three)


@pytest.mark.parametrize("target", [H100, LAPTOP])
@pytest.mark.parametrize("changes", [{}, {"grad_checkpointing": True}, {"autocast": "bf16"}])
def test_the_largest_batch_fits_with_a_margin_and_one_more_does_not(
    target: Target, changes: dict[str, Any]
):
    config = decided(recipe("gpt2").updated(train=changes), target)
    most = largest_batch(config, target)

    def share(batch_size: int) -> float:
        total = needed(plan.with_batch(config, batch_size, target), target).total
        return total * (1 + MARGIN) / target.memory

    assert most >= 1
    assert share(most) <= 1 < share(most + 1)


def test_the_batch_that_divides_a_step_is_the_largest_such_that_fits():
    config = decided(recipe("gpt2"), H100)
    even, most = even_batch(config, H100), largest_batch(config, H100)
    assert 512 % even == 0
    assert even <= most
    assert not [size for size in range(even + 1, most + 1) if 512 % size == 0]


def test_nothing_fits_where_the_weights_alone_do_not():
    tiny = Target("tiny", GIB, gpu=True, has_bf16=True)
    assert largest_batch(decided(recipe("gpt2"), tiny), tiny) == 0


# Refusing.


def test_what_can_not_fit_is_refused_in_one_line_with_what_would():
    config = decided(recipe("gpt2"), LAPTOP)
    with pytest.raises(UserError) as refused:
        check_fits(config, LAPTOP)
    line = str(refused.value)
    assert line.startswith("batch_size = 16: a step needs about 20.2 GiB, and laptop has 12.0 GiB")
    assert "\n" not in line
    allowed = line.split("; allowed: ")[1].split(", or ")
    assert allowed[0] == f"--train.batch-size up to {even_batch(config, LAPTOP)}"
    assert allowed[1].startswith("--train.grad-checkpointing with --train.batch-size up to ")
    for batch_size, checkpointing in ((allowed[0], False), (allowed[1], True)):
        size = int(batch_size.rsplit(" ", 1)[1])
        changed = config.updated(train={"batch_size": size, "grad_checkpointing": checkpointing})
        check_fits(changed, LAPTOP)


def test_flash_attention_and_fsdp_are_offered_where_they_help():
    config = RunConfig(
        model=GPT2Config(flash_attention=False, seq_size=8192),
        train=TrainConfig(batch_size=8, autocast="bf16", compile="off"),
    )
    with pytest.raises(UserError, match=r"--model\.flash-attention with --train\.batch-size"):
        check_fits(config, H100)
    large = decided(recipe("gpt2").updated(model={"n_layer": 400}), H100)
    eight = Target("h100", 80 * 10**9, gpu=True, has_bf16=True, devices=8)
    with pytest.raises(UserError, match=r"--train\.parallel fsdp with"):
        check_fits(large, eight)


def test_what_no_batch_makes_fit_is_told_so():
    tiny = Target("tiny", GIB, gpu=True, has_bf16=True)
    with pytest.raises(UserError, match=r"allowed: a smaller model .* --train.parallel fsdp$"):
        check_fits(decided(recipe("gpt2"), tiny), tiny)


def test_nothing_is_refused_that_would_fit_if_the_estimate_were_10_percent_too_high():
    config = decided(recipe("gpt2"), LAPTOP)
    need = needed(config, LAPTOP).total
    check_fits(config, Target("just", int(need * 0.9) + 1, gpu=False, has_bf16=False))
    with pytest.raises(UserError):
        check_fits(config, Target("not", int(need * 0.9) - 1, gpu=False, has_bf16=False))


# Disk and time.


@pytest.mark.parametrize(("kind", "optimizer"), [(GPTConfig, "adamw"), (ModernConfig, "muon")])
def test_a_checkpoint_is_as_large_on_disk_as_planned(kind: Any, optimizer: str, text_file):
    config = RunConfig(
        model=kind(n_embd=64, n_layer=2, seq_size=16),
        data={"dataset": str(text_file), "eval_tokens": 100},
        train=TrainConfig(
            steps=2, eval_every=1, sample_tokens=0, device="cpu", optimizer=optimizer
        ),
    )
    folder = train(config, quiet=True)
    saved = checkpoint.saved_steps(folder)
    files = checkpoint.folder_of(folder, saved[-1]).iterdir()
    size = sum(path.stat().st_size for path in files)
    run = config.updated(model={"vocab_size": len(set(text_file.read_text()))})
    assert size == pytest.approx(checkpoint_bytes(run), rel=0.05)
    assert len(saved) + 1 <= checkpoints_kept(run, 2)


def test_kept_checkpoints_add_up():
    config = recipe("gpt2")
    assert checkpoints_kept(config, 19_073) == 4
    assert checkpoints_kept(config.updated(train={"keep_every": 1_000}), 10_000) == 14
    assert checkpoints_kept(config, 1) == 2


def test_tokens_take_two_bytes_or_four():
    assert data_bytes(recipe("gpt2"), 10**10) == 2 * 10**10
    assert data_bytes(recipe("gpt2").updated(model={"vocab_size": 70_000}), 10) == 40


def test_the_time_follows_from_a_share_of_the_peak():
    """The field's own figure: 468k tokens/s a GPU would be 40.5 % of an H100 SXM's peak."""
    model = recipe("gpt2")
    speed = tokens_per_second(model, 0.405, 989e12, devices=8)
    assert speed / 8 == pytest.approx(468_000, rel=0.01)
    assert flops_per_token(model.model) == 6 * 123_532_032 + 12 * 12 * 768 * 1024
    assert sum(weights(model.model).values()) == 124_475_904


@pytest.mark.parametrize("kind", [GPTConfig, GPT2Config, ModernConfig])
@pytest.mark.parametrize("batch_size", [2, 24])
def test_a_whole_run_takes_the_memory_that_was_planned(kind: Any, batch_size: int, text_file):
    """Steps, evaluations, samples and checkpoints: with a small batch evaluating takes most."""
    config = RunConfig(
        model=kind(n_embd=64, n_head=2, n_layer=2, seq_size=64),
        data={"dataset": str(text_file), "tokenizer": "char", "eval_tokens": 400},
        train=TrainConfig(
            steps=2, batch_size=batch_size, eval_every=2, sample_tokens=2, device="cpu"
        ),
    )
    run = config.updated(model={"vocab_size": len(set(text_file.read_text()))})
    took = trace(lambda: train(config, quiet=True)).peak
    assert took == pytest.approx(needed(decided(run, LAPTOP), LAPTOP).total, rel=0.1)
