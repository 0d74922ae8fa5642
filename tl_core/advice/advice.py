"""The advice as values: the table row that applies, the domain, one card for each strategy. No torch, no sklearn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tl_core.plan import Reason, TransferPlan
from tl_core.types import Estimate, Finding, Similarity

SOURCES = "sources-"
"""How the codes of findings about disagreeing sources begin."""
NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class SizeRow:
    """One row of a published table: from `low` up to below `high` items (None: no limit) it recommends `strategy`."""

    low: float
    high: float | None
    strategy: str
    options: Mapping[str, Any]
    text: str
    source: str


@dataclass(frozen=True)
class Domain:
    """How similar the data is to what the backbone was trained on, and how that is known."""

    similarity: Similarity
    reason: Reason
    measured: float | None = None


@dataclass(frozen=True)
class Card:
    """One strategy: its plan and its expected cost.

    None means not measured yet. `accuracy` is known only for a head over frozen features.
    """

    strategy: str
    options: Mapping[str, Any]
    plan: TransferPlan
    trainable: int | None
    seconds: Estimate | None
    memory: Estimate | None
    accuracy: Estimate | None = None
    note: str = ""


@dataclass(frozen=True)
class Advice:
    """What is recommended and why.

    `rule` is the strategy that the published tables recommend, `rule_row` the row that says so; `strategy` is the
    recommendation once the measurements and the time limit are taken into account. `cards` holds every strategy, the
    recommended one first. `zero_shot` is the accuracy without any training, by the names of the classes alone.
    """

    backbone: str
    strategy: str
    options: Mapping[str, Any]
    plan: TransferPlan
    rule: str
    rule_row: SizeRow
    domain: Domain
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]
    cards: tuple[Card, ...]
    zero_shot: Estimate | None = None

    def card(self, strategy: str) -> Card:
        """Return the card of a strategy. Raises KeyError where there is none."""
        return {card.strategy: card for card in self.cards}[strategy]
