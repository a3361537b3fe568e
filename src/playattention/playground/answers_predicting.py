"""What the server answers about predictions: lens, losses, ledger, roles.

Does not know how anything is found.
"""

from playattention.playground.answers import Answer, Candidate, TokenText


class TrueNext(TokenText):
    """The token that does come next."""

    rank: int
    probability: float


class LensCell(Answer):
    """What one stage predicts at one position."""

    top: list[Candidate]
    next: TrueNext | None


class Lens(Answer):
    """What each stage would predict."""

    stages: list[str]
    positions: list[list[LensCell]]
    """By stage, then by position."""


class LossEntry(Answer):
    """What one prediction cost."""

    position: int
    token: TokenText
    next: TokenText | None
    loss: float | None
    probability: float | None
    rank: int | None
    top: list[Candidate]


class LossesAnswer(Answer):
    """What each prediction cost."""

    mean: float | None
    positions: list[LossEntry]


class LedgerEntry(Answer):
    """What one part added to a logit."""

    name: str
    kind: str
    layer: int | None
    head: int | None
    amount: float


class LedgerAnswer(Answer):
    """A logit as a sum."""

    position: int
    token: TokenText
    logit: float
    total: float
    remainder: float
    entries: list[LedgerEntry]


class RoleEntry(Answer):
    """How much a head looks where a pattern says."""

    layer: int
    head: int
    pattern: str
    score: float
    untrained: float
    untrained_max: float
    uniform: float
    by_distance: float | None
    chance: float
    share: float
    clear: bool
    sites: int


class Roles(Answer):
    """Every head in every pattern."""

    text: str
    """What it was measured on."""
    windows: int
    patterns: dict[str, str]
    """What each looks at, in words."""
    roles: list[RoleEntry]
