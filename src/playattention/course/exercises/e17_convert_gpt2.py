"""Exercise 17: OpenAI's weights for our model. The same numbers, under other names."""

from typing import Any

import torch

from playattention.config import GPT2Config
from playattention.course.exercise import Exercise, Probe, Solution
from playattention.course.exercises.e17_convert_gpt2_mistakes import MISTAKES
from playattention.models.model_gpt2 import GPT2Model


def convert_gpt2(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return GPT-2's weights, as `transformers` names and keeps them, as our GPT2Model has them.

    Theirs                 Ours                              In block number i, theirs start with
    wte                    token_embedding                   h.i. and ours with blocks.i.
    wpe                    position_embedding
    ln_f                   final_norm                        All names end in .weight or .bias.
    ln_1                   attention_norm
    attn.c_attn            attention.query_key_value         Theirs may begin with transformer.
    attn.c_proj            attention.projection
    ln_2                   feed_forward_norm
    mlp.c_fc               feed_forward.expand
    mlp.c_proj             feed_forward.contract

    A linear layer's matrix is (outputs, inputs) in ours; the four called c_... are (inputs,
    outputs) in theirs. c_attn holds query, key and value in this order, as ours.

    Left out: lm_head.weight, the embedding table once more, and the causal masks that older files
    carry as h.i.attn.bias and h.i.attn.masked_bias, which are no weights.

    Args:
        state_dict: Their names and weights; stays as it is.

    Returns:
        Our names and weights, ready for load_state_dict.
    """
    ours = {
        "wte": "token_embedding",
        "wpe": "position_embedding",
        "ln_f": "final_norm",
        "ln_1": "attention_norm",
        "attn.c_attn": "attention.query_key_value",
        "attn.c_proj": "attention.projection",
        "ln_2": "feed_forward_norm",
        "mlp.c_fc": "feed_forward.expand",
        "mlp.c_proj": "feed_forward.contract",
    }
    converted = {}
    for full_name, weight in state_dict.items():
        name = full_name.removeprefix("transformer.")
        if name == "lm_head.weight" or name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        module, _, kind = name.rpartition(".")
        block = ""
        if module.startswith("h."):
            _, number, module = module.split(".", 2)
            block = f"blocks.{number}."
        is_turned = ".c_" in module and kind == "weight"
        converted[f"{block}{ours[module]}.{kind}"] = weight.T if is_turned else weight
    return converted


C, V = 6, 7


def _theirs(seed: int, n_layer: int, *, old: bool = False) -> dict[str, torch.Tensor]:
    """Return a tiny GPT-2 as `transformers` keeps it, of random numbers.

    Args:
        seed: Of the numbers.
        n_layer: Blocks.
        old: As in the file that was released first: without a prefix and a head, with the masks.
    """
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (V, C), "wpe.weight": (5, C)}
    for i in range(n_layer):
        layers = {"attn.c_attn": 3 * C, "attn.c_proj": C, "mlp.c_fc": 4 * C, "mlp.c_proj": C}
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{norm}.weight": (C,), f"h.{i}.{norm}.bias": (C,)}
        for layer, outputs in layers.items():
            inputs = 4 * C if layer == "mlp.c_proj" else C
            shapes[f"h.{i}.{layer}.weight"] = (inputs, outputs)
            shapes[f"h.{i}.{layer}.bias"] = (outputs,)
    shapes |= {"ln_f.weight": (C,), "ln_f.bias": (C,)}
    chance = torch.Generator().manual_seed(seed)
    made = {name: torch.randn(shape, generator=chance) for name, shape in shapes.items()}
    if old:
        masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 5, 5).tril() for i in range(n_layer)}
        return (
            made | masks | {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(n_layer)}
        )
    return {f"transformer.{name}": weight for name, weight in made.items()} | {
        "lm_head.weight": made["wte.weight"]
    }


def _model(n_layer: int) -> GPT2Model:
    return GPT2Model(
        GPT2Config(vocab_size=V, seq_size=5, n_embd=C, n_head=2, n_layer=n_layer, vocab_multiple=1)
    ).eval()


def _names(own: Solution, seed: int, n_layer: int, old: bool) -> dict[str, list[str]]:
    """Return which of our model's names are missing, and which it does not have."""
    got, wanted = (
        set(own.convert_gpt2(_theirs(seed, n_layer, old=old))),
        set(_model(n_layer).state_dict()),
    )
    return {"missing": sorted(wanted - got), "too many": sorted(got - wanted)}


def _shapes(own: Solution, seed: int) -> dict[str, Any]:
    converted = own.convert_gpt2(_theirs(seed, 2))
    return {name: list(converted[name].shape) for name in sorted(converted)}


def _weights(own: Solution, seed: int, n_layer: int = 2, *, old: bool = False) -> dict[str, Any]:
    converted = own.convert_gpt2(_theirs(seed, n_layer, old=old))
    return {name: converted[name] for name in sorted(converted)}


