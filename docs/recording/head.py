"""The last step: logits, their softmax, the loss of a text, and the loss before training."""

import math

import torch

from playattention import GPT2Config, GPT2Model, xray
from recording.opened import POSITION, QUESTION, Opened


def record(opened: Opened) -> dict[str, object]:
    """Return logits at one position, losses along the text, and first losses."""
    decode, ids = opened.run.tokenizer.decode, opened.ids(QUESTION)
    logits = opened.long.one("", "logits").tensor[0, POSITION]
    normed = opened.long.one("", "normed").tensor[0, POSITION]
    true = int(ids[0, POSITION + 1])
    products = opened.model.head.weight[true] * normed
    shares, order = logits.softmax(-1).sort(descending=True)
    targets = torch.cat([ids[:, 1:], torch.tensor([[-100]])], 1)
    losses = xray.losses(opened.model, ids, targets)
    ledger = xray.ledger(opened.model, ids, POSITION, true)
    return {
        "true": true,
        "normed": normed,
        "row": opened.model.head.weight[true],
        "products": products[:6],
        "positive": products.clamp(min=0).sum().item(),
        "negative": products.clamp(max=0).sum().item(),
        "logits": logits,
        "top": [
            [decode([int(id_)]), int(id_), logits[id_].item(), share.item()]
            for id_, share in zip(order[:6], shares[:6], strict=True)
        ],
        "last": [decode([int(order[-1])]), logits[order[-1]].item(), shares[-1].item()],
        "sum_exp": (logits - logits.max()).exp().sum().item(),
        "losses": losses.loss[0, :-1],
        "mean_loss": losses.mean,
        "ledger": [[entry.name, entry.amount] for entry in ledger.entries],
        **untrained(opened),
        "wide_tied": wide_tied(opened),
    }


def untrained(opened: Opened) -> dict[str, object]:
    """Return the loss before training, and what it would be if all tokens were equally likely."""
    idx, targets = opened.validation(12)
    with torch.no_grad():
        logits, loss = opened.untrained(idx, targets)
        trained, trained_loss = opened.model(idx, targets)
    twice = torch.nn.functional.cross_entropy(trained.softmax(-1).flatten(0, 1), targets.flatten())
    return {
        "first_loss": loss.item(),
        "uniform": math.log(logits.size(-1)),
        "first_logits_std": logits.std().item(),
        "first_probabilities": [
            logits.softmax(-1).min().item(),
            logits.softmax(-1).max().item(),
        ],
        "batch_loss": trained_loss.item(),
        "batch_tokens": targets.numel(),
        "softmax_twice": twice.item(),
    }


def wide_tied(opened: Opened) -> dict[str, float]:
    """Return first losses of a tied GPT-2 of this size, its table drawn at 0.02 and at 1."""
    config, found = opened.run.config.model, {}
    idx, targets = opened.validation(12)
    for name, std in (("narrow", 0.02), ("wide", 1.0)):
        torch.manual_seed(0)
        sizes = config.model_dump(include={"vocab_size", "seq_size", "n_embd", "n_head", "n_layer"})
        model = GPT2Model(GPT2Config(**sizes, vocab_multiple=1))
        torch.nn.init.normal_(model.token_embedding.weight, std=std)
        with torch.no_grad():
            found[name] = model(idx, targets)[1].item()
    return found
