"""Texts that runs write, with the command of each.

Needs the run `shakespeare` too, made by the command of page 11.
"""

import io
import shlex
from contextlib import redirect_stdout
from typing import Any

from playattention import cli, load_run
from recording.opened import Opened
from recording.training import evaluations

SHAKESPEARE = 'generate shakespeare "ROMEO:"'
COMMANDS = {
    "plays_untrained": 'generate plays "Hester:" --step 0 --tokens 150 --seed 1',
    "plays_trained": 'generate plays "Hester:" --tokens 400 --seed 1',
    "characters_untrained": f"{SHAKESPEARE} --step 0 --tokens 200 --seed 1",
    "characters_trained": f"{SHAKESPEARE} --tokens 300 --seed 1 --temperature 0.8",
    "greedy": f"{SHAKESPEARE} --tokens 150 --temperature 0",
    "cold": f"{SHAKESPEARE} --tokens 150 --seed 1 --temperature 0.5",
    "as_it_is": f"{SHAKESPEARE} --tokens 150 --seed 1",
    "hot": f"{SHAKESPEARE} --tokens 150 --seed 1 --temperature 1.5",
    "top_k": f"{SHAKESPEARE} --tokens 150 --seed 1 --top-k 5",
    "top_p": f"{SHAKESPEARE} --tokens 150 --seed 1 --top-p 0.9",
}


def record(opened: Opened) -> dict[str, Any]:
    """Return the texts of pages 11 and 14, and how the runs that wrote them were trained."""
    del opened  # each command opens its own run
    texts = {name: _written(one) for name, one in COMMANDS.items()}
    return {"texts": texts, "shakespeare": _run("shakespeare")}


def _written(command: str) -> dict[str, str]:
    """Return a command and what it writes, on the CPU."""
    written = io.StringIO()
    with redirect_stdout(written):
        assert cli.main([*shlex.split(command), "--device", "cpu"]) == 0
    return {"command": f"playattention {command}", "text": written.getvalue().rstrip("\n")}


def _run(name: str) -> dict[str, Any]:
    run = load_run(name)
    return {
        "vocab_size": run.tokenizer.vocab_size,
        "weights": sum(weight.numel() for weight in run.model.parameters()),
        "steps": run.config.train.steps,
        "evaluations": evaluations(name),
    }
