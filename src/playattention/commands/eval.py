"""`playattention eval`: what a model has learnt, in numbers."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from playattention.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from playattention.data import Tokens
    from playattention.training.run import Run


@dataclass(frozen=True)
class Eval:
    """Measure a model: its loss on a validation split, or its accuracy in a benchmark."""

    name: Annotated[Positional[str], arg(metavar="RUN")]
    """The run: its name below logs/, or a path."""
    dataset: str | None = None
    """A data set whose validation split is read; default: the run's own."""
    step: int | None = None
    """Which checkpoint; default: the last."""
    max_tokens: int | None = None
    """Most tokens to predict, in windows at even distances; default: the whole split."""
    task: Literal["hellaswag"] | None = None
    """A benchmark instead of a loss."""
    source: Annotated[Path | None, arg(name="from")] = None
    """A file of the benchmark's items at hand, instead of a download."""
    limit: int | None = None
    """Only the first so many items of the benchmark."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: cuda, then mps, then cpu."""

    def run(self) -> None:
        """Measure, and print the figures with their standard errors."""
        from playattention.training.distributed import pick_device
        from playattention.training.run import load_run

        self._check()
        device = pick_device(self.device)
        run = load_run(self.name, self.step)
        run.model.to(device)
        if self.task is None:
            self._loss(run)
        else:
            self._hellaswag(run)

    def _check(self) -> None:
        belongs: dict[str, tuple[object, bool]] = {
            "dataset": (self.dataset, self.task is None),
            "max_tokens": (self.max_tokens, self.task is None),
            "from": (self.source, self.task is not None),
            "limit": (self.limit, self.task is not None),
        }
        for name, (value, fits) in belongs.items():
            if value is not None and not fits:
                way = "without --task" if self.task else "with --task hellaswag"
                raise UserError(f"{name} = {value}: allowed {way} alone")
        for name in ("max_tokens", "limit"):
            if (value := belongs[name][0]) is not None and int(str(value)) < 1:
                raise UserError(f"{name} = {value}: must be 1 or more")

    def _loss(self, run: "Run") -> None:
        from playattention.evaluation import bits_per_byte, evaluate, text_bytes

        dataset, tokens = self._tokens(run)
        seq_size = run.config.model.seq_size
        total = min(len(tokens) - 1, self.max_tokens or len(tokens))
        with _bar(run.model, total, lambda idx: idx.numel()):
            found = evaluate(run.model, tokens, seq_size, max_tokens=self.max_tokens)
        n_bytes = text_bytes(tokens, seq_size, run.tokenizer, max_tokens=self.max_tokens)
        perplexity = math.exp(found.loss) if found.loss < 700 else math.inf
        print(
            f"{run.path}, step {run.step}, on {found.tokens:,} of the {len(tokens) - 1:,} tokens "
            f"for validation of {dataset}\n"
            f"loss           {found.loss:.4f} ± {found.standard_error:.4f} nats per token\n"
            f"perplexity     {perplexity:,.2f}\n"
            f"bits per byte  {bits_per_byte(found, n_bytes):.4f} ({n_bytes:,} bytes of UTF-8)"
        )

    def _tokens(self, run: "Run") -> "tuple[str, Tokens]":
        """Return a data set's name and its validation split in the run's tokens."""
        from playattention.data import load_corpus, split
        from playattention.training.run import NO_TEXT, load_splits

        if self.dataset is None and run.config.data.dataset == NO_TEXT:
            raise UserError(
                f"{run.path}: imported weights, with no text of their own; allowed: --dataset with "
                "the name of a data set or the path of a text file"
            )
        if self.dataset is None:
            splits = load_splits(run.path, run.config, run.tokenizer)
            return run.config.data.dataset, splits.val
        corpus = load_corpus(self.dataset)
        seq_size = run.config.model.seq_size
        return corpus.name, split(corpus, run.tokenizer, run.config.data, seq_size).val

    def _hellaswag(self, run: "Run") -> None:
        from playattention.data.hellaswag import ITEMS, load_items
        from playattention.evaluation import choose

        items = load_items(self.source)[: self.limit]
        rows = sum(len(item.endings) for item in items)
        with _bar(run.model, rows, lambda idx: idx.size(0)):
            found = choose(run.model, run.tokenizer, items, run.config.model.seq_size)
        part = "" if len(items) == ITEMS else f" (the whole has {ITEMS:,})"
        print(
            f"{run.path}, step {run.step}, on {found.items:,} items of HellaSwag{part}\n"
            f"accuracy             {found.accuracy:.2%} ± {found.standard_error:.2%}\n"
            f"normalized accuracy  {found.normalized_accuracy:.2%} ± "
            f"{found.normalized_standard_error:.2%}  (by the mean loss of the ending's tokens)\n"
            "chance               25.00%"
        )


@contextmanager
def _bar(model: "nn.Module", total: int, amount: "Callable[[torch.Tensor], int]") -> Iterator[None]:
    """Show in a terminal how far a model is, which tells by each of its forward passes."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("measuring", total=total)

        def advance(_: "nn.Module", inputs: "tuple[torch.Tensor, ...]", __: object) -> None:
            progress.advance(task, amount(inputs[0]))

        handle = model.register_forward_hook(advance)
        try:
            yield
        finally:
            handle.remove()
