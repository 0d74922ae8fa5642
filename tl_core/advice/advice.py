"""What is advised, as values: the row of the tables, the domain, a card a strategy. No torch, no sklearn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tl_core.plan import Reason, TransferPlan
from tl_core.types import Estimate, Finding, Similarity

SOURCES = "sources-"
"""How the codes of findings begin that tell where published advice disagrees."""
NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class SizeRow:
    """One row of a published table: data of `low` up to below `high` items (None: no end) calls for `strategy`."""

    low: float
    high: float | None
    strategy: str
    options: Mapping[str, Any]
    text: str
    source: str


@dataclass(frozen=True)
class Domain:
    """How near the data is to what the backbone was trained on, and how that is known."""

    similarity: Similarity
    reason: Reason
    measured: float | None = None


@dataclass(frozen=True)
class Card:
    """One strategy to choose: its plan and what it is expected to cost.

    None means that it is not measured yet. `accuracy` is only known for a head over frozen features.
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

    `rule` is the strategy that the published tables ask for, `rule_row` the row they rest on; `strategy` is the
    recommendation after evidence and time had their say. `cards` holds every strategy, the recommended one first.
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

    def card(self, strategy: str) -> Card:
        """Return the card of a strategy. Raises KeyError where there is none."""
        return {card.strategy: card for card in self.cards}[strategy]
