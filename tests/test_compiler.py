"""What is told where torch.compile failed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from playattention import compiler
from playattention.bench import ladder
from playattention.cli import main
from playattention.training.loop import Trainer

LADDER = """
ladder gpt2 --model.n-layer 1 --model.n-head 2 --model.n-embd 32 --model.seq-size 16
--train.batch-size 2 --train.device cpu --train.threads 1 --steps 2
"""


def half_a_file(*_: object) -> Callable[..., object]:
    """Fail as PyTorch's compiler does where it finds half a kernel."""
    raise ImportError("main.so: file too short\nand more")


def compile_nothing(*_: object) -> None:
    """Fail to compile."""
    torch._dynamo.reset()
    torch.compile(torch.sin, backend=half_a_file)(torch.ones(1))


@pytest.fixture
def threads() -> object:
    """Put the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_cause_and_the_folder_that_may_be_damaged_stand_in_one_line() -> None:
    with pytest.raises(RuntimeError) as caught:
        compile_nothing()
    told = compiler.failure(caught.value)
    assert told is not None
    assert "\n" not in told
    assert "main.so: file too short; try again without it, or after deleting /" in told


def test_another_error_is_none_of_its_business() -> None:
    assert compiler.failure(RuntimeError("out of memory")) is None


@pytest.mark.usefixtures("threads")
def test_a_training_that_can_not_be_compiled_exits_1(
    text_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Trainer, "update", compile_nothing)
    words = ["--dataset", "text.txt", "--model.seq-size", "8", "--train.sample-tokens", "0"]
    assert main(["train", "gpt", *words, "--train.threads", "1"]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("playattention: torch.compile failed: ")


@pytest.mark.usefixtures("threads")
def test_a_rung_that_can_not_be_compiled_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = ladder.Ladder._measure

    def measured(self: ladder.Ladder, switch: str, *rest: object) -> object:
        if switch == "torch.compile":
            compile_nothing()
        return measure(self, switch, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ladder.Ladder, "_measure", measured)
    assert main(LADDER.split()) == 0
    told = capsys.readouterr().out
    assert "not on this device: torch.compile (torch.compile failed: " in told
    assert "\n+ fused AdamW " in told
