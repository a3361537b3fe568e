"""What a run's log tells of its steps, and two steps of one weight spelled out."""

from typing import Any

import torch

from playattention import xray
from playattention.training.report import read_log
from playattention.training.run import find_run, load_splits, read_config, read_tokenizer
from recording.opened import Opened

QUESTION = "Hester:\nWho stole the *Pumpkin*, Edmund?\n\nEdmund:\n"
LAST = 100
"""Steps at the end over which the loss of single batches is compared."""


def record(opened: Opened, name: str = "plays") -> dict[str, Any]:
    """Return the figures of page 10."""
    del opened  # the log is needed, and checkpoints other than the last
    folder = find_run(name)
    config, tokenizer = read_config(folder), read_tokenizer(folder)
    rows = [row for row in read_log(folder) if row.train_loss is not None]
    norms = [row.gradient_norm or 0.0 for row in rows]
    last = torch.tensor([row.train_loss for row in rows[-LAST:]])
    highest = max(range(len(norms)), key=norms.__getitem__)
    return {
        "vocab_size": tokenizer.vocab_size,
        "floor": load_splits(folder, config, tokenizer).floor,
        "steps": len(rows),
        "evaluations": evaluations(name),
        "first": {"loss": rows[0].train_loss, "norm": norms[0]},
        "clipped": sum(norm > config.train.grad_clip for norm in norms),
        "clipped_last": max(i + 1 for i, norm in enumerate(norms) if norm > config.train.grad_clip),
        "largest": {"step": rows[highest].step, "norm": norms[highest]},
        "median_norm": torch.tensor(norms).median().item(),
        "last": {
            "steps": LAST,
            "mean": last.mean().item(),
            "deviation": last.std().item(),
            "lowest": last.min().item(),
            "highest": last.max().item(),
        },
        "spelled": {f"from_{step}": _spelled(name, step) for step in (0, rows[-1].step)},
    }


def evaluations(name: str) -> list[dict[str, Any]]:
    """Return what a run measured at each evaluation, with the step's learning rate."""
    return [
        {
            "step": row.step,
            "train": row.eval_train_loss,
            "validation": row.eval_val_loss,
            "error": row.eval_val_standard_error,
            "rate": row.learning_rate,
            "norm": row.gradient_norm,
        }
        for row in read_log(find_run(name))
        if row.eval_val_loss is not None
    ]


def _spelled(name: str, step: int) -> dict[str, Any]:
    """Return one weight's AdamW step on QUESTION, from a checkpoint on."""
    ids = read_tokenizer(find_run(name)).encode(QUESTION)
    idx, targets = torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])
    _, update = xray.next_step(name, idx, targets, step=step)
    return {
        "weight": "head.weight[3, 5]",
        "rate": update.rate,
        "norm": update.norm,
        "share": update["head.weight"].change[3, 5].item() / update.rate,
        "lines": str(update.spelled("head.weight", 3, 5)).splitlines(),
    }
