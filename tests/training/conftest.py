"""What the tests of training share: small runs on one thread, and how two of them are compared."""

import csv
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from playattention.config import RunConfig
from playattention.training import report
from playattention.training.loop import Trainer


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Put the number of threads back that a run sets for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def config(small_run: RunConfig) -> RunConfig:
    """A small run of each recipe on one thread: more of them only wait for each other."""
    return small_run.updated(train={"threads": 1})


@pytest.fixture
def gpt_config(text_file: Path) -> RunConfig:
    """A small run of GPT alone, for what does not depend on the recipe."""
    return RunConfig(
        model={"name": "gpt", "n_layer": 1, "n_head": 2, "n_embd": 8, "seq_size": 8},
        data={"dataset": str(text_file), "eval_tokens": 100},
        train={
            "steps": 4,
            "batch_size": 2,
            "eval_every": 2,
            "warmup_steps": 2,
            "sample_tokens": 5,
            "device": "cpu",
            "threads": 1,
        },
    )


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots out, which take longer than a small run."""
    monkeypatch.setattr(report, "draw_plots", lambda *_: None)


@pytest.fixture
def press_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a real signal reach this process while it does these steps, once for each."""

    def at(*steps: int, number: int = signal.SIGINT, times: int = 1) -> None:
        update, waiting = Trainer.update, set(steps)

        def interrupted(self: Trainer) -> report.Row:
            if self.step + 1 in waiting:
                waiting.remove(self.step + 1)
                for _ in range(times):
                    signal.raise_signal(number)
            return update(self)

        monkeypatch.setattr(Trainer, "update", interrupted)

    return at


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a run's checkpoints, byte for byte: weights, moments, random states."""
    paths = sorted(path for path in (folder / "checkpoints").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def log_rows(folder: Path) -> list[dict[str, str]]:
    """Return a run's log.csv as it is written, without what a clock said."""
    with (folder / "log.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    times = {"milliseconds", "tokens_per_second"}
    return [{name: row[name] for name in row if name not in times} for row in rows]


def outcome(folder: Path) -> dict[str, object]:
    """Return all that a run leaves and that does not depend on the time of day."""
    return {
        "log": log_rows(folder),
        "samples": (folder / "generated_samples.txt").read_bytes(),
        **checkpoint_files(folder),
    }
