"""Look inside a model while its own source runs: `playattention.xray.watch(model, idx)`."""

from importlib import import_module
from typing import TYPE_CHECKING

from playattention.xray import whatif
from playattention.xray.across import Across, Difference, across, difference
from playattention.xray.adamw import AdamWStep, adamw_step, next_step
from playattention.xray.backward import Backward, backward
from playattention.xray.explain import explain, explain_value
from playattention.xray.explanation import Explanation, Operand
from playattention.xray.glossary import GLOSSARY, Entry, meaning
from playattention.xray.ledger import Ledger, ledger
from playattention.xray.lens import LogitLens, Losses, logit_lens, losses
from playattention.xray.patching import patch, patch_head, replace_attention
from playattention.xray.patterns import PATTERNS, playhouse_windows
from playattention.xray.roles import HeadRoles, Role, head_roles
from playattention.xray.trace import Trace
from playattention.xray.values import Value
from playattention.xray.watch import memory, watch
from playattention.xray.whatif import (
    ablate_feed_forward,
    ablate_heads,
    attention_scale,
    no_causal_mask,
    no_positions,
    no_residual,
    no_scale,
    swap_tokens,
)

if TYPE_CHECKING:
    from playattention.xray.pictures import picture

__all__ = [
    "GLOSSARY",
    "PATTERNS",
    "Across",
    "AdamWStep",
    "Backward",
    "Difference",
    "Entry",
    "Explanation",
    "HeadRoles",
    "Ledger",
    "LogitLens",
    "Losses",
    "Operand",
    "Role",
    "Trace",
    "Value",
    "ablate_feed_forward",
    "ablate_heads",
    "across",
    "adamw_step",
    "attention_scale",
    "backward",
    "difference",
    "explain",
    "explain_value",
    "head_roles",
    "ledger",
    "logit_lens",
    "losses",
    "meaning",
    "memory",
    "next_step",
    "no_causal_mask",
    "no_positions",
    "no_residual",
    "no_scale",
    "patch",
    "patch_head",
    "picture",
    "playhouse_windows",
    "replace_attention",
    "swap_tokens",
    "watch",
    "whatif",
]


def __getattr__(name: str) -> object:
    if name != "picture":
        raise AttributeError(f"module 'playattention.xray' has no attribute '{name}'")
    return import_module("playattention.xray.pictures").picture  # matplotlib takes half a second
