"""The recorded numbers are those of the formulas on the pages, of the run that these name."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from playattention.config import GPTConfig
from playattention.models.model_gpt import GPTModel
from tests.docs.course import DOCS

RECORD = json.loads((DOCS / "record.json").read_text(encoding="utf-8"))
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def tensor(section: str, name: str) -> torch.Tensor:
    return torch.tensor(RECORD[section][name], dtype=torch.float64)


def test_attention_is_scores_scale_mask_softmax_and_mix():
    query, key, value = (tensor("attention", name) for name in ("query", "key", "value"))
    scores = query @ key.T
    torch.testing.assert_close(scores, tensor("attention", "scores"), **CLOSE)
    scaled = scores / math.sqrt(query.size(-1))
    torch.testing.assert_close(scaled, tensor("attention", "scaled"), **CLOSE)
    hidden = torch.ones_like(scaled).triu(1).bool()
    weights = scaled.masked_fill(hidden, -math.inf).softmax(-1)
    torch.testing.assert_close(weights, tensor("attention", "weights"), **CLOSE)
    torch.testing.assert_close(weights @ value, tensor("attention", "mixed"), **CLOSE)


def test_the_projection_is_the_sum_of_what_the_heads_write():
    parts = (tensor("heads", "joined") * tensor("heads", "weight_row")).view(4, 32).sum(-1)
    torch.testing.assert_close(parts, tensor("heads", "parts"), **CLOSE)
    whole = parts.sum() + RECORD["heads"]["bias"]
    assert whole.item() == pytest.approx(RECORD["heads"]["projected"], abs=1e-4)


def test_a_hidden_unit_is_a_dot_product_and_a_bias():
    found = RECORD["feed_forward"]
    product = tensor("feed_forward", "given") @ tensor("feed_forward", "expand_row")
    assert product.item() + found["bias"] == pytest.approx(found["hidden"], abs=1e-4)


def test_what_the_units_write_is_what_the_ledger_says_the_layer_wrote():
    ledger = dict(RECORD["head"]["ledger"])
    written = RECORD["feed_forward"]["written_all"]
    assert written == pytest.approx(ledger["block 3 feed forward"], abs=1e-3)
    assert sum(ledger.values()) == pytest.approx(RECORD["head"]["top"][0][2], abs=1e-3)


def test_logits_become_probabilities_and_these_the_loss():
    logits, position = tensor("head", "logits"), RECORD["run"]["position"]
    true = RECORD["head"]["true"]
    product = tensor("head", "normed") @ tensor("head", "row")
    assert product.item() == pytest.approx(logits[true].item(), abs=1e-4)
    assert logits.softmax(-1)[true].item() == pytest.approx(RECORD["head"]["top"][0][3], abs=1e-5)
    loss = RECORD["head"]["losses"][position]
    assert -logits.log_softmax(-1)[true].item() == pytest.approx(loss, abs=1e-5)


def test_the_layer_norm_by_hand_is_the_models():
    found = {name: tensor("block", name) for name in ("x", "gain", "bias", "normed")}
    root = math.sqrt(RECORD["block"]["variance"] + RECORD["block"]["eps"])
    by_hand = (found["x"] - RECORD["block"]["mean"]) / root * found["gain"] + found["bias"]
    torch.testing.assert_close(by_hand, found["normed"], **CLOSE)


def test_the_record_names_the_command_that_makes_its_run_as_the_pages_do():
    command = RECORD["run"]["command"]
    for page in ("xray.md", "05-attention.md", "index.md"):
        assert command in (DOCS / page).read_text(encoding="utf-8")
    for name, value in (("seq-size", 128), ("steps", 2200), ("learning-rate", 3e-3)):
        told = command.partition(f"{name} ")[2].split()[0]
        assert float(told) == value
    model = GPTModel(GPTConfig(**RECORD["run"]["model"]))
    assert sum(weight.numel() for weight in model.parameters()) == RECORD["run"]["weights"]


def test_a_section_is_recorded_anew_and_the_others_stay(tmp_path: Path):
    """The writer, on one section that needs no run: what is there keeps its form."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import record; "
        "sys.stdout.write(record._lines(json.loads(record.RECORD.read_text())))"
    )
    line = [sys.executable, "-c", code, str(DOCS)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == (DOCS / "record.json").read_text(encoding="utf-8")
