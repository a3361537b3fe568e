"""One self-contained HTML file of a trace: flow, heads, positions and arithmetic.

It is the page itself (`bundle.py`), which finds its answers in the file instead of asking the
server; they are the server's own. Does not know what the server would say (`report_answers.py`).
"""

import html as markup

from torch import nn

from playattention.playground.bundle import bundled
from playattention.playground.report_answers import (
    Decode,
    Seen,
    look_answer,
    predictions,
    sources,
)
from playattention.playground.report_patterns import patterns
from playattention.playground.report_tensors import Tensors
from playattention.xray.trace import Trace

REPLACED = {
    "api.js": "export/api.js",
    "header.js": "export/header.js",
    "tour.js": "export/tour.js",
    "views/index.js": "export/views/index.js",
}


class Page:
    """A page in a notebook.

    Args:
        text: Its HTML.
        height: In pixels.
    """

    def __init__(self, text: str, height: int = 900) -> None:
        self.text = text
        self.height = height

    def _repr_html_(self) -> str:
        # In a frame of its own, so that its styles and the notebook's stay apart.
        return (
            f'<iframe title="playattention" srcdoc="{markup.escape(self.text)}" '
            f'sandbox="allow-scripts allow-downloads" style="width: 100%; height: '
            f'{self.height}px; border: 1px solid #8888"></iframe>'
        )


def view(
    trace: Trace,
    model: nn.Module | None = None,
    *,
    decode: Decode | None = None,
    height: int = 900,
) -> Page:
    """Show a trace in a notebook: flow, heads, positions, and the arithmetic of every number.

    Args:
        trace: What a watch saw.
        model: The model that it saw; without it, there is neither a logit lens nor a ledger.
        decode: The tokenizer's, to show tokens; default: those of the trace, else numbers.
        height: Of the frame, in pixels.

    Raises:
        UserError: If the page would be too large.
    """
    return Page(html(trace, model, decode=decode), height)


def html(
    trace: Trace,
    model: nn.Module | None = None,
    *,
    decode: Decode | None = None,
    run: str = "a model",
    step: int = 0,
) -> str:
    """Return one HTML file with all that a trace saw, which needs no server.

    Args:
        trace: What a watch saw; its first sequence is shown.
        model: As in `view`.
        decode: As in `view`.
        run: What the model is called.
        step: Of its training.

    Raises:
        UserError: If the page would be too large.
    """
    trace.check_weights()
    seen = Seen(trace, decode)
    tensors = Tensors()
    values = {value.title: tensors.put(value.tensor) for value in trace.values}
    data = {
        "values": values,
        "look": look_answer(seen, run, step),
        "source": sources(trace),
        "rules": patterns(trace),
        "vocabulary": seen.vocabulary(),
        **predictions(seen, model),
        "inputs": {"idx": tensors.put(trace.idx)}
        | ({} if trace.targets is None else {"targets": tensors.put(trace.targets)}),
        "weights": tensors.weights(trace),
        "tensors": tensors.kept,
    }
    return bundled(data, f"{run}, step {step}: {seen.text[:40]} · playattention", REPLACED)
