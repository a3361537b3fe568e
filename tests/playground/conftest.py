"""Two small trained runs in one folder, and a browser's place at the server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from httpx2 import Response

from playattention.config import GPT2Config, GPTConfig, ModernConfig, RunConfig
from playattention.playground.server import create_app
from playattention.training.loop import train
from playattention.training.run import load_run
from playattention.xray.trace import Trace
from playattention.xray.watch import watch
from tests.conftest import TEXT

ORIGIN = "http://127.0.0.1:8765"
OWN = {"X-Playattention": "1"}
"""What the page sends with every POST."""
HEADS = {
    "small-gpt": ("blocks.1.attention.heads.1", "0"),
    "small-gpt2": ("blocks.1.attention", "0,1"),
    "small-modern": ("blocks.1.attention", "0,1"),
}
"""Run -> where its second block's second head is: module, first indices."""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each model, which no test changes."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    threads = torch.get_num_threads()
    for model, optimizer in ((GPTConfig, "adamw"), (GPT2Config, "adamw"), (ModernConfig, "muon")):
        config = RunConfig(
            model=model(n_layer=2, n_head=2, n_embd=12, seq_size=16, dropout=0.1),
            data={"dataset": str(folder / "text.txt"), "eval_tokens": 200},
            train={
                "optimizer": optimizer,
                "steps": 4,
                "batch_size": 4,
                "learning_rate": 0.03,
                "warmup_steps": 0,
                "eval_every": 2,
                "keep_every": 2,
                "sample_tokens": 5,
                "device": "cpu",
                "threads": 1,
            },
        )
        train(config, str(folder / "logs" / f"small-{config.model.name}"), quiet=True)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def client(home: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Ask the server in the folder of the runs."""
    monkeypatch.chdir(home)
    with TestClient(create_app(), base_url=ORIGIN) as asking:
        yield asking


@pytest.fixture(params=HEADS)
def run(request: pytest.FixtureRequest) -> str:
    """The name of a run of each recipe."""
    return request.param


def told(answer: Response, status: int = 400) -> str:
    """Return an error's one line."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    line = answer.json()["error"]
    assert line
    assert "\n" not in line
    return line


def found(answer: Response) -> Any:
    """Return the JSON of an answer, in which every number is one."""
    assert answer.status_code == 200, answer.text

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(answer.content, parse_constant=refuse)


def array(answer: Response) -> np.ndarray:
    """Return the numbers of a binary answer in their shape."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    words = answer.headers["x-shape"]
    shape = tuple(int(size) for size in words.split(",")) if words else ()
    kind = {"float32": "<f4", "int32": "<i4"}[answer.headers["x-dtype"]]
    return np.frombuffer(answer.content, kind).reshape(shape)


def seen(home: Path, run: str, text: str, step: int | None = None) -> Trace:
    """Return the trace that the page must show."""
    loaded = load_run(home / "logs" / run, step)
    ids = loaded.tokenizer.encode(text)
    return watch(loaded.model, torch.tensor([ids]), torch.tensor([[*ids[1:], -100]]))
