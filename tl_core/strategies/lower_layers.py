"""Features from lower layers: the backbone is cut where its features still suit a distant domain."""

from dataclasses import dataclass

from tl_core.errors import PlanError
from tl_core.layers import plain_titles
from tl_core.plan import Head, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import MUCH, caveat, without_none
from tl_core.strategies.recipes import (
    ALAIN,
    CS231N,
    RULE_OF_THUMB,
    SOLVER_ITERATIONS,
    YOSINSKI,
    batch_size,
    solved_head_phase,
)
from tl_core.strategies.towers import towers_of
from tl_core.types import Finding


@dataclass(frozen=True)
class LowerLayers:
    """The options of the strategy."""

    tap: str = option(
        "",
        "Cut after",
        "The layer group that the head sits on. Empty: the best depth by the probe, or the middle if it has not run.",
    )
    pool: str = option(
        "mean_std",
        "Summary over positions",
        "The mean alone, or the mean and the spread; the spread of lower layers shows texture.",
        choices=("mean", "mean_std"),
    )
    iterations: int = option(
        SOLVER_ITERATIONS,
        "Epochs",
        "Passes over the stored features; they cost next to nothing.",
        (1, 500),
        source=RULE_OF_THUMB,
    )


def plan(task_info: TaskInfo, options: LowerLayers) -> TransferPlan:
    """Return one phase that solves a head at a lower tap. Raises PlanError for a tap that does not exist."""
    if options.tap and options.tap not in task_info.groups:
        names = ", ".join(task_info.groups)
        raise PlanError(f"There is no layer group {options.tap!r} to cut after.", f"There are: {names}.")
    probed = task_info.tap if task_info.tap in task_info.groups[:-1] else None
    last = towers_of(task_info)[-1]  # a cut below the text's layers would leave the text out
    tap = options.tap or probed or last[max(0, (len(last) - 1) // 2)]
    depth = plain_titles(task_info.groups)[tap]
    if probed == tap:
        why = Reason(f"Of the lower layers, {depth} is best for a linear head here, by cross-validation.", ALAIN)
    else:
        why = Reason(
            f"The head sits after {depth}: upper layers are tied to what the backbone was trained on.", YOSINSKI
        )
    return TransferPlan(
        task_info.backbone,
        "lower_layers",
        (solved_head_phase(task_info.l2, final=True, iterations=options.iterations),),
        head=Head(tap=tap, pool="mean_std" if options.pool == "mean_std" else "mean"),
        batch_size=batch_size(task_info),
        why=(why, Reason("The layers above the cut are left out, so the model is smaller and faster.", YOSINSKI)),
    )


def caveats(task_info: TaskInfo, options: LowerLayers) -> tuple[Finding, ...]:
    """Return where the last layer does as well, or where there is enough data for fine-tuning."""
    return without_none(_near(task_info, options), _much(task_info))


def _near(task_info: TaskInfo, options: LowerLayers) -> Finding | None:
    """Return what speaks for the last layer: the cut itself, else the measurement, else the domain."""
    if options.tap == task_info.groups[-1] or len(task_info.groups) == 1:
        message = "The cut is after the last layers, so nothing is cut off."
        return caveat("no-cut", message, "This is the same as feature extraction.", YOSINSKI, "info")
    if task_info.last_is_best:
        message = "On your data the last layer's features did better than any lower ones."
        return caveat("last-is-best", message, "“Feature extraction” uses them.", ALAIN)
    if task_info.last_is_best is None and task_info.similarity == "similar":
        message = "Your data are similar to what the backbone has seen, where its last layers do best."
        return caveat("near", message, "“Feature extraction” uses them.", YOSINSKI)
    return None


def _much(task_info: TaskInfo) -> Finding | None:
    if task_info.total <= MUCH:
        return None
    message = f"{task_info.total:,} items could teach the upper layers the new domain instead of leaving them out."
    return caveat("adapt", message, "Fine-tuning usually reaches further here, and takes longer.", CS231N, "info")


STRATEGIES.add(
    Strategy(
        name="lower_layers",
        title="Features from lower layers",
        summary="Cut the frozen backbone at a lower layer and learn a new head there.",
        when="Little data of a domain that is far from what the backbone has seen.",
        options=LowerLayers,
        plan=plan,
        sources=(YOSINSKI, ALAIN),
        caveats_for=caveats,
    ),
)
