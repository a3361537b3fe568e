"""Write down what a small trained model computes, for the drawings: recorded.json.

    playattention train gpt --dataset playhouse --model.n-layer 2 --model.n-head 4 \
        --model.n-embd 32 --model.seq-size 64 --train.steps 3000 --train.learning-rate 3e-3 \
        --train.eval-every 500 --train.seed 1 --train.threads 1 --run small
    python docs/drawings/record.py small

A minute of training is too long, and its last digits too much the machine's own, to be done each
time that something is drawn. Heads of 8 channels and 5 tokens are few enough for every number to
be read.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import torch

from playattention import load_run, xray
from playattention.training.run import load_splits

TEXT = "Edmund"
"""Five tokens, and the one that comes next: a name of the plays."""
OPEN_END = "stole"
"""A text after which several tokens are likely."""
HEAD = ("query", "key", "value", "scores", "scaled", "masked", "weights", "mixed")


def main(name: str) -> None:
    """Write recorded.json beside this file.

    Args:
        name: A run, made by the command above.
    """
    run = load_run(name)
    ids = run.tokenizer.encode(TEXT)
    idx, targets = torch.tensor([ids[:-1]]), torch.tensor([ids[1:]])
    trace = xray.watch(run.model, idx, targets)
    with torch.no_grad():
        after, _ = run.model(torch.tensor([run.tokenizer.encode(OPEN_END)]))
    weights, splits = trace.weights, load_splits(run.path, run.config, run.tokenizer)
    recorded = {
        "command": " ".join(__doc__.split("\n\n")[1].split("python")[0].split()).replace("\\ ", ""),
        "step": run.step,
        "model": run.config.model.model_dump(),
        "characters": run.tokenizer.state()["characters"],
        "text": TEXT,
        "open_end": OPEN_END,
        "values": {title: _rounded(trace.one(*at).tensor) for title, at in _wanted().items()},
        "token_embedding": _rounded(weights["token_embedding.weight"], 2),
        "position_embedding": _rounded(weights["position_embedding.weight"][: idx.size(1)]),
        "logits_after_open_end": _rounded(after[0, -1]),
        "floor": round(splits.floor or 0.0, 4),
        "split": [len(splits.train), len(splits.val)],
        "losses": _losses(run.path),
    }
    text = json.dumps(recorded, separators=(",", ":")).replace('],"', '],\n"')
    (Path(__file__).parent / "recorded.json").write_text(text + "\n", encoding="utf-8")


def _wanted() -> dict[str, tuple[str, str, int]]:
    """Return what is written down: title -> module, name and occurrence."""
    wanted = [("", name, -1) for name in ("token_embedded", "embedded", "normed", "logits", "loss")]
    wanted += [("", "x", number) for number in range(3)]
    for block in ("blocks.0", "blocks.1"):
        wanted += [(block, name, -1) for name in ("attended", "x_attended", "computed")]
    wanted += [("blocks.0", name, -1) for name in ("attention_input", "feed_forward_input")]
    wanted += [(f"blocks.0.attention.heads.{n}", name, -1) for n in range(4) for name in HEAD]
    wanted += [("blocks.0.attention", name, -1) for name in ("joined", "projected")]
    wanted += [
        ("blocks.0.feed_forward", name, -1) for name in ("hidden", "activated", "contracted")
    ]
    return {
        f"{at}:{name}{number if number >= 0 else ''}": (at, name, number)
        for at, name, number in wanted
    }


def _rounded(tensor: torch.Tensor, digits: int = 4) -> Any:
    """Return nested lists without the batch of one; minus infinity, which JSON lacks, as None."""
    if tensor.dim() == 3:
        return _rounded(tensor[0], digits)
    if tensor.dim() == 0:
        return round(tensor.item(), digits)
    if tensor.dim() > 1:
        return [_rounded(row, digits) for row in tensor]
    return [
        None if number == float("-inf") else round(number, digits) for number in tensor.tolist()
    ]


def _losses(folder: Path) -> dict[str, list[list[float]]]:
    """Return the losses of the run: every 25th step's, and each evaluation's with its step."""
    with (folder / "log.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    steps = [
        row
        for row in rows
        if row["train_loss"] and (int(row["step"]) % 25 == 0 or row["step"] == "1")
    ]
    looks = [row for row in rows if row["eval_val_loss"]]
    return {
        "train_loss": [[int(row["step"]), round(float(row["train_loss"]), 3)] for row in steps],
        "eval_val_loss": [
            [int(row["step"]), round(float(row["eval_val_loss"]), 4)] for row in looks
        ],
    }


if __name__ == "__main__":
    main(sys.argv[1])
