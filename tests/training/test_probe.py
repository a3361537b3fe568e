"""What is tried before a run's open settings are decided; every duration is made up."""

from dataclasses import dataclass, field

import pytest
import torch

from playattention.config import GPTConfig, RunConfig
from playattention.training import probe as probing
from playattention.training import run
from playattention.training.probe import Probed, Trial, micro_batch_seconds, operations, probe, told
from playattention.training.run import create_run, read_config

LONG = 100_000
"""Steps of a run that is worth a probe at any size."""


@dataclass
class Stopwatch:
    """Tells made-up seconds, and remembers what was timed."""

    seconds: dict[tuple[str, int], float]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, _: RunConfig, autocast: str, threads: int) -> float:
        self.asked.append((autocast, threads))
        return self.seconds[autocast, threads]


@pytest.fixture(autouse=True)
def four_cores_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine: eight threads on four cores, and bf16 in hardware."""
    monkeypatch.setattr(probing, "has_bf16", lambda: True)
    monkeypatch.setattr(probing.psutil, "cpu_count", lambda **_: 4)


def asked(**train: object) -> RunConfig:
    """Return a small run with everything left open, but what is given."""
    return RunConfig(train={"device": "cpu", **train})


def plain(config: RunConfig) -> RunConfig:
    """Return the same run with the machine's plain settings where it was open."""
    open_format = config.train.autocast == "auto"
    return config.updated(
        train={
            "autocast": "off" if open_format else config.train.autocast,
            "compile": "off",
            "threads": config.train.threads or 8,
        }
    )


def probed(stopwatch: Stopwatch, steps: int = LONG, **train: object) -> Probed:
    """Return what a probe finds for a small run."""
    config = asked(**train)
    return probe(config, plain(config), steps, stopwatch)


def test_what_is_clearly_faster_is_chosen():
    stopwatch = Stopwatch({("off", 8): 0.040, ("off", 4): 0.030, ("bf16", 4): 0.020})
    found = probed(stopwatch)
    assert (found.autocast, found.threads) == ("bf16", 4)
    assert found.trials == (
        Trial("off", 8, 0.040),
        Trial("off", 4, 0.030),
        Trial("bf16", 4, 0.020),
    )


def test_what_is_hardly_faster_is_not():
    """A run that is repeated should get the same settings."""
    found = probed(Stopwatch({("off", 8): 0.0400, ("off", 4): 0.0370, ("bf16", 8): 0.0385}))
    assert (found.autocast, found.threads) == ("off", 8)
    assert len(found.trials) == 3


def test_what_the_user_decided_is_neither_tried_nor_changed():
    stopwatch = Stopwatch({("off", 8): 0.04, ("off", 4): 0.01})
    assert probed(stopwatch, autocast="off").threads == 4
    stopwatch = Stopwatch({("off", 3): 0.04, ("bf16", 3): 0.01})
    assert probed(stopwatch, threads=3).autocast == "bf16"
    stopwatch = Stopwatch({})
    assert probed(stopwatch, threads=3, autocast="bf16") == Probed("bf16", 3)
    assert stopwatch.asked == []


def test_a_processor_without_bf16_does_not_try_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probing, "has_bf16", lambda: False)
    stopwatch = Stopwatch({("off", 8): 0.04, ("off", 4): 0.04})
    assert probed(stopwatch) == Probed("off", 8, (Trial("off", 8, 0.04), Trial("off", 4, 0.04)))


def test_a_small_model_may_be_fastest_on_one_thread():
    stopwatch = Stopwatch({("off", 8): 0.004, ("off", 4): 0.004, ("off", 1): 0.002})
    small = asked(autocast="off", batch_size=1).updated(model={"n_layer": 2})
    assert operations(small) < probing.SMALL
    assert probe(small, plain(small), LONG, stopwatch).threads == 1


def test_a_short_run_is_not_worth_a_probe():
    stopwatch = Stopwatch({})
    assert probed(stopwatch, steps=100) == Probed("off", 8)
    assert stopwatch.asked == []


def test_a_gpu_is_decided_without_trying():
    stopwatch = Stopwatch({})
    config = asked()
    on_gpu = plain(config).updated(train={"device": "cuda", "autocast": "bf16"})
    assert probe(config, on_gpu, LONG, stopwatch) == Probed("bf16", 8)
    assert stopwatch.asked == []


def test_several_processes_take_the_plain_settings(monkeypatch: pytest.MonkeyPatch):
    """Each has its share of the cores already."""
    monkeypatch.setattr(probing, "ranks", lambda: 2)
    assert probed(Stopwatch({})) == Probed("off", 8)


def test_what_was_found_is_told_in_one_line():
    found = Probed("bf16", 1, (Trial("off", 8, 0.04), Trial("bf16", 1, 0.0251)))
    assert told(found.facts()) == (
        "chosen for this machine: bf16, 1 thread (a micro-batch takes, with float32, 8 threads "
        "40.0 ms, bf16, 1 thread 25.1 ms)"
    )


def test_a_trial_leaves_randomness_and_threads_as_they_were():
    config = RunConfig(model=GPTConfig(n_layer=1, n_head=2, n_embd=8, seq_size=8))
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    assert micro_batch_seconds(config, "off", 1) > 0
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads


def test_a_run_keeps_what_its_probe_chose(gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch):
    found = Probed("bf16", 3, (Trial("off", 4, 0.04), Trial("bf16", 3, 0.02)))
    monkeypatch.setattr(run, "probe", lambda *_: found)
    folder = create_run(gpt_config.updated(train={"threads": None, "autocast": "auto"}))
    assert (read_config(folder).train.autocast, read_config(folder).train.threads) == ("bf16", 3)
    assert run.read_json(folder / "probe.json")["trials"][1]["seconds"] == 0.02
