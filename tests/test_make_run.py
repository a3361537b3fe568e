"""`make run`, as the README promises it, from the Makefile to plays that keep their rules."""

import re
import subprocess
from pathlib import Path

import pytest
import torch

from playattention import generate, load_run
from playattention.data.playhouse_rules import Judged, judge
from playattention.training.report import Row, read_log
from playattention.training.run import read_facts

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def told() -> str:
    """What `make run` printed."""
    done = subprocess.run(
        ["make", "run"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(told: str) -> Path:
    """The run that it left."""
    return ROOT / re.search(r"^run folder: (.*)$", told, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def last_row(folder: Path) -> Row:
    """The end of its log."""
    return read_log(folder)[-1]


def speeches(folder: Path, step: int | None) -> list[Judged]:
    """Judge what a checkpoint writes, 16 texts side by side."""
    run = load_run(folder, step)
    prompt = torch.tensor([run.tokenizer.encode("\n\n")]).repeat(16, 1)
    ids = generate(run.model, prompt, 1500, generator=torch.Generator().manual_seed(1))
    texts = [run.tokenizer.decode(row) for row in ids.tolist()]
    return [speech for text in texts for speech in judge(text).speeches]


def share(judged: list[Judged]) -> float:
    """Share of the speeches that keep all rules that apply to them."""
    return sum(speech.obeys for speech in judged) / max(len(judged), 1)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def test_it_says_what_the_model_writes_where_everything_lies_and_what_to_try(told: str) -> None:
    assert "what the model writes at step 0" in told
    assert "losses.png" in told
    assert "playattention generate " in told


def test_the_loss_comes_within_015_nats_of_the_floor(folder: Path, last_row: Row) -> None:
    assert last_row.eval_val_loss - read_facts(folder).floor < 0.15


def test_the_loss_does_not_go_below_the_floor(folder: Path, last_row: Row) -> None:
    margin = 3 * last_row.eval_val_standard_error
    assert last_row.eval_val_loss > read_facts(folder).floor - margin


def test_speeches_keep_the_rules_far_more_often_than_an_untrained_models(folder: Path) -> None:
    trained, untrained = speeches(folder, None), speeches(folder, 0)
    assert len(trained) >= 200
    assert share(trained) > share(untrained) + 0.4
    for rule, least in (("address", 0.9), ("question", 0.75)):
        kept = [speech.kept[rule] for speech in trained if rule in speech.kept]
        assert sum(kept) > least * len(kept) > 40, rule
