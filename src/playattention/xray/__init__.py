"""Look inside a model while its own source runs: `playattention.xray.watch(model, idx)`."""

from playattention.xray.trace import Trace, Value
from playattention.xray.watch import memory, watch

__all__ = ["Trace", "Value", "memory", "watch"]
