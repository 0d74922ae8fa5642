"""Penalties: terms that are added to the loss of every phase in which the backbone learns. One file each.

A penalty is prepared once, when the first such phase begins; it then adds a term at every step. The modules import
torch only inside their methods, because a form lists them in a process that never loads it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import GraftError, PlanError
from tl_core.plan import Penalty, TransferPlan
from tl_core.registry import Registry
from tl_core.types import Finding, Level, Modality

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

Need = Literal["source", "target", "original_head", "teacher"]
"""What a penalty cannot do without: labelled source items, unlabelled target items, the head that the backbone was
trained with, a trained teacher."""
Stage = tuple[str, int, int]
"""What is being done, items done, items in all."""


@dataclass(frozen=True)
class ItemSubset:
    """Some items of the run: rows `[N]` of its item space, labels `[N]` into `classes` (-1 where there is none).

    Where items may have several labels, `labels` are their targets `[N, K]`.
    """

    rows: "np.ndarray"
    labels: "torch.Tensor"
    classes: tuple[str, ...] = ()

    def labelled(self) -> "ItemSubset":
        """Return the items that have a label."""
        known = (self.labels >= 0).reshape(len(self.labels), -1).all(dim=1)
        return replace(self, rows=self.rows[known.cpu().numpy()], labels=self.labels[known])

    def draw(self, count: int, *seed: int) -> "np.ndarray":
        """Return `count` positions in this side, drawn by `seed` alone, without repeats where there are enough."""
        import numpy as np

        generator = np.random.default_rng(seed)
        return generator.choice(len(self.rows), count, replace=count > len(self.rows))


@dataclass(frozen=True)
class PenaltyContext:
    """What a penalty finds when the first phase that moves the backbone begins; the model is in evaluation mode.

    `features(rows)` runs the present model on rows of the item space and returns pooled features `[B, D]`, with a
    gradient unless one is switched off; `model.head(features)` returns class scores `[B, K]`. `train` lacks the labels
    of the validation items, where the phase is judged by them and a later one learns from them. `start` holds the
    pretrained value of every backbone parameter that any phase may move, by its name in `model`; these tensors never
    change. `solved` says whether the head has learned anything. `original_head` maps pooled features `[B, D]` to the
    scores of the classes that the backbone was trained on. `teacher(rows)` returns a trained model's scores `[B, K]`.
    `linear(K)` makes a head of one linear layer for pooled features, `linear(K, (features, labels))` one that is the
    logistic regression on features `[N, D]` and labels `[N]`, or on targets `[N, K]` one for each label.
    """

    model: "nn.Module"
    start: Mapping[str, "torch.Tensor"]
    train: ItemSubset
    features: Callable[["np.ndarray"], "torch.Tensor"]
    linear: "Linear"
    batch_size: int
    seed: int
    solved: bool = True
    source: ItemSubset | None = None
    target: ItemSubset | None = None
    original_head: "Callable[[torch.Tensor], torch.Tensor] | None" = None
    teacher: Callable[["np.ndarray"], "torch.Tensor"] | None = None
    notes: list[Finding] = field(default_factory=list)
    """What a person should know of how the penalty was prepared; told as events."""

    @property
    def device(self) -> "torch.device":
        """Where the model is."""
        head: Any = self.model.head
        return head.mean.device

    @property
    def width(self) -> int:
        """Pooled features D."""
        head: Any = self.model.head
        return len(head.mean)

    def told(self, code: str, message: str, level: Level = "info") -> None:
        """Add a note."""
        self.notes.append(Finding(level, code, message))

    def cut(self, rows: "np.ndarray") -> "Iterator[np.ndarray]":
        """Yield `rows` in their order, as many as go through the model at once."""
        yield from (rows[at : at + self.batch_size] for at in range(0, len(rows), self.batch_size))


class Linear(Protocol):
    """Makes heads; see Ground."""

    def __call__(self, n_classes: int, solve: "tuple[torch.Tensor, torch.Tensor] | None" = None, /) -> "nn.Module":
        """Return a head for `n_classes` classes, solved on (features, labels) where they are given."""
        ...


@dataclass(frozen=True)
class Batch:
    """One step: rows `[B]` of the item space, their pooled features `[B, D]`, class scores `[B, K]`, labels `[B]`
    (targets `[B, K]` where items may have several).

    `step` counts over the run, `position` is the share of the phase that is done. `beside(rows)` runs the present
    model, in the phase's own training mode, on other rows `[M]`; it returns the features of the batch `[B, D]` and
    theirs `[M, D]`, made with the same normalisation statistics. `mix` is the batch's mixup.
    """

    rows: "np.ndarray"
    pooled: "torch.Tensor"
    logits: "torch.Tensor"
    labels: "torch.Tensor"
    step: int
    position: float
    beside: Callable[["np.ndarray"], "tuple[torch.Tensor, torch.Tensor]"]
    mix: "Callable[[torch.Tensor], torch.Tensor] | None" = None

    def drawn(self, side: ItemSubset, count: int, seed: int) -> "np.ndarray":
        """Return `count` positions in `side`; step and batch decide them, so that the pieces of a batch differ."""
        return side.draw(count, seed, self.step, int(self.rows[0]))


class Term:
    """A penalty at work. Subclasses give `loss`; whatever they keep between steps goes through `state` and `load`."""

    def prepare(self, ground: PenaltyContext) -> Iterator[Stage]:
        """Look at the model and the items once; yields progress."""
        yield from ()

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the term, a scalar, before it is multiplied by its strength."""
        raise NotImplementedError

    def modules(self) -> "Sequence[nn.Module]":
        """Return helper networks (a discriminator, a head for source classes), there once prepared; they learn too."""
        return ()

    def state(self) -> "dict[str, torch.Tensor]":
        """Return what `prepare` found out and a resumed run must not find out anew; helper networks not included."""
        return {}

    def load(self, state: "Mapping[str, torch.Tensor]", ground: PenaltyContext) -> None:
        """Take the place of `prepare` in a resumed run; `ground.model` is then further on than it was there."""
        raise NotImplementedError


