"""Look inside a model while its own source runs: `playattention.xray.watch(model, idx)`."""

from playattention.xray.across import across, difference
from playattention.xray.adamw import adamw_step, next_step
from playattention.xray.backward import backward
from playattention.xray.patching import patch, patch_head, replace_attention
from playattention.xray.trace import Trace, Value
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

__all__ = [
    "Trace",
    "Value",
    "ablate_feed_forward",
    "ablate_heads",
    "across",
    "adamw_step",
    "attention_scale",
    "backward",
    "difference",
    "memory",
    "next_step",
    "no_causal_mask",
    "no_positions",
    "no_residual",
    "no_scale",
    "patch",
    "patch_head",
    "replace_attention",
    "swap_tokens",
    "watch",
]
