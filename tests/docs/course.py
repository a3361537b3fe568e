"""What each page of the course must have, and how its parts are recognized."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

ANCHORS = {
    "01-data-and-tokens": "characters byte-pair-encoding vocabulary-size shards",
    "02-split": "split",
    "03-batches": "pairs windows partition ranks",
    "04-embeddings": "one-hot tokens positions",
    "05-attention": "one-head scale mask softmax mixing many-heads cost",
    "06-flash-attention": "flash switch",
    "07-feed-forward": "feed-forward activation",
    "08-residuals-and-norms": "residuals layer-norm block",
    "09-head-and-loss": "head loss first-loss tied-weights",
    "10-training": "step optimizer schedule accumulation clipping evaluation reading-the-plot",
    "11-generation": "loop temperature top-k top-p kv-cache",
    "12-gpu": "watching numbers tensor-cores autocast compile ugly-numbers ladder",
    "13-many-gpus": "ranks accumulation",
    "14-results": "playhouse tinyshakespeare gpt2 released-weights",
    "15-since-gpt2": "changes resources",
}
"""Page -> the anchors that exercises and other pages lead to."""

EXERCISES = {
    "01-data-and-tokens": "tokenizer byte_pairs",
    "02-split": "batches",
    "03-batches": "batches",
    "04-embeddings": "embedding",
    "05-attention": "one_head causal_mask many_heads",
    "06-flash-attention": "break_it",
    "07-feed-forward": "feed_forward",
    "08-residuals-and-norms": "layer_norm block",
    "09-head-and-loss": "lm_loss gpt",
    "10-training": "train_step optimizer",
    "11-generation": "next_token kv_cache",
    "12-gpu": "break_it",
    "13-many-gpus": "train_step",
    "14-results": "convert_gpt2",
    "15-since-gpt2": "break_it",
}
"""Page -> what is written after reading it."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One page of the course."""

    name: str

    @cached_property
    def text(self) -> str:
        return (DOCS / f"{self.name}.md").read_text(encoding="utf-8")

    @cached_property
    def anchors(self) -> list[str]:
        return re.findall(r'<a id="([\w-]+)"></a>', self.text)

    def blocks(self, kind: str) -> list[str]:
        """Return the contents of the fenced blocks of a kind: sh, python, formula, text."""
        return [content for language, content in FENCE.findall(self.text) if language == kind]

    @cached_property
    def commands(self) -> list[str]:
        lines = [
            line.split("#")[0].strip() for block in self.blocks("sh") for line in block.splitlines()
        ]
        return [line for line in lines if line.startswith("playattention ")]

    def cog(self, function: str) -> int:
        """Return how often a function of pages.py fills in what stands in the page."""
        blocks = re.findall(r"<!-- \[\[\[cog(.*?)\]\]\] -->", self.text, re.DOTALL)
        return sum(len(re.findall(rf"\b{function}\(", block)) for block in blocks)

    @cached_property
    def figures(self) -> list[str]:
        """Where the page's numbers come from: single ones, and those in cog's blocks."""
        blocks = re.findall(r"<!-- \[\[\[cog(.*?)\]\]\] -->", self.text, re.DOTALL)
        inside = [name for block in blocks for name in re.findall(r"\br\.\w+|\bresults\(", block)]
        return [*re.findall(r"<!--=([^>]+)-->", self.text), *inside]

    @cached_property
    def drawings(self) -> list[str]:
        return re.findall(r"!\[[^\]]{20,}\]\((images/[\w-]+\.svg)\)", self.text)

    @cached_property
    def questions(self) -> list[tuple[str, str]]:
        """The self-check questions at the end, each with its folded answer."""
        part = self.text.partition("\n## Check yourself\n")[2]
        folded = r"<details>\s*<summary>(.*?)</summary>\n\n(.*?)\n\n</details>"
        return re.findall(folded, part, re.DOTALL)


PAGES = [Page(name) for name in ANCHORS if (DOCS / f"{name}.md").exists()]