@dataclass(frozen=True)
class PenaltyKind:
    """A penalty as it is chosen. `options` is a dataclass whose number fields carry what a form needs (`option`)."""

    name: str
    title: str
    summary: str
    when: str
    strength: float
    options: type[Any]
    make: Callable[[Any], Term]
    sources: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    reads: tuple[Need, ...] = ()
    """What it makes use of where it is there, and does without where it is not."""
    protects_pretrained: bool = True
    """Whether it holds on to what was learned before, which random weights have not."""
    modalities: tuple[Modality, ...] = ("image", "text")
    multilabel: bool = True
    """Whether it also works where an item may have several labels."""

    def term(self, penalty: Penalty) -> Term:
        """Return the term that a plan asks for. Raises PlanError for an option that is unknown or out of range."""
        known = {f.name: f.metadata for f in fields(self.options)}
        for name, value in penalty.options.items():
            if name not in known:
                there_are = ", ".join(known) or "none"
                raise PlanError(f"{called(self.name)} has no option {name!r}.", f"There are: {there_are}.")
            if not known[name]["min"] <= value <= known[name]["max"]:
                low, high = known[name]["min"], known[name]["max"]
                message = f"{known[name]['label']} of “{self.title}” must lie between {low} and {high}, not {value}."
                raise PlanError(message, known[name]["help"])
        return self.make(replace(self.options(), **penalty.options))


@dataclass(frozen=True)
class NoOptions:
    """For a penalty that has nothing to choose but its strength."""


def option(default: float, label: str, help: str, bounds: tuple[float, float]) -> Any:
    """Return a dataclass field for a form: label, help, least and largest value."""
    metadata = {"label": label, "help": help, "min": bounds[0], "max": bounds[1]}
    return field(default=default, metadata=metadata)


PENALTIES: Registry[PenaltyKind] = Registry("penalty", "tl_core.penalties")

