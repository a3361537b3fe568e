"""Optimizers that do not load PyTorch's compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from playattention.config import RunConfig
from playattention.training.run import create_run
from playattention.training.uncompiled import uncompiled


def stepped(spared: bool, **settings: object) -> list[torch.Tensor]:
    """Return a small layer's weights after three steps."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)

    def build() -> torch.optim.Optimizer:
        return torch.optim.AdamW(layer.parameters(), lr=0.1, **settings)

    optimizer = uncompiled(build) if spared else build()
    for _ in range(3):
        layer(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return [weight.detach() for weight in layer.parameters()]


@pytest.mark.parametrize("fused", [True, False])
def test_its_steps_are_those_of_the_optimizer_itself(fused: bool):
    for own, expected in zip(stepped(True, fused=fused), stepped(False, fused=fused), strict=True):
        assert torch.equal(own, expected)


def test_a_step_is_no_part_of_the_graph():
    assert all(weight.grad_fn is None for weight in stepped(True))


TRAINING = """
import sys
from pathlib import Path
from playattention.training.loop import Trainer
trainer = Trainer(Path(sys.argv[1]))
trainer.update()
trainer.save(None)
Trainer(Path(sys.argv[1])).update()
heavy = {"torch._dynamo", "torch.distributed.tensor", "sympy", "matplotlib"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.slow  # imports torch in a process of its own
def test_one_process_on_a_cpu_trains_and_saves_without_what_others_need(gpt_config: RunConfig):
    """The compiler and what spreads tensors take longer to import than PyTorch itself."""
    folder = create_run(gpt_config.updated(train={"device": "cpu", "compile": "off"}), "mine")
    line = [sys.executable, "-c", TRAINING, folder]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
