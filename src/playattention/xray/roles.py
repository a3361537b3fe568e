"""What a head looks at, as one number a pattern, beside what chance would give it.

`head_roles` measures every head of a model in the patterns of `patterns.py`, and does the same
for untrained models of the same sizes, for attention that is spread evenly, and for a head that
knows distances alone: a role is given only for clearly more than each of them. A role tells where
a head looks, not what it does with what it finds: for that, change it (`whatif`). Knows no model
and no data set.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from playattention.errors import UserError, unknown
from playattention.xray.attention import head_scores
from playattention.xray.checks import check_ids
from playattention.xray.patterns import PATTERNS, Pattern, Window, plain_windows
from playattention.xray.tables import table

CLEAR_SHARE = 0.25
"""Of the attention that chance leaves over, how much a role must take."""
CLEAR_SITES = 20
"""Queries below which no role is given: a few can't be told from luck."""
UNTRAINED = 5
"""Untrained models that a model is compared with, unless they are given."""


@dataclass(frozen=True)
class Role:
    """How much one head looks where a pattern says, and how much that means."""

    layer: int
    """Number of the block."""
    head: int
    """Number of the head in its block."""
    pattern: str
    """Where it would be looking."""
    score: float
    """Mean share of its attention on the keys that count, over the queries that have some."""
    untrained: float
    """Mean score of all heads of the untrained models."""
    untrained_max: float
    """Highest score of any head of the untrained models."""
    uniform: float
    """Score of attention that is spread evenly over a token and all before it; exact."""
    by_distance: float | None
    """What its habit of looking so and so far back would score here by itself; None where the
    pattern is about one distance, as previous and itself are."""
    sites: int
    """Number of queries."""

    @property
    def chance(self) -> float:
        """The score to beat: an untrained head's, even attention's, or that of distance alone."""
        return max(self.uniform, self.untrained_max, self.by_distance or 0.0)

    @property
    def share(self) -> float:
        """How much of the way from chance to 1 the score goes; negative below chance."""
        return (self.score - self.chance) / max(1.0 - self.chance, 1e-9)

    @property
    def clear(self) -> bool:
        """Whether the head has the role: a share of 0.25 at least, over 20 queries at least."""
        return self.share >= CLEAR_SHARE and self.sites >= CLEAR_SITES


@dataclass(frozen=True)
class HeadRoles:
    """Every head's score in every pattern."""

    roles: tuple[Role, ...]
    """By pattern, then by block and head; a pattern that applies nowhere is left out."""

    def __len__(self) -> int:
        return len(self.roles)

    def __iter__(self) -> Iterator[Role]:
        return iter(self.roles)

    @property
    def clear(self) -> list[Role]:
        """The roles that are given, the clearest first."""
        given = [role for role in self.roles if role.clear]
        return sorted(given, key=_share, reverse=True)

    @property
    def patterns(self) -> list[str]:
        """The patterns that applied somewhere."""
        return list(dict.fromkeys(role.pattern for role in self.roles))

    def of(self, pattern: str) -> list[Role]:
        """Return all heads in one pattern, the highest score first.

        Raises:
            UserError: If the pattern is unknown, or applied nowhere.
        """
        found = [role for role in self.roles if role.pattern == pattern]
        if not found:
            raise unknown("pattern", pattern, self.patterns)
        return sorted(found, key=_score, reverse=True)

    def best(self, pattern: str) -> Role:
        """Return the head with the highest score in a pattern, clear or not.

        Raises:
            UserError: If the pattern is unknown, or applied nowhere.
        """
        return self.of(pattern)[0]

    def __repr__(self) -> str:
        """Show the best head of each pattern, then all heads with a role."""
        heading = ["pattern", "head", "score", "untrained", "highest", "uniform", "distance"]
        rows = [
            [*heading, "sites", "role"],
            *(_row(self.best(pattern)) for pattern in self.patterns),
        ]
        lines = [table(rows), ""]
        for pattern in self.patterns:
            found = [role for role in self.of(pattern) if role.clear]
            told = ", ".join(f"{_name(role)} {role.score:.2f}" for role in found[:6])
            more = f" and {len(found) - 6} more" if len(found) > 6 else ""
            lines.append(f"{pattern}: {told or 'no head'}{more}")
        return "\n".join(lines)


