"""A head built by hand to look somewhere gets that role and no other; chance gets none."""

import math

import pytest
import torch
from torch import nn

from playattention.config import GPT2Config, GPTConfig, ModernConfig
from playattention.data.playhouse import write
from playattention.errors import UserError
from playattention.models import MODELS, build_model
from playattention.tokenizers import CharTokenizer
from playattention.xray.attention import head_scores
from playattention.xray.patterns import PATTERNS, RULES, Window, plain_windows, playhouse_windows
from playattention.xray.roles import HeadRoles, Role, head_roles, untrained_twins
from tests.xray.edited import BareModel, ids, small

CONFIGS = {"gpt": GPTConfig, "gpt2": GPT2Config, "modern": ModernConfig}
PLAYS = write(12_000, seed=5)
TOKENIZER = CharTokenizer(PLAYS)
WINDOWS = playhouse_windows(PLAYS, TOKENIZER, 64)[::3]

SIZES = {
    "vocab_size": TOKENIZER.vocab_size,
    "seq_size": 64,
    "n_embd": 144,
    "n_head": 2,
    "n_layer": 1,
}


def one_hot(rows: int, first: int, width: int) -> torch.Tensor:
    """Return codes (rows, width): code i is 1 in channel first + i, -1 in its mirror; mean zero."""
    half = torch.zeros(rows, width // 2)
    half[torch.arange(rows), first + torch.arange(rows)] = 1.0
    return torch.cat([half, -half], dim=1)


def plant(
    name: str, model: nn.Module, place: tuple[int, int], query: torch.Tensor, key: torch.Tensor
) -> None:
    """Set a head's query and key weights (D, C)."""
    layer, head = place
    attention = model.blocks[layer].attention
    with torch.no_grad():
        if name == "gpt":
            attention.heads[head].query.weight.copy_(query)
            attention.heads[head].key.weight.copy_(key)
        else:
            fused = attention.query_key_value.weight.view(3, -1, *query.shape)
            fused[0, head], fused[1, head] = query, key


def looking_back(name: str, distance: int, seed: int = 0) -> nn.Module:
    """Return a new model whose head 0.1 looks so far back, by the positions' codes alone."""
    torch.manual_seed(seed)
    model = build_model(CONFIGS[name](**SIZES))
    if name == "modern":
        turn_back(model, 0, 1, distance, channel=0)
        return model
    with torch.no_grad():
        model.position_embedding.weight.copy_(one_hot(64, 0, 144))
    codes = one_hot(64, 0, 144)
    query, key = torch.zeros(72, 144), torch.zeros(72, 144)
    key[:64] = codes
    query[: 64 - distance] = codes[distance:]  # its number d asks for position d, from d + distance
    plant(name, model, (0, 1), query, key)
    return model


def turn_back(model: nn.Module, layer: int, head: int, distance: int, channel: int) -> None:
    """Let a head ask, by a channel that all tokens share, for the key turned so much less.

    Queries and keys are normed, so only a larger scale makes it sure; the other heads look evenly.
    """
    attention = model.blocks[layer].attention
    size, wide = model.config.head_size, model.config.n_embd
    angles = distance * 10_000.0 ** -(torch.arange(size // 2) / (size // 2))
    query, key = torch.zeros(size, wide), torch.zeros(size, wide)
    query[:, channel] = torch.cat([angles.cos(), -angles.sin()])
    key[: size // 2, channel] = 1.0
    with torch.no_grad():
        model.token_embedding.weight[:, channel] = 1.0
        attention.query_key_value.weight[:wide] = 0.0
    plant("modern", model, (layer, head), query, key)
    attention.scale = 10.0


@pytest.mark.parametrize("name", CONFIGS)
def test_a_head_built_to_look_at_the_previous_token_gets_that_role_and_no_other(name: str):
    roles = head_roles(looking_back(name, 1), WINDOWS, untrained=untrained(name))
    assert [(role.pattern, role.layer, role.head) for role in roles.clear] == [("previous", 0, 1)]
    assert roles.best("previous").score > 0.99
    assert roles.best("previous").sites == 62 * len(WINDOWS)
    assert roles.patterns == [*PATTERNS]


def test_a_head_that_always_looks_four_back_does_not_pass_for_one_that_finds_names():
    """Four back from a heading stands a letter of the name, wherever that comes from."""
    roles = head_roles(looking_back("gpt", 4), WINDOWS, untrained=untrained("gpt"))
    planted = roles.best("address")
    assert (planted.layer, planted.head) == (0, 1)
    assert planted.score > 0.9
    assert planted.untrained_max < 0.3
    assert planted.by_distance > 0.9
    assert roles.clear == []


@pytest.mark.parametrize("name", CONFIGS)
def test_a_head_built_for_induction_gets_that_role_and_its_helper_its_own(name: str):
    """Two blocks (Elhage et al. 2021): one tells each token what came before, one looks it up."""
    model = with_induction(name)
    idx = ids(40, 9, vocab_size=7)
    roles = head_roles(model, idx, untrained=twins(model))
    assert {(role.pattern, role.layer, role.head) for role in roles.clear} == {
        ("previous", 0, 0),
        ("induction", 1, 0),
    }
    assert roles.best("induction").score == pytest.approx(induction_by_hand(idx), abs=0.01)


def with_induction(name: str) -> nn.Module:
    """Return a model of 48 channels: 7 for the token, 7 for the one before, 9 for the place."""
    torch.manual_seed(0)
    model = build_model(CONFIGS[name](vocab_size=7, seq_size=9, n_embd=48, n_head=2, n_layer=2))
    token, before, place = one_hot(7, 0, 48), one_hot(7, 7, 48), one_hot(9, 14, 48)
    with torch.no_grad():
        model.token_embedding.weight[:7] = token
        if name != "modern":
            model.position_embedding.weight.copy_(place)
        for block in model.blocks:
            for weight in (block.attention.projection.weight, *block.feed_forward.parameters()):
                nn.init.zeros_(weight)
        value = model.blocks[0].attention
        reads = (
            value.heads[0].value.weight
            if name == "gpt"
            else value.query_key_value.weight[96 : 96 + 24]
        )
        nn.init.zeros_(reads)
        reads[:7] = token / math.sqrt(12) / 2  # the norm makes each code sqrt(12) times as large
        value.projection.weight[:, :7] = before.T
    if name == "modern":
        with_turned_induction(model, token, before)
        return model
    query, key = torch.zeros(24, 48), torch.zeros(24, 48)
    query[:8], key[:9] = 3 * place[1:], 3 * place
    plant(name, model, (0, 0), query, key)
    query, key = torch.zeros(24, 48), torch.zeros(24, 48)
    query[:7], key[:7] = 3 * token, 3 * before
    plant(name, model, (1, 0), query, key)
    return model


def with_turned_induction(model: nn.Module, token: torch.Tensor, before: torch.Tensor) -> None:
    """Plant the two heads where positions turn: what is looked up must hardly be turned."""
    turn_back(model, 0, 0, 1, channel=14)
    slow = [8, 9, 10, 11, 20, 21, 22]  # pairs that turn by 0.02 at most over 9 tokens
    query, key = torch.zeros(24, 48), torch.zeros(24, 48)
    query[slow], key[slow] = token, before
    with torch.no_grad():
        model.token_embedding.weight[:, 38] = -1.0  # the codes' mean stays zero
        model.blocks[1].attention.query_key_value.weight[:48] = 0.0
    plant("modern", model, (1, 0), query, key)
    model.blocks[1].attention.scale = 1.0


def induction_by_hand(idx: torch.Tensor) -> float:
    """Return the score of a head that shares its attention among all that followed the token.

    The first token has nothing before it; its helper looks at itself there.
    """
    shares = []
    for row in idx.tolist():
        for query in range(len(row)):
            after = [key for key in range(query + 1) if row[max(key - 1, 0)] == row[query]]
            far = [key for key in after if 0 < key < query - 1]
            if far:
                shares.append(len(far) / len(after))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", [101, 102, 103])
def test_an_untrained_model_gets_no_role(name: str, seed: int):
    torch.manual_seed(seed)
    model = build_model(CONFIGS[name](**SIZES))
    assert head_roles(model, WINDOWS, untrained=untrained(name)).clear == []


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_large_random_weights_get_no_role_of_a_rule(seed: int):
    """Their heads look hard at some place or other, which is no sign of a rule."""
    torch.manual_seed(seed)
    model = build_model(GPTConfig(**SIZES))
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    roles = head_roles(model, WINDOWS, untrained=untrained("gpt"))
    assert max(role.score - role.untrained for role in roles) > 0.05
    assert [role for role in roles.clear if role.pattern in RULES] == []


KNOWN: dict[str, list[nn.Module]] = {}


def untrained(name: str) -> list[nn.Module]:
    """Return two untrained models."""
    if name not in KNOWN:
        KNOWN[name] = twins(build_model(CONFIGS[name](**SIZES)))
    return KNOWN[name]


def twins(model: nn.Module) -> list[nn.Module]:
    return [*untrained_twins(model, 2)]


def role(**changed: float) -> Role:
    settings = {"layer": 1, "head": 2, "pattern": "address", "score": 0.6, "untrained": 0.1}
    settings |= {"untrained_max": 0.2, "uniform": 0.1, "by_distance": 0.1, "sites": 100}
    return Role(**{**settings, **changed})


@pytest.mark.parametrize(
    ("changed", "clear"),
    [
        ({}, True),
        ({"score": 0.41}, True),  # chance is 0.2: a quarter of what it leaves over is 0.2
        ({"score": 0.39}, False),
        ({"untrained_max": 0.5}, False),
        ({"uniform": 0.5}, False),
        ({"by_distance": 0.5}, False),
        ({"by_distance": None}, True),
        ({"sites": 19}, False),
        ({"score": 0.05}, False),
        ({"score": 1.0, "uniform": 1.0}, False),
    ],
)
def test_a_role_is_given_for_clearly_more_than_every_kind_of_chance(changed, clear: bool):
    assert role(**changed).clear is clear


@pytest.mark.parametrize("name", MODELS)
def test_the_scores_stand_beside_those_of_untrained_models(name: str):
    model, idx = small(name), ids(9, 7)
    others = [small(name, seed=seed) for seed in (5, 6)]
    roles = head_roles(model, idx, untrained=others)
    drawn = [head_scores(other, plain_windows(idx), PATTERNS)["first"].looked for other in others]
    for found in roles.of("first"):
        assert found.untrained == pytest.approx(torch.cat(drawn).mean().item())
        assert found.untrained_max == pytest.approx(torch.cat(drawn).max().item())
    assert len(roles.of("first")) == 6
    assert roles.best("first").score == max(found.score for found in roles.of("first"))


@pytest.mark.parametrize("name", MODELS)
def test_untrained_twins_are_new_models_of_the_same_sizes(name: str):
    model = small(name)
    state = torch.get_rng_state()
    first, second = untrained_twins(model, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(first) is type(model)
    assert first.config == model.config
    again, _ = untrained_twins(model, 2)
    weights = [twin.token_embedding.weight for twin in (first, second, again)]
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])


def test_an_edited_model_is_measured_with_twins_of_its_own_class():
    roles = head_roles(BareModel(GPTConfig(**SIZES)), ids(5, 9, vocab_size=30))
    assert roles.patterns == ["previous", "first", "itself", "induction"]
    assert roles.clear == []


class Asking(BareModel):
    """Wants to know more than its sizes."""

    def __init__(self, config: GPTConfig, more: int) -> None:
        super().__init__(config)
        self.more = more


def test_a_model_that_cannot_be_built_again_asks_for_untrained_ones():
    model = Asking(GPTConfig(**SIZES), 1)
    with pytest.raises(UserError, match=r"untrained = None: Asking can't be built .*; allowed: "):
        head_roles(model, ids(5, 7))
    assert head_roles(model, ids(5, 7), untrained=[model]).clear == []


def test_a_pattern_of_ones_own_is_measured_like_the_others():
    def second(window: Window) -> torch.Tensor:
        counts = torch.zeros(len(window.ids), len(window.ids), dtype=torch.bool)
        counts[3:, 1] = True
        return counts

    model = small("gpt")
    roles = head_roles(model, ids(5, 7), patterns={"second": second}, untrained=[model])
    assert roles.patterns == ["second"]
    assert roles.best("second").sites == 5 * 4
    assert roles.best("second").uniform == pytest.approx((1 / 4 + 1 / 5 + 1 / 6 + 1 / 7) / 4)


def test_a_pattern_that_is_unknown_is_told_with_the_nearest():
    roles = HeadRoles((role(),))
    with pytest.raises(UserError, match=r"unknown pattern 'adress' \(did you mean 'address'\?\)"):
        roles.best("adress")


@pytest.mark.parametrize("nothing", ["windows", "models"])
def test_nothing_to_measure_is_refused(nothing: str):
    model = small("gpt")
    with pytest.raises(UserError, match=f"no {nothing}: must be at least one"):
        if nothing == "windows":
            head_roles(model, [])
        else:
            head_roles(model, ids(2, 5), untrained=[])


def test_the_table_shows_the_best_head_of_each_pattern_and_who_has_a_role():
    roles = HeadRoles(
        (
            role(),
            role(head=3, score=0.8),
            role(pattern="previous", score=0.3, by_distance=None, sites=12_345),
        )
    )
    heading, address, previous, _, *given = repr(roles).splitlines()
    assert heading.split()[:3] == ["pattern", "head", "score"]
    assert address.split() == [
        "address",
        "1.3",
        "0.800",
        "0.100",
        "0.200",
        "0.100",
        "0.100",
        "100",
        "yes",
    ]
    assert previous.split()[-3:] == ["-", "12,345", "-"]
    assert given == ["address: 1.3 0.80, 1.2 0.60", "previous: no head"]
    assert max(map(len, repr(roles).splitlines())) <= 80