def _logits(own: Solution, seed: int) -> torch.Tensor:
    """Return the logits of our model with the converted weights."""
    model = _model(2)
    model.load_state_dict(own.convert_gpt2(_theirs(seed, 2)))
    return model(torch.tensor([[3, 1, 6, 0]]))[0]


def _left(own: Solution, seed: int) -> dict[str, Any]:
    """Return what was given, after the conversion, in its order."""
    given = _theirs(seed, 2, old=True)
    own.convert_gpt2(given)
    return {"names": list(given), **given}


EXERCISE = Exercise(
    number=17,
    name="convert_gpt2",
    title="GPT-2's released weights",
    goal="""
OpenAI released GPT-2's weights, and they fit our model: it is the same architecture. What differs
is how they are called, and that four matrices of each block are kept turned. Give every weight the
name that our GPT2Model has for it, and turn those that have to be. The file to train with here is a
tiny GPT-2 made of random numbers; what is right for it is right for the real one.
""",
    follows="GPT-2",
    reference=(convert_gpt2,),
    probes=(
        Probe("our model has all names", lambda own, seed: _names(own, seed, 2, False)),
        Probe("all shapes are those of our model", _shapes),
        Probe("all numbers are in their places", _weights),
        Probe("our model computes with them as theirs does", _logits),
        Probe("a model of 12 blocks has all names", lambda own, seed: _names(own, seed, 12, False)),
        Probe(
            "a model of 12 blocks has all numbers in place",
            lambda own, seed: _weights(own, seed, 12),
        ),
        Probe("an old file has its masks left out", lambda own, seed: _names(own, seed, 2, True)),
        Probe("an old file's numbers", lambda own, seed: _weights(own, seed, 2, old=True)),
        Probe("the weights that were given stay as they were", _left),
    ),
    hints=(
        "Print the names and shapes of what is given, and of GPT2Model(config).state_dict(), side by side.",
        "Take the prefix off; skip the head and the masks; translate the module by a table, the number of the block as it is; turn the weights (not the biases) of the four c_ layers, also the square one.",
        'module, _, kind = name.rpartition("."); a block\'s is "h.3.attn.c_proj": split(".", 2). Then weight.T where ".c_" is in the module and kind is "weight".',
    ),
    equivalents=(
        """
import re

NAMES = (
    ("attn.c_attn", "attention.query_key_value"),
    ("attn.c_proj", "attention.projection"),
    ("mlp.c_fc", "feed_forward.expand"),
    ("mlp.c_proj", "feed_forward.contract"),
    ("ln_1", "attention_norm"),
    ("ln_2", "feed_forward_norm"),
    ("ln_f", "final_norm"),
    ("wte", "token_embedding"),
    ("wpe", "position_embedding"),
)


def convert_gpt2(state_dict):
    found = {}
    for name, weight in state_dict.items():
        if name.startswith("lm_head") or re.search(r"\\.attn\\.(masked_)?bias$", name):
            continue
        turned = re.search(r"\\.c_\\w+\\.weight$", name)
        name = re.sub(r"^(transformer\\.)?(h\\.(?=\\d))?", lambda m: "blocks." if m[2] else "", name)
        for theirs, ours in NAMES:
            name = name.replace(theirs, ours)
        found[name] = weight.transpose(0, 1).contiguous() if turned else weight.clone()
    return found
""",
        """
def convert_gpt2(state_dict):
    given = {name.replace("transformer.", ""): weight for name, weight in state_dict.items()}
    found = {
        "token_embedding.weight": given["wte.weight"],
        "position_embedding.weight": given["wpe.weight"],
    }
    i = 0
    while f"h.{i}.ln_1.weight" in given:
        h, b = f"h.{i}", f"blocks.{i}"
        for kind in ("weight", "bias"):
            found[f"{b}.attention_norm.{kind}"] = given[f"{h}.ln_1.{kind}"]
            found[f"{b}.feed_forward_norm.{kind}"] = given[f"{h}.ln_2.{kind}"]
            # .t() leaves a bias, which has one dimension, as it is
            found[f"{b}.attention.query_key_value.{kind}"] = given[f"{h}.attn.c_attn.{kind}"].t()
            found[f"{b}.attention.projection.{kind}"] = given[f"{h}.attn.c_proj.{kind}"].t()
            found[f"{b}.feed_forward.expand.{kind}"] = given[f"{h}.mlp.c_fc.{kind}"].t()
            found[f"{b}.feed_forward.contract.{kind}"] = given[f"{h}.mlp.c_proj.{kind}"].t()
        i += 1
    found["final_norm.weight"], found["final_norm.bias"] = given["ln_f.weight"], given["ln_f.bias"]
    return found
""",
    ),
    mistakes=MISTAKES,
    read="docs/14-results.md#released-weights",
)
