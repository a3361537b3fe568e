"""Look inside a model while its own source runs: `playattention.xray.watch(model, idx)`."""

from playattention.xray.ledger import Ledger, ledger
from playattention.xray.lens import LogitLens, Losses, logit_lens, losses
from playattention.xray.patterns import PATTERNS, playhouse_windows
from playattention.xray.roles import HeadRoles, Role, head_roles
from playattention.xray.trace import Trace, Value
from playattention.xray.watch import memory, watch

__all__ = [
    "PATTERNS",
    "HeadRoles",
    "Ledger",
    "LogitLens",
    "Losses",
    "Role",
    "Trace",
    "Value",
    "head_roles",
    "ledger",
    "logit_lens",
    "losses",
    "memory",
    "playhouse_windows",
    "watch",
]
