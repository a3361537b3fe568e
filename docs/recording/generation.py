"""What each setting makes of one distribution, and what a cache holds.

Needs the run `shakespeare`, made by the command of page 11.
"""

from typing import Any

import torch

from playattention import generate, load_run
from playattention.generation import next_token_distribution
from playattention.models.kv_cache import KVCache
from recording.opened import Opened

RUN = "shakespeare"
PROMPT = "ROMEO:\nI"
SHOWN = 8
SETTINGS: dict[str, dict[str, Any]] = {
    "T = 1": {},
    "T = 0.5": {"temperature": 0.5},
    "T = 1.5": {"temperature": 1.5},
    "top-k 3": {"top_k": 3},
    "top-p 0.9": {"top_p": 0.9},
}


def record(opened: Opened) -> dict[str, Any]:
    """Return the figures of page 11."""
    del opened  # it is the other run that this page is about
    run = load_run(RUN)
    idx = torch.tensor([run.tokenizer.encode(PROMPT)])
    with torch.no_grad():
        logits = run.model.eval()(idx)[0][:, -1]
    order = logits[0].argsort(descending=True)[:SHOWN]
    made = {key: next_token_distribution(logits, **one)[0] for key, one in SETTINGS.items()}
    return {
        "prompt": PROMPT,
        "tokens": [run.tokenizer.decode([token]) for token in order.tolist()],
        "logits": logits[0, order].tolist(),
        "probabilities": {key: found[order].tolist() for key, found in made.items()},
        "left": {key: int((found > 0).sum()) for key, found in made.items()},
        "entropy": {key: _entropy(found) for key, found in made.items()},
        "cache": _cache(),
    }


def _cache() -> dict[str, Any]:
    """Return what a cache holds, and whether the text with it is the text without."""
    run = load_run(RUN)
    idx = torch.tensor([run.tokenizer.encode("ROMEO:")])
    texts = [
        generate(
            run.model, idx, 200, generator=torch.Generator().manual_seed(1), use_cache=use_cache
        ).tolist()
        for use_cache in (True, False)
    ]
    kept = KVCache(run.config.model.seq_size)
    with torch.no_grad():
        run.model.eval()(idx, cache=kept)
    return {"bytes": kept.nbytes, "same": texts[0] == texts[1], "tokens": 200}


def _entropy(probabilities: torch.Tensor) -> float:
    """Return the mean surprise of a draw, in nats."""
    some = probabilities[probabilities > 0].double()
    return -(some * some.log()).sum().item()
