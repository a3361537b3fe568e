"""`playattention generate`: a trained model writes."""

import codecs
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from playattention.compiler import has_compiler
from playattention.errors import UserError

if TYPE_CHECKING:
    import torch

    from playattention.training.run import Run


TOGETHER = 16
"""Most texts that are written side by side: each has keys and values of its own to keep."""


@dataclass(frozen=True)
class Generate:
    """Let a trained model write; without a prompt, ask for one again and again."""

    name: Annotated[Positional[str], arg(metavar="RUN")]
    """The run: its name below logs/, or a path."""
    prompt: Annotated[Positional[str | None], arg(metavar="PROMPT")] = None
    """What the model goes on from."""
    tokens: int = 500
    """How many tokens to add."""
    temperature: float = 1.0
    """Below 1: safer; above 1: wilder; 0: always the likeliest token."""
    top_k: int | None = None
    """Draw from the k likeliest tokens only."""
    top_p: float | None = None
    """Draw from the fewest tokens whose probabilities reach p."""
    samples: int = 1
    """How many texts to write."""
    seed: int | None = None
    """Makes the texts repeatable."""
    step: int | None = None
    """Which checkpoint; default: the last."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: cuda, then mps, then cpu."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """How weights are kept: 16 bits are read in about half the time, and rounded."""
    cache: bool = True
    """Keep keys and values between steps; the text is the same without, only slower."""
    compile: bool = False
    """Compile what writes a token: the second waits some 20 s for it, each other comes sooner."""

    def run(self) -> None:
        """Write the texts as they are drawn."""
        import torch

        from playattention.models.single_tokens import lay_out_for_generation
        from playattention.training.distributed import pick_device
        from playattention.training.report import read_log
        from playattention.training.run import read_run

        self._check()
        device = pick_device(self.device)
        if self.compile and not has_compiler():
            raise UserError("--compile: no C++ compiler found; install g++, or leave it out")
        run = read_run(self.name, self.step)
        dtype = getattr(torch, self.dtype)
        lay_out_for_generation(run.model.to(device), dtype, alone=True)
        generators = self._generators(device)
        logged = read_log(run.path)
        if self.step is None and logged and logged[-1].step > run.step:
            done = f"{run.path} has done {logged[-1].step} steps"
            print(f"{done}; the last saved, used here: step {run.step}", file=sys.stderr)
        if self.prompt is not None:
            self._write(run, self.prompt, generators)
            return
        print(f"{run.path}, step {run.step}. Type a prompt; Ctrl-D ends.")
        for prompt in _asked():
            try:
                self._write(run, prompt, generators)
            except UserError as error:
                print(f"playattention: {error}", file=sys.stderr)

    def _check(self) -> None:
        if self.samples < 1:
            raise UserError(f"samples = {self.samples}: must be 1 or more")
        if self.tokens < 0:
            raise UserError(f"tokens = {self.tokens}: must be 0 or more")
        if self.seed is not None and not 0 <= self.seed < 2**64:
            raise UserError(f"seed = {self.seed}: must be 0 or more and below 2**64")
        if self.compile and self.dtype != "float32":
            raise UserError(f"--compile with --dtype {self.dtype}: allowed with it: float32")
        if self.compile and not self.cache:
            raise UserError("--compile with --no-cache: what is compiled is a step with a cache")

    def _generators(self, device: "torch.device") -> "list[torch.Generator]":
        """Return a generator for each text, so that none depends on how many there are."""
        import torch

        generators = [torch.Generator(device) for _ in range(self.samples)]
        for number, generator in enumerate(generators):
            if self.seed is None:
                generator.seed()
            else:
                generator.manual_seed((self.seed + number) % 2**64)
        return generators

    def _write(self, run: "Run", prompt: str, generators: "list[torch.Generator]") -> None:
        """Print the texts: of those written together, the first as it is drawn."""
        for start in range(0, self.samples, TOGETHER):
            texts = self._texts(run, prompt, generators[start : start + TOGETHER])
            for number, pieces in enumerate(texts, start=start + 1):
                if self.samples > 1:
                    print(f"---- sample {number} of {self.samples}")
                for piece in pieces:
                    print(piece, end="", flush=True)
                print()

    def _texts(
        self, run: "Run", prompt: str, generators: "list[torch.Generator]"
    ) -> Iterator[Iterator[str]]:
        """Yield texts that are written side by side, each as the prompt and what follows."""
        import torch

        from playattention.generation import stream

        ids = run.tokenizer.encode(prompt or run.tokenizer.start)
        steps = stream(
            run.model,
            torch.tensor([ids], device=generators[0].device),
            self.tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            generator=generators,
            use_cache=self.cache,
            compiled=self.compile,
            samples=len(generators),
        )
        drawn: list[list[int]] = []

        def first() -> Iterator[int]:
            for step in steps:
                drawn.append(step.ids.flatten().tolist())
                yield drawn[-1][0]

        yield _pieces(run, prompt, first())
        for row in range(1, len(generators)):
            yield _pieces(run, prompt, (ids[row] for ids in drawn))


def _pieces(run: "Run", prompt: str, ids: Iterable[int]) -> Iterator[str]:
    """Yield the prompt, then text as it is drawn; a character may take several tokens."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    yield prompt
    for id_ in ids:
        yield decoder.decode(run.tokenizer.decode_bytes([id_]))
    yield decoder.decode(b"", final=True)


def _asked() -> Iterator[str]:
    """Yield the lines that the user types, until they end."""
    while True:
        try:
            yield input("prompt> ")
        except EOFError:
            print()
            return
