"""`playattention data`: a data set is put in place and described."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from playattention.data import load_corpus, tinyshakespeare
from playattention.errors import UserError


@dataclass(frozen=True)
class Data:
    """Put a data set in place and say what is in it."""

    name: Annotated[Positional[str], arg(metavar="NAME")]
    """playhouse, tinyshakespeare, or the path of a text file."""
    source: Annotated[Path | None, arg(name="from")] = None
    """A copy of Tiny Shakespeare at hand, instead of a download."""

    def run(self) -> None:
        """Load it, which puts it in place, and describe it."""
        if self.source is not None and self.name != "tinyshakespeare":
            raise UserError(f"--from {self.source}: only tinyshakespeare takes a copy")
        if self.source is not None:
            tinyshakespeare.load(self.source)
        corpus = load_corpus(self.name)
        distinct = "".join(sorted(set(corpus.text)))
        print(f"{corpus.name}: {len(corpus.text):,} characters, {len(distinct)} distinct")
        print(f"sha256 {corpus.sha256}\ncharacters {distinct!r}")
        if corpus.entropy is not None:
            cut = int(0.9 * len(corpus.text))
            floor = corpus.entropy(cut) / (len(corpus.text) - cut)
            print(f"floor {floor:.4f} nats per character: the entropy of its last tenth")
        print(f"\n{corpus.text[:400]}...\n")
        print(f"train on it: playattention train gpt --dataset {self.name}")
