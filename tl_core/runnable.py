"""Whether a plan can run: the one check that the run, the command line and the app share. No torch."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from tl_core.advice.adapter_sizes import ANY_CONVOLUTION, unfit_groups
from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import PlanError
from tl_core.layers import HEAD
from tl_core.penalties import Need, check_multilabel, check_penalties
from tl_core.plan import TransferPlan, check
from tl_core.types import Finding, Modality, noun


class Items(Protocol):
    """What has to be known of the data; a Dataset fits."""

    @property
    def modality(self) -> Modality:
        """What every item is."""
        ...

    @property
    def multilabel(self) -> bool:
        """Whether an item may have several labels."""
        ...


def runnable(plan: TransferPlan, spec: BackboneSpec, data: Items, have: Sequence[Need]) -> tuple[Finding, ...]:
    """Return what is wrong or odd in `plan` on this backbone and data; level "stop" blocks the run.

    `have` lists what the run has beside its data set (see `penalties.available_needs`). A finding's first item is its
    place in the plan, such as "phases/0/lr/blocks.9".
    """
    return (
        *_modality(spec, data),
        *check(plan, [group.name for group in spec.groups], modality=data.modality),
        *check_multilabel(plan, data.multilabel),
        *check_penalties(plan, have, data.modality),
        *_adapter(plan, spec),
    )


def blocking(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that block the run."""
    return tuple(finding for finding in findings if finding.level == "stop")


def require_runnable(plan: TransferPlan, spec: BackboneSpec, data: Items, have: Sequence[Need]) -> None:
    """Raise PlanError with the first finding that blocks the run; do nothing where there is none."""
    if stops := blocking(runnable(plan, spec, data, have)):
        raise PlanError(stops[0].message, stops[0].hint)


def _modality(spec: BackboneSpec, data: Items) -> Iterator[Finding]:
    if spec.modality != data.modality:
        message = f"{spec.title} takes {noun(spec.modality)}, but the data are {noun(data.modality)}."
        yield Finding("stop", "modality", message, f"Choose a backbone for {noun(data.modality)}.", ("backbone",))


def _adapter(plan: TransferPlan, spec: BackboneSpec) -> Iterator[Finding]:
    """Yield the groups that no adapter fits. Where the spec does not state its layers, the run finds them out."""
    if plan.adapter is None:
        return
    trained = {group for phase in plan.phases for group in phase.lr} - {HEAD}
    kind = plan.adapter.kind
    if unfit := [group for group in unfit_groups(spec, kind) if group in trained]:
        message = f"The adapter {kind!r} fits no layer of {', '.join(unfit)}, so nothing could learn there."
        other = any(group in spec.custom_convolutions for group in unfit) and kind not in ANY_CONVOLUTION
        hint = "Freeze these groups: leave them out of the phases" + (
            f", or choose {' or '.join(ANY_CONVOLUTION)}." if other else "."
        )
        yield Finding("stop", "adapter-unfit", message, hint, ("adapter",))
