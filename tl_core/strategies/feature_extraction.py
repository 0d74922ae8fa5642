"""Feature extraction: the backbone frozen, a new head on its last layer group."""

from dataclasses import dataclass

from tl_core.layers import HEAD
from tl_core.plan import Head, Phase, Reason, TransferPlan
from tl_core.strategies import STRATEGIES, Strategy, TaskInfo, option
from tl_core.strategies.caveats import FEW_PER_CLASS, MUCH, adds_up, caveat, without_none
from tl_core.strategies.recipes import (
    ADAMW,
    ALAIN,
    BERT,
    CS231N,
    DECAY,
    HEAD_RATE,
    PRECHELT,
    RAZAVIAN,
    RULE_OF_THUMB,
    SOLVER_ITERATIONS,
    batch_size,
    l2_of_last_group,
    solved_head_phase,
    usable_patience,
)
from tl_core.types import Finding

ESL_NETWORKS = "Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 11.5"
SRIVASTAVA = "Srivastava et al. 2014, Dropout, https://jmlr.org/papers/v15/srivastava14a.html"
HEADS = ("linear", "mlp")


@dataclass(frozen=True)
class FeatureExtraction:
    """The options of the strategy."""

    head: str = option(
        "linear",
        "Head",
        "A linear layer is solved exactly; a small network (mlp) can learn curved borders, and needs more items.",
        choices=HEADS,
    )
    hidden: int = option(
        256, "Hidden units", "The width of the small network. A linear head has none.", (8, 4096), source=RULE_OF_THUMB
    )
    dropout: float = option(
        0.2, "Dropout", "Share of hidden units left out at each step (mlp only).", (0.0, 0.9),
        source=f"the lower end of {SRIVASTAVA}",
    )  # fmt: skip
    iterations: int = option(
        SOLVER_ITERATIONS,
        "Epochs",
        "Passes over the stored features; they cost next to nothing.",
        (1, 500),
        source=RULE_OF_THUMB,
    )
    patience: int = option(
        10, "Patience", "Stop after this many epochs without a better validation score (mlp).", (1, 100),
        source=f"above the 3 to 6 of {PRECHELT}, as these epochs take no time",
    )  # fmt: skip


def plan(task_info: TaskInfo, options: FeatureExtraction) -> TransferPlan:
    """Return one phase that trains the head alone."""
    frozen = Reason("The backbone stays as it was trained, so few items cannot spoil it.", RAZAVIAN)
    if options.head == "linear":
        phase = solved_head_phase(l2_of_last_group(task_info), final=True, iterations=options.iterations)
        head = Head()
        why = Reason(
            f"A linear head over fixed features has one best solution; L2 strength {phase.weight_decay:g} per item "
            "keeps it from memorising.",
            "Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 4.4",
        )
    else:
        epochs = options.iterations
        phase = Phase(
            "head", epochs, {HEAD: HEAD_RATE}, weight_decay=DECAY, patience=usable_patience(options.patience, epochs)
        )
        head = Head("mlp", options.hidden, options.dropout)
        why = Reason(f"A new layer learns well at {HEAD_RATE:g} with decoupled weight decay.", ADAMW)
    return TransferPlan(
        task_info.backbone,
        "feature_extraction",
        (phase,),
        head=head,
        batch_size=batch_size(task_info),
        why=(frozen, why),
    )


def caveats(task_info: TaskInfo, options: FeatureExtraction) -> tuple[Finding, ...]:
    """Return where fine-tuning or lower layers would do better, and where the small network has too few items."""
    far = deep = small = None
    if task_info.total > MUCH and task_info.similarity in ("different", "very different"):
        message = (
            f"{task_info.total:,} items of a domain {task_info.similarity} from what the backbone has seen are enough "
            "for it to adapt. Frozen, it cannot."
        )
        hint = "Fine-tuning usually reaches further here, and takes longer."
        far = caveat("adapt", message, hint, CS231N, "info")
    if task_info.last_is_best is False:
        message = "On your data the features of a lower layer did as well as the last one's, or better."
        deep = caveat("lower", message, "“Features from lower layers” uses them.", ALAIN, "info")
    if options.head == "mlp" and task_info.per_class < FEW_PER_CLASS:
        message = (
            f"A small network as a head is too flexible for about {task_info.per_class:.0f} items a class: it can "
            "learn them by heart."
        )
        small = caveat("free-head", message, "The linear head is safer.", ESL_NETWORKS)
    additive = adds_up(task_info) if options.head == "linear" else None
    return without_none(far, deep, small, additive)


STRATEGIES.add(
    Strategy(
        name="feature_extraction",
        title="Feature extraction",
        summary="Keep the whole backbone frozen and learn only a new head on top.",
        when="Little data (fewer than 100 items a class), or data like what the backbone has seen.",
        options=FeatureExtraction,
        plan=plan,
        sources=(RAZAVIAN, BERT, ADAMW),
        caveats_for=caveats,
    ),
)
