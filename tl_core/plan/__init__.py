"""The transfer plan: phases of {layer group: learning rate}. A group that a phase leaves out is frozen."""

from tl_core.plan.checks import check
from tl_core.plan.document import from_yaml, to_yaml
from tl_core.plan.schedules import rate_at
from tl_core.plan.transfer_plan import (
    Adapter,
    Augment,
    Head,
    Loss,
    Objective,
    Penalty,
    Phase,
    Reason,
    Schedule,
    TransferPlan,
    with_rate,
)

__all__ = [
    "Adapter",
    "Augment",
    "Head",
    "Loss",
    "Objective",
    "Penalty",
    "Phase",
    "Reason",
    "Schedule",
    "TransferPlan",
    "check",
    "from_yaml",
    "rate_at",
    "to_yaml",
    "with_rate",
]
