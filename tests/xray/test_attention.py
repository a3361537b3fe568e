"""Attention weights are found by what they are, and what falls where is added up rightly."""

import pytest
import torch
from torch import nn

from playattention.errors import UserError
from playattention.models import MODELS
from playattention.xray.attention import attention_weights, head_scores
from playattention.xray.patterns import Window, plain_windows, previous
from playattention.xray.watch import watch
from tests.xray.edited import EVERY, ids, small


def odd_keys(window: Window) -> torch.Tensor:
    """Count the keys at odd places, for queries from the third on."""
    place = torch.arange(len(window.ids))
    return (place % 2 == 1) & (place <= place[:, None]) & (place[:, None] >= 3)


@pytest.mark.parametrize("name", EVERY)
def test_every_head_has_weights_whose_rows_sum_to_1_and_look_back_alone(name: str):
    found = attention_weights(small(name), ids(2, 6))
    assert [*found] == [(layer, head) for layer in range(2) for head in range(3)]
    for weights in found.values():
        assert weights.shape == (2, 6, 6)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 6))
        assert not weights.triu(1).any()


def test_the_weights_are_those_of_the_models_own_lines():
    """Of a model that binds each head's, and of one that binds all heads' together."""
    gpt, gpt2 = small("gpt"), small("gpt2")
    one = watch(gpt, ids(2, 6)).one("blocks.1.attention.heads.2", "weights").tensor
    assert torch.equal(attention_weights(gpt, ids(2, 6))[1, 2], one)
    all_heads = watch(gpt2, ids(2, 6)).one("blocks.1.attention", "weights").tensor
    assert torch.equal(attention_weights(gpt2, ids(2, 6))[1, 2], all_heads[:, 2])


def test_weights_of_another_name_are_found_by_their_rows():
    """The model calls them `shares`; the softmax is written out in float64."""
    model, idx = small("bare"), ids(2, 6)
    attention = model.blocks[0].attention
    with torch.no_grad():
        query, key, _ = attention.mixer(model.token_embedding(idx)).double().chunk(3, dim=-1)
    scores = query[..., 4:8] @ key[..., 4:8].mT
    expected = scores.exp().tril() / scores.exp().tril().sum(dim=-1, keepdim=True)
    found = attention_weights(model, idx)[0, 1]
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


def test_a_model_that_binds_no_weights_is_told_what_is_missing():
    model = small("bare")
    model.blocks[1].attention = Hidden()
    with pytest.raises(UserError, match=r"blocks\.1\.attention shows .* 0 heads, not 3"):
        attention_weights(model, ids(1, 5))


class Hidden(nn.Module):
    """Mixes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(12, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.projection(x)


@pytest.mark.parametrize("name", MODELS)
def test_dropout_is_off_and_the_mode_stays(name: str):
    model = small(name, dropout=0.5).train()
    first = attention_weights(model, ids(1, 6))
    again = attention_weights(model, ids(1, 6))
    assert model.training
    assert all(torch.equal(first[head], again[head]) for head in first)


@pytest.mark.parametrize("name", EVERY)
def test_a_score_is_the_mean_of_the_weights_that_count(name: str):
    model, idx = small(name), ids(5, 6)
    scores = head_scores(model, plain_windows(idx), {"odd": odd_keys})["odd"]
    weights = attention_weights(model, idx)
    assert scores.sites == 5 * 3
    for place, (head, looked) in enumerate(weights.items()):
        by_hand = [
            sum(looked[b, query, key].item() for key in range(1, query + 1, 2))
            for b in range(5)
            for query in (3, 4, 5)
        ]
        assert scores.heads[place] == head
        assert scores.looked[place].item() == pytest.approx(sum(by_hand) / 15, rel=1e-5)


def test_the_score_of_even_attention_is_exact():
    scores = head_scores(small("gpt"), plain_windows(ids(2, 6)), {"odd": odd_keys})["odd"]
    assert scores.uniform == pytest.approx((2 / 4 + 2 / 5 + 3 / 6) / 3, rel=1e-12)


def test_the_score_of_distance_is_that_of_the_mean_weights_at_each_distance():
    model, idx = small("gpt2"), ids(4, 6)
    scores = head_scores(model, plain_windows(idx), {"odd": odd_keys})["odd"]
    weights = torch.stack([*attention_weights(model, idx).values()]).double()
    pairs = [(query, key) for query in (3, 4, 5) for key in (1, 3, 5) if key <= query]
    for head in range(6):
        habit = [
            weights[head, :, range(back, 6), range(6 - back)].mean().item() for back in range(6)
        ]
        by_hand = sum(habit[query - key] for query, key in pairs) / 3
        assert scores.by_distance[head].item() == pytest.approx(by_hand, rel=1e-5)


def test_a_pattern_of_one_distance_is_known_as_one():
    windows = plain_windows(ids(2, 6))
    scores = head_scores(small("gpt"), windows, {"previous": previous, "odd": odd_keys})
    assert scores["previous"].one_distance
    assert not scores["odd"].one_distance


def test_the_number_of_windows_in_a_pass_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    model, windows = small("gpt"), plain_windows(ids(5, 6))
    whole = head_scores(model, windows, {"odd": odd_keys})["odd"]
    monkeypatch.setattr("playattention.xray.attention._AT_ONCE", 2 * 6 * 36)
    parts = head_scores(model, windows, {"odd": odd_keys})["odd"]
    torch.testing.assert_close(parts.looked, whole.looked, rtol=1e-5, atol=0)
    torch.testing.assert_close(parts.by_distance, whole.by_distance, rtol=1e-5, atol=0)
    assert (parts.sites, parts.uniform) == (whole.sites, pytest.approx(whole.uniform))


def test_a_pattern_that_applies_nowhere_is_left_out():
    def nowhere(window: Window) -> torch.Tensor:
        return torch.zeros(len(window.ids), len(window.ids), dtype=torch.bool)

    assert head_scores(small("gpt"), plain_windows(ids(1, 5)), {"nowhere": nowhere}) == {}


def test_a_pattern_that_looks_ahead_is_refused():
    def next_one(window: Window) -> torch.Tensor:
        return torch.ones(len(window.ids), len(window.ids), dtype=torch.bool).triu(1)

    with pytest.raises(UserError, match="pattern 'next': counts a key after its query"):
        head_scores(small("gpt"), plain_windows(ids(1, 5)), {"next": next_one})


def test_a_pattern_of_another_shape_is_refused():
    def row(window: Window) -> torch.Tensor:
        return torch.ones(len(window.ids), 1, dtype=torch.bool)

    with pytest.raises(UserError, match=r"pattern 'row' = torch.bool of shape \(5, 1\): must be"):
        head_scores(small("gpt"), plain_windows(ids(1, 5)), {"row": row})
