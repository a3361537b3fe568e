"""The picture of a bench: bars, growth, or what there is of them."""

import re
from pathlib import Path

import matplotlib.image
import pytest

from playattention.bench.picture import draw
from playattention.errors import UserError
from tests.bench.benched import RESULTS


def test_it_is_drawn_whatever_there_is(own_folder: Path):
    heights = []
    for left_out in ({}, {"growth": []}, {"figures": []}, {"growth": [], "figures": []}):
        draw(Path("bench.png"), RESULTS.model_copy(update=left_out))
        heights.append(matplotlib.image.imread("bench.png").shape[0])
    assert heights[0] > max(heights[1:])


def test_as_svg_it_holds_every_share_and_each_size_that_grew(own_folder: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(matplotlib.rcParams, "svg.fonttype", "none")  # words stay words
        draw(Path("new") / "bench.svg", RESULTS)
    text = re.sub(r"\s+", " ", Path("new/bench.svg").read_text())
    for words in ("gpt 4x128", "50%  100 tokens/s", "T: 1 to 4", "layers: 1 to 4", "theory"):
        assert re.sub(r"\s+", " ", words) in text, words
    assert "a head's map" not in text  # has no limit


def test_a_place_that_cannot_be_written_is_told(own_folder: Path):
    Path("text").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        draw(Path("text/bench.png"), RESULTS)
