"""torch.compile, which builds real kernels, and what happens without a compiler."""

import shutil

import pytest

from playattention import cli
from playattention.config import RunConfig
from playattention.training.distributed import decide
from playattention.training.loop import Trainer
from playattention.training.run import create_run


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_compiled_run_has_the_losses_of_a_plain_one(gpt_config: RunConfig) -> None:
    losses = {}
    for mode in ("off", "on"):
        trainer = Trainer(create_run(gpt_config.updated(train={"compile": mode}), mode))
        assert (trainer.forward is trainer.model) == (mode == "off")
        losses[mode] = [trainer.update().train_loss for _ in range(3)]
    assert losses["on"] == pytest.approx(losses["off"], abs=1e-4)


def test_without_a_compiler_a_run_goes_on_without_and_says_so(
    gpt_config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert decide(gpt_config.updated(train={"compile": "on"}).train)["compile"] == "off"
    words = ["train", "gpt", "--dataset", gpt_config.data.dataset, "--train.compile", "on"]
    sizes = ["--model.n-embd", "8", "--model.seq-size", "8", "--train.steps", "1"]
    assert cli.main([*words, *sizes, "--train.sample-tokens", "0", "--train.threads", "1"]) == 0
    assert "no C++ compiler found" in capsys.readouterr().out
