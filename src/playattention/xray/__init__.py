"""Look inside a model while its own source runs.

from playattention import load_run, xray

run = load_run("RUN")
idx = torch.tensor([run.tokenizer.encode("ROMEO:")])
trace = xray.watch(run.model, idx)
"""

from playattention.xray.trace import Trace, Value
from playattention.xray.watch import memory, watch

__all__ = ["Trace", "Value", "memory", "watch"]
