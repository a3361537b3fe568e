"""What the tests share: a folder of their own, a small text, and small runs of each recipe."""

import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig, RunConfig, TrainConfig
from playattention.models import pretrained
from playattention.models.model_gpt2 import GPT2Model

# A shell that starts tests in the background lets them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

TEXT = "".join(
    f"{name}:\nThe {thing} is {place} the {other}.\n\n"
    for name in ("Anna", "Bert", "Carla")
    for thing in ("lamp", "cup", "book", "hat")
    for place in ("on", "under", "behind")
    for other in ("table", "chair", "door", "bed", "wall")
)
"""About 5,000 characters."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty folder, so that `data/` and `logs/` are its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def text_file(own_folder: Path) -> Path:
    """A small text to train on."""
    path = own_folder / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def released(folder: Path, seed: int = 0, **sizes: int) -> Path:
    """Write a small GPT-2 in the Hugging Face layout, as if others had trained it."""
    torch.manual_seed(seed)
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "seq_size": 16, **sizes}
    model = GPT2Model(GPT2Config(**sizes))
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    folder.mkdir()
    pretrained.write(model, folder, None)
    return folder


@pytest.fixture(params=["gpt", "gpt2", "modern"])
def small_run(request: pytest.FixtureRequest, text_file: Path) -> RunConfig:
    """Settings of a run that takes seconds, one for each recipe, with dropout."""
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "seq_size": 16, "dropout": 0.1}
    models = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}
    return RunConfig(
        model=models[request.param](**sizes),
        data={"dataset": str(text_file), "eval_tokens": 200},
        train=TrainConfig(
            steps=20,
            optimizer="muon" if request.param == "modern" else "adamw",
            batch_size=4,
            eval_every=5,
            warmup_steps=5,
            sample_tokens=20,
            device="cpu",
            threads=1,
        ),
    )