_MISSING: dict[Need, tuple[str, str]] = {
    "source": ("labelled items of the source", "Give a second data set as the source, or take another guard."),
    "target": ("unlabelled items of the target", "Give a second data set as the target, or take another guard."),
    "original_head": (
        "the head that the backbone was trained with, and this backbone comes without it",
        "Take a guard that holds on to the weights or the answers of the pretrained model; those need no such head.",
    ),
    "teacher": ("a trained teacher", "Choose a finished run as the teacher."),
}


def called(name: str) -> str:
    """Return how a penalty is told to a person at the beginning of a sentence, by its title where it has one."""
    return f"The guard “{PENALTIES[name].title}”" if name in PENALTIES else f"The penalty {name!r}"


def at_hand(
    plan: TransferPlan, spec: BackboneSpec, source: object = None, target: object = None, teacher: object = None
) -> tuple[Need, ...]:
    """Return what a run has beside its data set; a false `source`, `target` or `teacher` is none.

    The original head reads the last layer group, so a plan that cuts the backbone lower is without it.
    """
    whole = plan.head.tap in (None, *(group.name for group in spec.groups[-1:]))
    found: tuple[tuple[Need, bool], ...] = (
        ("source", bool(source)),
        ("target", bool(target)),
        ("teacher", bool(teacher)),
        ("original_head", spec.original_head is not None and whole),
    )
    return tuple(need for need, there in found if there)


def used(plan: TransferPlan) -> set[Need]:
    """Return what the plan makes use of where it is there; penalties that do not exist use nothing."""
    kinds = [PENALTIES[penalty.name] for penalty in plan.penalties if penalty.name in PENALTIES]
    found = {need for kind in kinds for need in (*kind.needs, *kind.reads)}
    return found | ({"target"} if any(phase.objective == "masked" for phase in plan.phases) else set())


def check_penalties(plan: TransferPlan, have: Sequence[Need], modality: Modality) -> tuple[Finding, ...]:
    """Return what is wrong in the plan's penalties, given what the run has; level "stop" blocks it."""
    found = []
    for index, penalty in enumerate(plan.penalties):
        where = (f"penalties/{index}",)
        try:
            kind = PENALTIES[penalty.name]
            kind.term(penalty)
        except GraftError as error:
            found.append(Finding("stop", "penalty", error.message, error.hint, where))
            continue
        if modality not in kind.modalities:
            message = f"{called(kind.name)} does not fit {modality}s."
            found.append(Finding("stop", "penalty-modality", message, kind.when, where))
        if kind.protects_pretrained and plan.init == "random":
            message = f"{called(kind.name)} holds on to pretrained weights, and this plan starts from random ones."
            found.append(Finding("warn", "penalty-random", message, "Leave it out, or start from pretrained.", where))
        for need in kind.needs:
            if need not in have:
                what, hint = _MISSING[need]
                found.append(Finding("stop", "penalty-needs", f"{called(kind.name)} needs {what}.", hint, where))
    return tuple(found)


def check_multilabel(plan: TransferPlan, multilabel: bool) -> tuple[Finding, ...]:
    """Return what in the plan cannot work where items may have `several` labels; level "stop" blocks it."""
    if not multilabel:
        return ()
    found = []
    hint = "Take another plan, or give each item one label."
    for index, phase in enumerate(plan.phases):
        if phase.objective == "contrastive":
            message = (
                f"Phase {index + 1} ({phase.name!r}) brings items of one label together and others apart, but these "
                "items may have several labels, so two of them can be both."
            )
            found.append(Finding("stop", "several-contrastive", message, hint, (f"phases/{index}/objective",)))
    for index, penalty in enumerate(plan.penalties):
        if penalty.name in PENALTIES and not PENALTIES[penalty.name].multilabel:
            message = f"{called(penalty.name)} is made for items with one label each; these may have several."
            found.append(Finding("stop", "several-penalty", message, hint, (f"penalties/{index}",)))
    return tuple(found)
