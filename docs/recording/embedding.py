"""Token and position embeddings of the short text, and what the model says without positions."""

import torch

from playattention import xray
from recording.opened import NAME, Opened


def record(opened: Opened) -> dict[str, object]:
    """Return the rows that are looked up and added, and losses with and without positions."""
    model = opened.model
    token, position = model.token_embedding.weight, model.position_embedding.weight
    ids = opened.ids(NAME)
    with xray.no_positions(model):
        without = opened.loss()
        logits = model(ids)[0][0, -1]
    first = opened.untrained
    unit = torch.nn.functional.normalize(token.detach(), dim=-1)
    alike = unit @ unit.T
    characters = opened.run.tokenizer.decode
    pairs = [(one, other) for one in range(len(alike)) for other in range(one)]
    pairs.sort(key=lambda pair: -float(alike[pair]))
    return {
        "ids": ids[0],
        "token": opened.short.one("", "token_embedded").tensor[0, :, :8],
        "position": opened.short.one("", "position_embedded").tensor[:, :8],
        "embedded": opened.short.one("", "embedded").tensor[0, :, :8],
        "std": {
            "token": token.std().item(),
            "position": position.std().item(),
            "untrained_token": first.token_embedding.weight.std().item(),
            "untrained_position": first.position_embedding.weight.std().item(),
        },
        "alike": [
            [characters([one]), characters([other]), alike[one, other].item()]
            for one, other in pairs[:12]
        ],
        "loss": opened.loss(),
        "loss_without_positions": without,
        "no_positions_last_logit": logits.max().item(),
    }
