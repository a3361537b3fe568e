"""`playattention export`: a run as other programs read it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Export:
    """Write a run of GPT-2 as Hugging Face's transformers reads it."""

    name: Annotated[Positional[str], arg(metavar="RUN")]
    """The run: its name below logs/, or a path."""
    to: Path
    """The folder to write: a new one, or an empty one."""
    step: int | None = None
    """Which checkpoint; default: the last."""

    def run(self) -> None:
        """Write the folder and say how it is opened."""
        from playattention.training.export import export
        from playattention.training.run import load_run

        run = load_run(self.name, self.step)
        export(run, self.to)
        print(
            f"{self.to}: step {run.step} of {run.path}\n"
            "in Python:\n"
            "  from transformers import AutoModelForCausalLM, AutoTokenizer\n"
            f"  model = AutoModelForCausalLM.from_pretrained({str(self.to)!r})\n"
            f"  tokenizer = AutoTokenizer.from_pretrained({str(self.to)!r})"
        )
