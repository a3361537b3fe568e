"""The code that is typed in pages of the course runs, and prints what stands below it."""

import re

import pytest

import facts
from tests.docs.course import DOCS, PAGES

BLOCKS = [
    (page.name, number) for page in PAGES for number in range(len(facts.typed_blocks(page.text)))
]


@pytest.mark.parametrize(("page", "number"), BLOCKS)
def test_what_a_block_of_code_prints_stands_below_it(page: str, number: int):
    lines = facts.printed(f"{page}.md", number)
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert lines
    assert "```text\n" + "\n".join(lines) + "\n```" in text


def test_blocks_that_cog_placed_are_not_taken_for_typed_ones():
    page = "```python\n1\n```\n<!-- [[[cog a ]]] -->\n```python\n2\n```\n<!-- [[[end]]] -->\n"
    assert facts.typed_blocks(page) == ["1\n"]


def test_the_bits_of_the_formats_are_those_of_torch():
    """The table of page 12: exponent and fraction give the step after 1 and the largest number."""
    import torch

    rows = re.findall(
        r"^\| (fp32|fp16|bf16) .*?\| 1 \| (\d+) \| (\d+) \| (\d+) \| (\d) \|",
        (DOCS / "12-gpu.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    assert {row[0] for row in rows} == set(types)
    for name, *numbers in rows:
        exponent, fraction, bits, size = map(int, numbers)
        told = torch.finfo(types[name])
        assert told.eps == 2.0**-fraction
        assert told.max == (2 - told.eps) * 2.0 ** (2 ** (exponent - 1) - 1)
        assert told.bits == bits == 1 + exponent + fraction == 8 * size


def test_the_tables_of_weights_count_real_models():
    from playattention.config import GPT2Config
    from playattention.models import build_model

    weights = dict(build_model(GPT2Config(vocab_multiple=1)).named_parameters())
    assert facts.gpt2_weights() == sum(weight.numel() for weight in weights.values())
    biases = sum(weight.numel() for name, weight in weights.items() if name.endswith("bias"))
    assert facts.gpt2_biases() == biases


def test_the_share_of_muon_is_what_its_products_count():
    """PyTorch counts the operations of the products themselves."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from playattention.training.optimizer import orthogonal

    shapes = [(48, 16), (16, 16), (64, 16), (16, 64)]
    with FlopCounterMode(display=False) as counted:
        for shape in shapes:
            orthogonal(torch.randn(1, *shape))
    step = 6 * 100 * sum(rows * columns for rows, columns in shapes)
    assert facts.muon_share(16, 100) == pytest.approx(counted.get_total_flops() / step)
