"""The other side: GPT-2 as in Hugging Face transformers, of our sizes and with the same weights."""

from typing import Any

import torch
from torch import nn
from transformers import GPT2Config as TheirConfig
from transformers import GPT2LMHeadModel as TheirModel

from playattention.config import GPT2Config
from playattention.models.model_gpt2 import GPT2Model

# Their name of a block's module -> ours.
MODULES = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.query_key_value",
    "attn.c_proj": "attention.projection",
    "ln_2": "feed_forward_norm",
    "mlp.c_fc": "feed_forward.expand",
    "mlp.c_proj": "feed_forward.contract",
}


def their_model(
    config: GPT2Config, attention: str = "sdpa", activation: str = "gelu_new"
) -> TheirModel:
    """Return their GPT-2 of our sizes, its weights random.

    Args:
        config: Our sizes.
        attention: "sdpa" (PyTorch's fused operation) or "eager" (step by step).
        activation: "gelu_new", as in every released GPT-2, written as a formula; or
            "gelu_pytorch_tanh", the same function in one fused operation.
    """
    settings: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "n_positions": config.seq_size,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "activation_function": activation,
        "attn_implementation": attention,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout),
        # No token ends a text, so that every run generates as many as were asked for.
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")),
    }
    model: Any = TheirModel(TheirConfig(**settings))  # Any: their eval() declares no types
    return model.eval()


@torch.no_grad()
def copy_weights(theirs: TheirModel, ours: GPT2Model) -> None:
    """Give our model their weights, so that both can be held to the same results.

    Their layers (`Conv1D`) keep a matrix as (in, out), a Linear as (out, in). Padding rows of our
    embedding table become 0.
    """
    new: dict[str, nn.Module] = {"final_norm": theirs.transformer.ln_f}
    for number, block in enumerate(theirs.transformer.h):
        for name, our_name in MODULES.items():
            new[f"blocks.{number}.{our_name}"] = block.get_submodule(name)
    for name, module in new.items():
        state = {
            key: weight.T if weight.dim() == 2 else weight
            for key, weight in module.state_dict().items()
        }
        ours.get_submodule(name).load_state_dict(state)
    ours.position_embedding.weight.copy_(theirs.transformer.wpe.weight)
    ours.token_embedding.weight.zero_()
    ours.token_embedding.weight[: ours.config.vocab_size] = theirs.transformer.wte.weight