def head_roles(
    model: nn.Module,
    text: torch.Tensor | Sequence[Window],
    *,
    patterns: Mapping[str, Pattern] | None = None,
    untrained: Iterable[nn.Module] | None = None,
) -> HeadRoles:
    """Return what each head looks at, beside untrained models and evenly spread attention.

    Args:
        model: Left in the mode it was in; runs without dropout.
        text: Token ids (B, T), or windows that know where rules act (`playhouse_windows`).
        patterns: Name -> pattern; default: `PATTERNS`.
        untrained: Models of the same sizes; default: five of the model's own class, built from its
            `config` with the seeds 0 to 4.

    Raises:
        UserError: If the tokens do not fit the model, a pattern looks ahead, or the untrained
            models can't be built.
    """
    windows = _windows(text)
    patterns = PATTERNS if patterns is None else patterns
    trained = head_scores(model, windows, patterns)
    twins = untrained_twins(model) if untrained is None else untrained
    chance = [head_scores(twin, windows, patterns) for twin in twins]
    if not chance:
        raise UserError("untrained = no models: must be at least one")
    roles = []
    for pattern, scores in trained.items():
        drawn = torch.cat([found[pattern].looked for found in chance])
        roles += [
            Role(
                layer,
                head,
                pattern,
                score,
                drawn.mean().item(),
                drawn.max().item(),
                scores.uniform,
                None if scores.one_distance else by_distance,
                scores.sites,
            )
            for (layer, head), score, by_distance in zip(
                scores.heads, scores.looked.tolist(), scores.by_distance.tolist(), strict=True
            )
        ]
    return HeadRoles(tuple(roles))


def untrained_twins(model: nn.Module, count: int = UNTRAINED) -> Iterator[nn.Module]:
    """Yield models of a model's class and sizes with first weights, one at a time.

    Args:
        model: Its class takes its `config` alone, as those of this package do.
        count: How many; the seeds are 0, 1, ... Torch's global generator stays as it is.

    Raises:
        UserError: If the class can't be built so.
    """
    for seed in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                twin = type(model)(model.config)
            except (TypeError, AttributeError) as error:
                name = type(model).__name__
                raise UserError(
                    f"untrained = None: {name} can't be built from its config alone ({error}); "
                    "allowed: untrained=[models of the same sizes, not trained]"
                ) from None
        yield twin.to(next(model.parameters()))


def _windows(text: torch.Tensor | Sequence[Window]) -> list[Window]:
    """Return the windows of a text."""
    if isinstance(text, torch.Tensor):
        check_ids(text, "text")
        return plain_windows(text)
    windows = [*text] if isinstance(text, Iterable) else [text]
    if not windows:
        raise UserError("text = no windows: must be at least one")
    if not all(isinstance(window, Window) for window in windows):
        kind = type(windows[0]).__name__
        raise UserError(
            f"text = {kind}: must be token ids (B, T), or windows that playhouse_windows gives"
        )
    return windows


def _row(role: Role) -> list[str]:
    figures = [role.score, role.untrained, role.untrained_max, role.uniform]
    told = [f"{figure:.3f}" for figure in figures]
    told.append("-" if role.by_distance is None else f"{role.by_distance:.3f}")
    return [role.pattern, _name(role), *told, f"{role.sites:,}", "yes" if role.clear else "-"]


def _name(role: Role) -> str:
    return f"{role.layer}.{role.head}"


def _score(role: Role) -> float:
    return role.score


def _share(role: Role) -> float:
    return role.share
