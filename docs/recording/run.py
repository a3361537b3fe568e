"""The run itself: how it was made, its sizes, its losses."""

import csv

from playattention.training.folder import read_json
from playattention.training.run import read_facts
from recording.opened import NAME, POSITION, QUESTION, Opened

COMMAND = (
    "playattention train gpt --dataset playhouse --model.seq-size 128 --train.steps 2200 "
    "--train.learning-rate 3e-3 --train.eval-every 100 --train.keep-every 100 --run plays"
)
"""As in docs/xray.md; a test holds them together."""


def record(opened: Opened) -> dict[str, object]:
    """Return sizes, numbers of weights by part, and the log at each evaluation."""
    run = opened.run
    facts = read_facts(run.path)
    with (run.path / "log.csv").open(encoding="utf-8") as file:
        log = list(csv.DictReader(file))
    evaluated = [row for row in log if row["eval_val_loss"]]
    return {
        "command": COMMAND,
        "machine": read_json(run.path / "machine.json"),
        "model": run.config.model.model_dump(),
        "train": run.config.train.model_dump(),
        "step": run.step,
        "floor": facts.floor,
        "train_tokens": facts.train_tokens,
        "val_tokens": facts.val_tokens,
        "weights": sum(weight.numel() for weight in run.model.parameters()),
        "weights_by_part": {
            name: sum(weight.numel() for weight in part.parameters())
            for name, part in run.model.named_children()
        },
        "loss": float(evaluated[-1]["eval_val_loss"]),
        "standard_error": float(evaluated[-1]["eval_val_standard_error"]),
        "log": [{key: float(row[key]) for key in row if row[key]} for row in evaluated],
        "first_steps": [{key: float(row[key]) for key in row if row[key]} for row in log[:10]],
        "name": NAME,
        "question": QUESTION,
        "position": POSITION,
        "characters": run.tokenizer.state()["characters"],
    }
