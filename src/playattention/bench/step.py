"""One training step of any settings, alone: what the ladder times and the plan is checked against.

As in `training/loop.py`, without a run around it: random tokens, no files.
"""

import math

import torch
from torch import nn

from playattention.config import RunConfig
from playattention.models import build_model
from playattention.training.distributed import FORMATS, Worker
from playattention.training.optimizer import build_optimizer


class Step:
    """A model with its optimizer and one batch, ready for step after step.

    Args:
        config: The run; `train.autocast` and `train.compile` decided, not "auto".
        device: Where.
    """

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.train.seed)
        torch.set_float32_matmul_precision("high" if config.train.tf32 else "highest")
        with device:  # made where it is used
            self.model = build_model(config.model)
        self.worker = Worker(device, FORMATS.get(config.train.autocast))
        self.forward = self.worker.place(self.model, config.train)
        self.optimizer = build_optimizer(self.model, config.train)
        self.scaler = self.worker.scaler()
        shape = (config.train.batch_size, config.model.seq_size)
        self.idx, self.targets = (
            torch.randint(config.model.vocab_size, shape, device=device) for _ in range(2)
        )

    def __call__(self) -> float:
        """Do one step, to its very end also on a GPU, and return the loss."""
        loss = torch.zeros((), device=self.device)
        accum = self.config.grad_accum
        for _ in range(accum):
            with self.worker.autocast():
                batch_loss = self.forward(self.idx, self.targets)[1]
            share = batch_loss / accum
            self.scaler.scale(share).backward()
            loss += share.detach()
        self.scaler.unscale_(self.optimizer)
        clip = self.config.train.grad_clip or math.inf
        nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return loss.item()  # waits for a GPU's work before it: the update follows in the same queue

    def held(self) -> int:
        """Return the bytes that live between steps: weights, masks, moments, the batch."""
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        tensors = [
            *self.model.parameters(),
            *self.model.buffers(),
            *moments,
            self.idx,
            self.targets,
        ]
        return sum(tensor.nbytes for tensor in tensors)
