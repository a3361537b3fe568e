"""What may change when a run goes on, and what the user is told of it."""

import json
import re
from pathlib import Path

import pytest

from playattention.config import RunConfig
from playattention.errors import UserError
from playattention.training.changes import apply_changes
from playattention.training.loop import resume, train
from playattention.training.report import read_log
from playattention.training.run import create_run, read_config
from tests.training.conftest import outcome

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def run(gpt_config: RunConfig) -> Path:
    """A finished run."""
    return train(gpt_config, "a", quiet=True)


@pytest.fixture
def longer(run: Path) -> Path:
    """A run with steps left to do."""
    apply_changes(run, changed(run, train={"steps": 8}))
    return run


def changed(folder: Path, **parts: dict) -> RunConfig:
    """Return a run's settings with some changed."""
    return read_config(folder).updated(**parts)


def test_a_run_that_goes_on_as_it_was_is_told_nothing(run: Path):
    before = (run / "config.json").read_bytes()
    assert apply_changes(run, changed(run)) == []
    assert (run / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("part", "field", "value", "before"),
    [
        ("train", "batch_size", 1, 2),
        ("train", "learning_rate", 0.01, 0.001),
        ("train", "betas", (0.9, 0.95), (0.9, 0.99)),
        ("train", "weight_decay", 0.0, 0.1),
        ("train", "grad_clip", 0.0, 1.0),
        ("train", "eval_every", 1, 2),
        ("train", "keep_every", 2, None),
        ("train", "sample_tokens", 0, 5),
        ("train", "threads", 2, 1),
        ("data", "eval_tokens", 50, 100),
    ],
)
def test_settings_of_training_may_change_and_are_told(
    longer: Path, part: str, field: str, value: object, before: object
):
    """They are kept, so that they hold when the run goes on again."""
    wanted = changed(longer, **{part: {field: value}})
    assert apply_changes(longer, wanted) == [f"{part}.{field}: {before} -> {value}"]
    assert read_config(longer) == wanted
    assert apply_changes(longer, wanted) == []


def test_a_finished_run_keeps_the_settings_that_it_was_trained_with(run: Path):
    before = read_config(run)
    with pytest.raises(UserError) as error:
        apply_changes(run, changed(run, train={"batch_size": 1}))
    assert str(error.value) == (
        "train.batch_size = 1: logs/a has done all of its 4 steps with 2; "
        "allowed: 2, or --train.steps above 4 beside it"
    )
    assert read_config(run) == before
    apply_changes(run, changed(run, train={"batch_size": 1, "steps": 5}))
    assert read_config(run).train.batch_size == 1


@pytest.mark.parametrize(
    ("part", "field", "value", "before"),
    [
        ("model", "n_embd", 16, 8),
        ("model", "n_head", 4, 2),
        ("model", "n_layer", 2, 1),
        ("model", "dropout", 0.5, 0.0),
        ("train", "seed", 1, 1337),
        ("data", "dataset", "playhouse", None),
        ("data", "tokenizer", "gpt2", "char"),
        ("data", "train_val_split", 0.5, 0.9),
        ("data", "sampling", "random", "permutation"),
    ],
)
def test_what_makes_another_run_is_refused_with_both_values(
    run: Path, part: str, field: str, value: object, before: object
):
    """Nothing is taken over, also not what was changed beside it and is allowed."""
    stored = read_config(run)
    before = stored.data.dataset if field == "dataset" else before
    wanted = changed(run, **{part: {field: value}}).updated(train={"eval_every": 3})
    with pytest.raises(UserError) as error:
        apply_changes(run, wanted)
    assert str(error.value) == (
        f"{part}.{field} = {value}: logs/a has {before}, and it can't change when a run goes on; "
        "allowed: train.* but seed, data.eval_tokens; or start a new run"
    )
    assert read_config(run) == stored


def test_changes_are_told_in_the_order_of_the_settings(longer: Path):
    wanted = changed(
        longer,
        data={"eval_tokens": 9},
        train={"sample_tokens": 1, "batch_size": 1, "eval_every": 3},
    )
    assert [line.split(":")[0] for line in apply_changes(longer, wanted)] == [
        "data.eval_tokens",
        "train.batch_size",
        "train.eval_every",
        "train.sample_tokens",
    ]


def test_more_steps_extend_a_finished_run_and_the_jump_of_the_rate_is_told(run: Path):
    """The rates that are told are those that log.csv has in the end."""
    told = apply_changes(run, changed(run, train={"steps": 8}))
    assert told[0] == "train.steps: 4 -> 8"
    match = re.fullmatch(
        r"the cosine schedule now ends at step 8: the learning rate goes from (\S+) at step 4 "
        r"to (\S+) at step 5, and on from there",
        told[1],
    )
    assert len(told) == 2
    resume(run, quiet=True)
    rates = [row.learning_rate for row in read_log(run)]
    assert [f"{rate:.2e}" for rate in rates[4:6]] == list(match.groups())
    assert len(rates) == 9
    assert rates[8] == pytest.approx(1e-4)


def test_steps_that_are_added_in_two_goes_are_those_of_one(gpt_config: RunConfig):
    """With a constant rate, where the number of steps changes nothing but the end."""
    config = gpt_config.updated(train={"schedule": "constant", "eval_every": 1, "keep_every": 1})
    longer = outcome(train(config.updated(train={"steps": 8}), "longer", quiet=True))
    folder = train(config, "extended", quiet=True)
    told = apply_changes(folder, changed(folder, train={"steps": 8}))
    assert told[1].startswith("the constant schedule now ends at step 8: the learning rate goes ")
    resume(folder, quiet=True)
    assert outcome(folder) == longer


@pytest.mark.parametrize("steps", [3, 1])
def test_a_run_is_not_made_shorter_than_it_is(run: Path, steps: int):
    """The setting that was refused is not kept either."""
    with pytest.raises(UserError) as error:
        apply_changes(run, changed(run, train={"steps": steps}))
    told = f"steps = {steps}: logs/a has done 4 already; allowed: more than that"
    assert str(error.value) == told
    assert read_config(run).train.steps == 4


def test_a_run_that_has_no_checkpoint_yet_may_have_any_number_of_steps(gpt_config: RunConfig):
    folder = create_run(gpt_config, "a")
    assert apply_changes(folder, changed(folder, train={"steps": 1})) == ["train.steps: 4 -> 1"]


@pytest.mark.parametrize(
    ("fact", "there"), [("torch", "1.0"), ("cores", 1024), ("processor", "Z80"), ("device", "TPU")]
)
def test_another_machine_is_announced_and_no_obstacle(run: Path, fact: str, there: object):
    facts = json.loads((run / "machine.json").read_text())
    here = facts[fact]
    (run / "machine.json").write_text(json.dumps({**facts, fact: there}))
    assert apply_changes(run, changed(run)) == [
        f"{fact}: {there} at the start, {here} here: last bits may differ"
    ]


def test_settings_that_can_not_be_written_are_told_and_stay_as_they_were(run: Path):
    stored = read_config(run)
    (run / ".config.json.partial").mkdir()
    with pytest.raises(UserError, match=r"^logs/a/config\.json: cannot be written \(.+\)$"):
        apply_changes(run, changed(run, train={"steps": 8}))
    assert read_config(run) == stored
