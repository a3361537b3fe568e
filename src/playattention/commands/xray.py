"""`playattention xray`: a model's own lines run on a text, with their real numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from playattention.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from playattention.tokenizers import Tokenizer
    from playattention.training.run import Run
    from playattention.xray.terminal import Look
    from playattention.xray.trace import Trace
    from playattention.xray.values import Value


@dataclass(frozen=True)
class Xray:
    """Run a trained model on a text and show what its source lines made."""

    run_name: Annotated[Positional[str], arg(metavar="RUN")]
    """The run: its name below logs/, or a path."""
    text: Annotated[Positional[str], arg(metavar="TEXT")]
    """What the model reads."""
    module: str | None = None
    """A path, say blocks.0.attention.heads.1, or a pattern with *; "" is the model itself."""
    value: Annotated[str | None, arg(name="name")] = None
    """A variable of its source, say weights."""
    occurrence: int | None = None
    """Which of several values of that name, from 0; default: the last."""
    index: str | None = None
    """A cell or a row: numbers for the first dimensions, say 0,3,2; below 0: from the end."""
    line: bool = False
    """Show the source of the module's function with what each line made."""
    function: str = "forward"
    """Which function --line shows."""
    explain: bool = False
    """Show the arithmetic of one number, the one at --index."""
    save: Path | None = None
    """Write the whole trace into this file; Trace.load reads it."""
    html: Path | None = None
    """Write one HTML file with flow, heads, positions and all arithmetic, which needs no server."""
    all: bool = False
    """Show every row and column, and every term of --explain."""
    digits: int = 4
    """Digits behind the point."""
    step: int | None = None
    """Which checkpoint; default: the last."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: cuda, then mps, then cpu."""

    def run(self) -> None:
        """Watch, then show what was asked for."""
        from rich.console import Console

        from playattention.training.distributed import pick_device
        from playattention.training.run import load_run
        from playattention.xray.terminal import Look

        self._check()
        device = pick_device(self.device)
        run = load_run(self.run_name, self.step)
        run.model.to(device)
        trace = self._trace(run, str(device))
        width = 100_000 if self.all else None  # else what the terminal has, 80 in a pipe
        console = Console(highlight=False, markup=False, emoji=False, width=width)
        shades = console.color_system in ("256", "truecolor")
        look = Look(self.digits, console.width, None if self.all else 24, shades)
        if self.save is not None:
            trace.save(self.save)
            print(f"{self.save}: {len(trace)} values, {self.save.stat().st_size / 2**20:.1f} MiB")
        if self.html is not None:
            self._write_html(run, trace)
        with console.capture() as captured:  # rich ends the process where a pipe is closed
            if self.line:
                self._show_line(console, trace, look)
            elif self.value is not None:
                self._show_value(console, trace, run.tokenizer, look)
            elif (self.save is None and self.html is None) or self.module is not None:
                self._show_overview(console, trace, look)
        print(captured.get(), end="")

    def _check(self) -> None:
        if not 0 <= self.digits <= 17:
            raise UserError(f"digits = {self.digits}: must be 0 to 17")
        if self.line and self.module is None:
            raise UserError("line: needs --module, the path of the module whose source is shown")
        if self.line and (self.value is not None or self.explain):
            raise UserError("line: shows all values of a function; allowed: without --name")
        if self.explain and self.index is None and self.value is not None:
            raise UserError("explain: needs --index, the number that it is about, say 0,3,2")
        if self.value is None:
            for name, given in (("index", self.index), ("occurrence", self.occurrence)):
                if given is not None:
                    raise UserError(f"{name} = {given}: needs --name, the value that it is of")
            if self.explain:
                raise UserError("explain: needs --name and --index, the number that it is about")

    def _trace(self, run: "Run", device: str) -> "Trace":
        """Watch the model read the text; each token but the last has a next one to predict."""
        import torch

        from playattention import xray

        ids = run.tokenizer.encode(self.text)
        if not ids:
            raise UserError("text = '': must have at least one token")
        most = run.config.model.seq_size
        if len(ids) > most:
            end = run.tokenizer.decode(ids[:most])[-20:]
            raise UserError(
                f"text = {len(ids)} tokens: the model takes seq_size = {most} at most; "
                f"allowed: the first {most}, with {end!r} at their end"
            )
        idx = torch.tensor([ids], device=device)
        targets = torch.tensor([[*ids[1:], -100]], device=device) if len(ids) > 1 else None
        whole = self.save is not None or self.html is not None
        kept = None if whole or self.module is None else [self.module]
        return xray.watch(run.model, idx, targets, kept).labelled(run.tokenizer.decode)

    def _write_html(self, run: "Run", trace: "Trace") -> None:
        from playattention.playground.report import html

        assert self.html is not None
        name = run.path.name
        text = html(trace, run.model, decode=run.tokenizer.decode, run=name, step=run.step)
        try:
            self.html.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"html = {self.html}: can't be written ({error.strerror})") from None
        print(f"{self.html}: {len(trace)} values, {self.html.stat().st_size / 2**20:.1f} MiB")

    def _show_line(self, console: "Console", trace: "Trace", look: "Look") -> None:
        from playattention.xray.terminal import source

        listing = trace.lines(str(self.module), self.function)
        where = self.module or "the model itself"
        console.print(f"{Path(listing.file).name}, {self.function} of {where}")
        console.print(source(listing, look))

    def _show_value(
        self, console: "Console", trace: "Trace", tokenizer: "Tokenizer", look: "Look"
    ) -> None:
        from playattention.xray import explain_value, meaning
        from playattention.xray.terminal import axes, leading, table

        value = self._chosen(console, trace)
        if value is None:
            return
        index = self._cell(value)
        entry = meaning(value)
        if self.explain:
            found = explain_value(trace, value, index)
            told = found.full if self.all else repr(found)
            console.print(f"{told}\n{entry.meaning}" if entry else told)
            return
        console.print(_title(value))
        if entry:
            console.print(f"{entry.meaning}\n{entry.formula}")
        names = axes(value, trace, tokenizer.decode)
        hidden = leading(value.shape, index)
        console.print(f"[{', '.join(map(str, hidden[0]))}]" if hidden[0] else "")
        console.print(table(value, hidden[0], names, look))
        if len(hidden) > 1:
            console.print(
                f"the first of {len(hidden)}; --index {','.join(map(str, hidden[1]))} is the next"
            )

    def _chosen(self, console: "Console", trace: "Trace") -> "Value | None":
        """Return the one value that is meant; of several modules' values, list them instead."""
        if self.value == "loss" and trace.targets is None:
            raise UserError("name = loss: a text of one token has no next one to predict")
        found = trace.find(self.module, self.value)
        titles = list(dict.fromkeys(f"{value.module}:{value.name}" for value in found))
        if len(titles) > 1 and self.explain:
            raise UserError(
                f"name = {self.value}: {len(titles)} values are called so; allowed: with --module "
                f"and --name of one, say --module {found[0].module!r} --name {found[0].name}"
            )
        if len(titles) > 1:
            console.print(f"{len(found)} values are called {self.value!r}; --module names one:")
            for value in found:
                console.print(f"  {_title(value)}")
            return None
        if self.occurrence is None:
            return found[-1]
        return trace.one(found[0].module, found[0].name, self.occurrence)

    def _cell(self, value: "Value") -> tuple[int, ...]:
        """Return the index that was asked for, from 0."""
        words = self.index.split(",") if self.index else []
        shape = value.shape
        try:
            index = [int(word) for word in words]
        except ValueError:
            raise UserError(f"index = {self.index}: must be whole numbers, say 0,3,2") from None
        inside = all(-size <= place < size for place, size in zip(index, shape, strict=False))
        if len(index) > len(shape) or not inside or (self.explain and len(index) < len(shape)):
            last = ",".join(str(size - 1) for size in shape)
            allowed = f"up to {last}, or below 0 from the end" if shape else '"", it is one number'
            each = ", one for each dimension" if self.explain and shape else ""
            what = f"{value.name} has the shape {shape}"
            raise UserError(f"index = {self.index}: {what}; allowed: {allowed}{each}")
        return tuple(place % size for place, size in zip(index, shape, strict=False))

    def _show_overview(self, console: "Console", trace: "Trace", look: "Look") -> None:
        """List modules and values; modules that differ in numbers alone stand together."""
        from rich.table import Table

        from playattention.xray import meaning
        from playattention.xray.terminal import alike, summary

        found = trace.find(self.module)
        for path, named in alike(found, together=self.module is None).items():
            console.print(path or "(the model itself)", style="bold")
            grid = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
            grid.add_column(no_wrap=True)
            grid.add_column(no_wrap=True)
            grid.add_column(min_width=20)
            for values in named.values():
                value, entry = values[-1], meaning(values[-1])
                told = entry.meaning if entry else value.source
                if self.module is not None:
                    told = summary(value.tensor, look)
                several = len(values) > 1
                name = f"{value.variable} (x{len(values)})" if several else value.name
                grid.add_row(name, str(value.shape), told)
            console.print(grid)
        print("--module PATH --name VALUE shows numbers, --line the source as it ran")


def _title(value: "Value") -> str:
    where = f"{Path(value.file).name}:{value.line}"
    name = f"{value.module}: {value.name}" if value.module else value.name
    number = f" (occurrence {value.occurrence})" if value.occurrence else ""
    return f"{name}{number} {value.shape}  {where}\n  {value.source}"
