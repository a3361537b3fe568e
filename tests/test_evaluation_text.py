"""Measures that need text: bits per byte, and HellaSwag against a slow plain computation."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from playattention import evaluation
from playattention.config import GPT2Config, GPTConfig
from playattention.data.hellaswag import Item
from playattention.errors import UserError
from playattention.evaluation import bits_per_byte, choose, evaluate, text_bytes
from playattention.models import build_model
from playattention.tokenizers import CharTokenizer, GPT2Tokenizer, Tokenizer

TEXT = "The lamp is on the table. Ein Käse für 3 Mäuse 🙂🙂 — naïve? "


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other take longer than sums this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["char", "gpt2"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Both kinds: tokens of one character, and of parts of one or several."""
    return CharTokenizer(TEXT) if request.param == "char" else GPT2Tokenizer()


def model_for(tokenizer: Tokenizer, seq_size: int, kind: type = GPT2Config) -> nn.Module:
    """Return a model that is sure of itself."""
    torch.manual_seed(0)
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "seq_size": seq_size, "dropout": 0.4}
    model = build_model(kind(vocab_size=tokenizer.vocab_size, **sizes)).eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.7)
    return model


# Bits per byte.


def test_bytes_are_those_of_the_text_after_the_first_token(tokenizer: Tokenizer):
    ids = tokenizer.encode(TEXT * 5)
    first = tokenizer.decode_bytes(ids[:1])
    tokens = np.array(ids, dtype=np.uint16)
    expected = len((TEXT * 5).encode()) - len(first)
    for seq_size in (1, 7, 16, len(ids) - 1):
        assert text_bytes(tokens, seq_size, tokenizer) == expected


@settings(max_examples=60, deadline=None, database=None)
@given(length=st.integers(9, 90), max_tokens=st.integers(1, 100), seed=st.integers(0, 9))
def test_with_fewer_tokens_the_bytes_are_those_of_the_windows_read(
    length: int, max_tokens: int, seed: int
):
    tokenizer = CharTokenizer(TEXT)
    tokens = np.random.default_rng(seed).integers(tokenizer.vocab_size, size=length)
    tokens = tokens.astype(np.uint16)
    starts = evaluation.window_starts(length, 8, max_tokens)
    places = [place for start in starts for place in range(start + 1, min(start + 9, length))]
    expected = len("".join(tokenizer.characters[tokens[place]] for place in places).encode())
    assert text_bytes(tokens, 8, tokenizer, max_tokens=max_tokens) == expected


def test_end_of_text_is_no_text():
    tokenizer = GPT2Tokenizer()
    ids = [*tokenizer.encode("One. "), tokenizer.end_of_text, *tokenizer.encode("Käse")]
    tokens = np.array(ids, dtype=np.uint16)
    first = len(tokenizer.decode_bytes(ids[:1]))
    assert text_bytes(tokens, 3, tokenizer) == len("One. Käse".encode()) - first


def test_bits_per_byte_is_the_code_length_of_the_text(tokenizer: Tokenizer):
    """An arithmetic coder that uses the model needs so many bits for each byte."""
    tokens = np.array(tokenizer.encode(TEXT * 3), dtype=np.uint16)
    model = model_for(tokenizer, 16)
    found = evaluate(model, tokens, 16)
    n_bytes = text_bytes(tokens, 16, tokenizer)
    bits = 0.0
    exact = model.double()
    for place in range(1, len(tokens)):
        window = (place - 1) // 16
        start = min(window * 16, len(tokens) - 17)
        with torch.no_grad():
            logits, _ = exact(torch.tensor([tokens[start:place].tolist()]))
        bits -= torch.log_softmax(logits[0, -1], dim=-1)[int(tokens[place])].item() / math.log(2)
    assert bits_per_byte(found, n_bytes) == pytest.approx(bits / n_bytes, rel=1e-5)


def test_a_model_that_knows_nothing_needs_what_equal_odds_need():
    tokenizer = CharTokenizer("abcdefgh")
    model = model_for(tokenizer, 8, GPTConfig)
    for weight in model.parameters():
        nn.init.zeros_(weight)
    tokens = np.array(tokenizer.encode("abcdefgh" * 5), dtype=np.uint16)
    found = evaluate(model, tokens, 8)
    assert bits_per_byte(found, text_bytes(tokens, 8, tokenizer)) == pytest.approx(3.0)


# HellaSwag.

WORDS = ["the lamp", "a cup", "is on", "under", "the 3 tables", "käse", "very", "und 🙂", "behind"]


def made_items(n: int, seed: int = 0) -> list[Item]:
    """Return items in the schema, of contexts and endings of many lengths."""
    draw = np.random.default_rng(seed)

    def words(low: int, high: int) -> str:
        return " ".join(draw.choice(WORDS, size=draw.integers(low, high)))

    return [Item(words(1, 12), [words(1, 7) for _ in range(4)], draw.integers(4)) for _ in range(n)]


