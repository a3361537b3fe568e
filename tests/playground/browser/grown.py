"""What the page is tried on: a small run on playhouse, one of its heads taught to look one back.

The run is trained by the command itself; then the queries and keys of one head of its last
checkpoint are trained alone, so that a few seconds of training have a head worth finding.
"""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from playattention.data import playhouse
from playattention.training.checkpoint import folder_of, saved_steps
from playattention.training.run import load_run

RUN = "plays"
STEPS = 200
TEXT = "Dulcie:\nI would trade thy candle for the"
"""What is looked at."""
PLANTED = (0, 1)
"""Layer and head that look at the token before."""

SETTINGS = {
    "model.n-layer": 2,
    "model.n-head": 2,
    "model.n-embd": 32,
    "model.seq-size": 48,
    "data.eval-tokens": 2000,
    "train.steps": STEPS,
    "train.batch-size": 16,
    "train.learning-rate": 0.01,
    "train.warmup-steps": 20,
    "train.eval-every": 50,
    "train.keep-every": 50,
    "train.sample-tokens": 20,
    "train.device": "cpu",
    "train.threads": 1,
}


def environment() -> dict[str, str]:
    """Return the surroundings of a process that leaves the machine to others."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def grow(home: Path) -> Path:
    """Train the run below a folder and return the folder."""
    words = [f"--{key}={value}" for key, value in SETTINGS.items()]
    command = ["train", "gpt", "--dataset", "playhouse", "--run", RUN, *words]
    done = subprocess.run(
        [sys.executable, "-m", "playattention", *command],
        cwd=home,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    teach(home / "logs" / RUN)
    return home


def teach(folder: Path) -> None:
    """Train a head's queries and keys until it looks at the token before."""
    run = load_run(folder)
    layer, number = PLANTED
    head = run.model.get_submodule(f"blocks.{layer}.attention.heads.{number}")
    pair = {name: head.get_parameter(f"{name}.weight") for name in ("query", "key")}
    optimizer = torch.optim.Adam(pair.values(), lr=0.03)
    ids = torch.tensor(run.tokenizer.encode(playhouse.write(20_000, seed=3)))
    for step in range(200):
        stream = embedded(run.model, ids[80 * step :][:1000])
        query, key = (stream @ weight.T for weight in pair.values())
        scores = (query @ key.mT * query.shape[-1] ** -0.5).tril() + _future(stream.shape[1])
        back = scores.log_softmax(-1).diagonal(-1, dim1=1, dim2=2)
        optimizer.zero_grad()
        (-back.mean()).backward()
        optimizer.step()
    _write(folder, f"blocks.{layer}.attention.heads.{number}", pair)


def embedded(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return what the first block's heads get of a text's windows (windows, T, C)."""
    tokens = model.get_parameter("token_embedding.weight")
    places = model.get_parameter("position_embedding.weight")
    windows = ids.unfold(0, len(places), len(places))
    with torch.no_grad():
        return model.get_submodule("blocks.0.attention_norm")(tokens[windows] + places)


def _future(size: int) -> torch.Tensor:
    return torch.full((size, size), float("-inf")).triu(1)


def _write(folder: Path, module: str, weights: dict[str, nn.Parameter]) -> None:
    path = folder_of(folder, saved_steps(folder)[-1]) / "model.safetensors"
    stored = load_file(path)
    for name, weight in weights.items():
        assert f"{module}.{name}.weight" in stored
        stored[f"{module}.{name}.weight"] = weight.detach().contiguous().clone()
    save_file(stored, path)
