"""`playattention import`: weights that others trained become a run."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class ImportWeights:
    """Make a run of GPT-2's released weights, which every command takes."""

    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """gpt2, gpt2-medium, gpt2-large or gpt2-xl; or a local folder in the Hugging Face layout."""
    name: Annotated[str | None, arg(name="run")] = None
    """Name of the run, below logs/, or a path; default: the source's own name."""

    def run(self) -> None:
        """Lay out the run and say what to do with it."""
        from playattention.training.run import read_config
        from playattention.training.start import import_run

        folder = import_run(self.source, self.name)
        model = read_config(folder).model
        print(
            f"run folder: {folder}\n"
            f"{model.n_layer} blocks, {model.n_head} heads, {model.n_embd} wide, "
            f"context {model.seq_size}\n"
            "try next:\n"
            f'  playattention generate {folder.name} "The answer is"\n'
            f"  playattention eval {folder.name} --dataset tinyshakespeare\n"
            f"  playattention train gpt2 --init {folder.name} --help"
        )