def slow_losses(
    model: nn.Module, tokenizer: Tokenizer, item: Item, seq_size: int
) -> list[list[float]]:
    """Return the loss of each token of each ending: float64, one sequence and token at a time."""
    exact = model.double()
    found = []
    for ending in item.endings:
        ids, losses = tokenizer.encode(item.context), []
        start = len(ids) + len(tokenizer.encode(" " + ending)) - seq_size - 1
        for token in tokenizer.encode(" " + ending):
            with torch.no_grad():
                logits, _ = exact(torch.tensor([ids[max(start, 0) :]]))
            losses.append(-torch.log_softmax(logits[0, -1], dim=-1)[token].item())
            ids.append(token)
        found.append(losses)
    model.float()
    return found


@pytest.mark.parametrize("seq_size", [48, 100])
@pytest.mark.parametrize("per_batch", [1, 150, 4096])
def test_each_item_is_answered_as_by_a_slow_plain_computation(
    tokenizer: Tokenizer, seq_size: int, per_batch: int, monkeypatch: pytest.MonkeyPatch
):
    """Whatever the batches are, and where contexts are too long for the model."""
    monkeypatch.setattr(evaluation, "TOKENS_PER_BATCH", per_batch)
    tokenizer = CharTokenizer("".join(WORDS)) if tokenizer.name == "char" else tokenizer
    model = model_for(tokenizer, seq_size)
    items = made_items(12)
    lengths = [
        len(tokenizer.encode(f"{item.context} {ending}"))
        for item in items
        for ending in item.endings
    ]
    if tokenizer.name == "char":
        assert max(lengths) > seq_size + 1
    right, normalized = [], []
    for item in items:
        losses = slow_losses(model, tokenizer, item, seq_size)
        sums, means = ([f(each) for each in losses] for f in (sum, np.mean))
        right.append(int(np.argmin(sums)) == item.label)
        normalized.append(int(np.argmin(means)) == item.label)
        found = choose(model, tokenizer, [item], seq_size)
        assert (found.accuracy, found.normalized_accuracy) == (right[-1], normalized[-1])
    found = choose(model, tokenizer, items, seq_size)
    assert found.accuracy == pytest.approx(np.mean(right))
    assert found.normalized_accuracy == pytest.approx(np.mean(normalized))


def test_the_losses_themselves_are_those_of_the_slow_computation():
    tokenizer = CharTokenizer("".join(WORDS))
    model = model_for(tokenizer, 48, GPTConfig)
    items = made_items(6, seed=3)
    rows = [
        (tokenizer.encode(item.context), tokenizer.encode(f" {ending}"))
        for item in items
        for ending in item.endings
    ]
    totals, counts = evaluation._ending_losses(model, rows, 48)
    expected = [losses for item in items for losses in slow_losses(model, tokenizer, item, 48)]
    assert counts.tolist() == [len(losses) for losses in expected]
    assert totals.tolist() == pytest.approx([sum(losses) for losses in expected], rel=1e-5)


def test_accuracies_are_shares_of_all_items_with_their_standard_errors():
    tokenizer = CharTokenizer("".join(WORDS))
    model = model_for(tokenizer, 100)
    items = made_items(40)
    found = choose(model, tokenizer, items, 100)
    right, normalized = [], []
    for item in items:
        one = choose(model, tokenizer, [item], 100)
        right.append(one.accuracy)
        normalized.append(one.normalized_accuracy)
        assert math.isnan(one.standard_error)
    assert found.items == 40
    for answers, share, error in (
        (right, found.accuracy, found.standard_error),
        (normalized, found.normalized_accuracy, found.normalized_standard_error),
    ):
        assert 0 < sum(answers) < 40
        assert share == pytest.approx(np.mean(answers))
        assert error == pytest.approx(np.std(answers, ddof=1) / math.sqrt(40))
    assert right != normalized


def test_a_model_that_has_learnt_the_right_endings_finds_them():
    """And the length counts only where it is not normalized away."""
    tokenizer = CharTokenizer("ab ")
    model = model_for(tokenizer, 32, GPTConfig)
    for weight in model.parameters():
        nn.init.zeros_(weight)
    short_and_long = [Item("a", ["bbbb", "b", "bb", "bbb"], 1)] * 3
    equal_odds = choose(model, tokenizer, short_and_long, 32)
    assert equal_odds.accuracy == 1.0  # fewest tokens
    assert equal_odds.normalized_accuracy == 0.0  # all equal: the first


def test_the_model_stays_in_its_mode():
    tokenizer = GPT2Tokenizer()
    model = model_for(tokenizer, 100)
    plain = choose(model, tokenizer, made_items(5), 100)
    assert choose(model.train(), tokenizer, made_items(5), 100) == plain
    assert model.training


def test_an_ending_longer_than_the_context_is_told():
    tokenizer = CharTokenizer("".join(WORDS))
    items = [Item("the", ["a", "a", "a", "a" * 9], 0)]
    choose(model_for(tokenizer, 10), tokenizer, items, 10)
    with pytest.raises(UserError, match=r"^seq_size = 9: an ending takes 10 tokens; allowed: "):
        choose(model_for(tokenizer, 9), tokenizer, items, 9)


def test_a_character_that_the_tokenizer_lacks_is_told_with_its_item():
    tokenizer = CharTokenizer("abc ")
    items = [Item("a", ["a", "b", "c", "a"], 0), Item("a", ["a", "b", "z", "a"], 0)]
    with pytest.raises(UserError, match=r"^item 1: unknown character 'z' at position 1; allowed: "):
        choose(model_for(tokenizer, 9), tokenizer, items, 9)
