"""Penalties: terms added to the loss of every phase in which the backbone learns. One file each.

A penalty is prepared once, when the first such phase begins; it then adds its term at every step. The modules import
torch only inside their methods, because forms list the penalties in a process that never loads torch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import GraftError, PlanError
from tl_core.plan import Penalty, TransferPlan
from tl_core.plan.findings import numbered
from tl_core.registry import Registry
from tl_core.types import Finding, Level, Modality, WorkDone, noun

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

Need = Literal["source", "target", "original_head", "teacher"]
"""What a penalty may need: labelled source items, unlabelled target items, the head that the backbone was trained with,
a trained teacher."""


@dataclass(frozen=True)
class ItemSubset:
    """Some items of the run: rows `[N]` of its item index, labels `[N]` into `classes` (-1: no label).

    Where items may have several labels, `labels` are their targets `[N, K]`.
    """

    rows: "np.ndarray"
    labels: "torch.Tensor"
    classes: tuple[str, ...] = ()

    def labelled(self) -> "ItemSubset":
        """Return the items that have a label."""
        has_label = (self.labels >= 0).reshape(len(self.labels), -1).all(dim=1)
        return replace(self, rows=self.rows[has_label.cpu().numpy()], labels=self.labels[has_label])

    def draw(self, count: int, *seed: int) -> "np.ndarray":
        """Return `count` positions in this subset, drawn by `seed` alone; none twice where there are enough items."""
        import numpy as np

        generator = np.random.default_rng(seed)
        return generator.choice(len(self.rows), count, replace=count > len(self.rows))


@dataclass(frozen=True)
class PenaltyContext:
    """What a penalty is prepared with, when the first phase that trains the backbone begins; the model is in eval mode.

    `model.head` maps pooled features `[B, D]` to class scores `[B, K]`. `starting_weights` holds the pretrained value
    of every backbone tensor that some phase may train, by its name in `model`; these tensors never change. `train`
    hides the labels of validation items that judge the phase, where a later phase learns from them.
    """

    model: "nn.Module"
    starting_weights: Mapping[str, "torch.Tensor"]
    train: ItemSubset
    features: Callable[["np.ndarray"], "torch.Tensor"]
    """Runs the present model on rows of the item index; returns pooled features `[B, D]`, with a gradient."""
    make_head: "MakeHead"
    batch_size: int
    seed: int
    head_trained: bool = True
    source: ItemSubset | None = None
    target: ItemSubset | None = None
    original_head: "Callable[[torch.Tensor], torch.Tensor] | None" = None
    """Maps pooled features `[B, D]` to the scores of the classes that the backbone was trained on."""
    teacher: Callable[["np.ndarray"], "torch.Tensor"] | None = None
    """Returns the scores `[B, K]` of a trained model for rows of the item index."""
    notes: list[Finding] = field(default_factory=list)
    """What a person should know about how the penalty was prepared; published as events."""

    @property
    def device(self) -> "torch.device":
        """Where the model is."""
        head: Any = self.model.head
        return head.mean.device

    @property
    def width(self) -> int:
        """The number of pooled features D."""
        head: Any = self.model.head
        return len(head.mean)

    def note(self, code: str, message: str, level: Level = "info") -> None:
        """Add a note."""
        self.notes.append(Finding(level, code, message))

    def batches(self, rows: "np.ndarray") -> "Iterator[np.ndarray]":
        """Yield `rows` in their order, in batches that fit through the model."""
        yield from (rows[at : at + self.batch_size] for at in range(0, len(rows), self.batch_size))


class MakeHead(Protocol):
    """Makes linear heads over pooled features."""

    def __call__(self, n_classes: int, solve_on: "tuple[torch.Tensor, torch.Tensor] | None" = None, /) -> "nn.Module":
        """Return a linear head; on features `[N, D]` and labels `[N]` it is their logistic regression.

        With targets `[N, K]` instead of labels it is one logistic regression for each label.
        """
        ...


@dataclass(frozen=True)
class Batch:
    """What a penalty reads at one step: rows `[B]` of the item index, their pooled features `[B, D]`, class scores
    `[B, K]` and labels `[B]` (targets `[B, K]` where items may have several).

    `step` counts over the run, `position` in [0, 1] over the phase. `mix` is the batch's mixup.
    """

    rows: "np.ndarray"
    pooled: "torch.Tensor"
    logits: "torch.Tensor"
    labels: "torch.Tensor"
    step: int
    position: float
    features_with: Callable[["np.ndarray"], "tuple[torch.Tensor, torch.Tensor]"]
    """Runs the model, in training mode, on other rows `[M]`; returns the features of the batch `[B, D]` and of the
    other rows `[M, D]`, normalised by the same statistics."""
    mix: "Callable[[torch.Tensor], torch.Tensor] | None" = None

    def draw(self, subset: ItemSubset, count: int, seed: int) -> "np.ndarray":
        """Return `count` positions in `subset`, drawn again for each step and each micro-batch."""
        return subset.draw(count, seed, self.step, int(self.rows[0]))


class PenaltyTerm:
    """A penalty in a run. Subclasses give `loss`; what they keep between steps goes through `state` and `load`."""

    def prepare(self, context: PenaltyContext) -> Iterator[WorkDone]:
        """Measure once what the term needs from the model and the items; yield progress."""
        yield from ()

    def loss(self, batch: Batch) -> "torch.Tensor":
        """Return the term, a scalar, without the factor `strength`."""
        raise NotImplementedError

    def modules(self) -> "Sequence[nn.Module]":
        """Return helper networks that learn too (a discriminator, a head for source classes), there once prepared."""
        return ()

    def state(self) -> "dict[str, torch.Tensor]":
        """Return what `prepare` measured and a resumed run must not measure again; helper networks not included."""
        return {}

    def load(self, state: "Mapping[str, torch.Tensor]", context: PenaltyContext) -> None:
        """Take the place of `prepare` in a resumed run, whose `context.model` has learned since."""
        raise NotImplementedError


@dataclass(frozen=True)
class PenaltyKind:
    """A penalty as a person chooses it. `options` is a dataclass of numbers, each with what a form needs (`option`)."""

    name: str
    title: str
    summary: str
    when: str
    strength: float
    options: type[Any]
    make: Callable[[Any], PenaltyTerm]
    sources: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    reads: tuple[Need, ...] = ()
    """What it uses if the run has it, but can do without."""
    protects_pretrained: bool = True
    """Whether it preserves what was learned before, so that it is pointless with random weights."""
    modalities: tuple[Modality, ...] = ("image", "text", "multimodal")
    multilabel: bool = True
    """Whether it also works where an item may have several labels."""

    def term(self, penalty: Penalty) -> PenaltyTerm:
        """Return the term that a plan asks for. Raises PlanError for an option that is unknown or out of range."""
        metadata = {f.name: f.metadata for f in fields(self.options)}
        for name, value in penalty.options.items():
            if name not in metadata:
                raise PlanError(
                    f"{full_title(self.name)} has no option {name!r}.", f"There are: {', '.join(metadata) or 'none'}."
                )
            low, high = metadata[name]["min"], metadata[name]["max"]
            if not low <= value <= high:
                message = f"{metadata[name]['label']} of “{self.title}” must lie between {low} and {high}, not {value}."
                raise PlanError(message, metadata[name]["help"])
        return self.make(replace(self.options(), **penalty.options))


@dataclass(frozen=True)
class NoOptions:
    """For a penalty that has no option besides its strength."""


def option(default: float, label: str, help: str, bounds: tuple[float, float]) -> Any:
    """Return a dataclass field for a form: label, help, smallest and largest value."""
    metadata = {"label": label, "help": help, "min": bounds[0], "max": bounds[1]}
    return field(default=default, metadata=metadata)


PENALTIES: Registry[PenaltyKind] = Registry("penalty", "tl_core.penalties")

_MISSING: dict[Need, tuple[str, str]] = {
    "source": ("labelled items of the source", "Give a second data set as the source, or choose another penalty."),
    "target": ("unlabelled items of the target", "Give a second data set as the target, or choose another penalty."),
    "original_head": (
        "the head that the backbone was trained with, and this backbone comes without it",
        "Choose a penalty that preserves the weights or predictions of the pretrained model; it needs no such head.",
    ),
    "teacher": ("a trained teacher", "Choose a finished run as the teacher."),
}


def full_title(name: str) -> str:
    """Return what a penalty is called at the start of a sentence: its title, or its name where it has no title."""
    return f"The penalty “{PENALTIES[name].title}”" if name in PENALTIES else f"The penalty {name!r}"


def available_needs(
    plan: TransferPlan, spec: BackboneSpec, source: object = None, target: object = None, teacher: object = None
) -> tuple[Need, ...]:
    """Return which needs of penalties a run can meet; a falsy `source`, `target` or `teacher` is not there.

    The original head reads the last layer group, so a plan that cuts the backbone lower cannot use it.
    """
    whole = plan.head.tap in (None, *(group.name for group in spec.groups[-1:]))
    available: tuple[tuple[Need, bool], ...] = (
        ("source", bool(source)),
        ("target", bool(target)),
        ("teacher", bool(teacher)),
        ("original_head", spec.original_head is not None and whole),
    )
    return tuple(need for need, there in available if there)


def needs_of(plan: TransferPlan) -> set[Need]:
    """Return what the plan uses if the run has it; penalties that do not exist use nothing."""
    kinds = [PENALTIES[penalty.name] for penalty in plan.penalties if penalty.name in PENALTIES]
    needs = {need for kind in kinds for need in (*kind.needs, *kind.reads)}
    return needs | ({"target"} if any(phase.objective == "masked" for phase in plan.phases) else set())


def check_penalties(plan: TransferPlan, have: Sequence[Need], modality: Modality) -> tuple[Finding, ...]:
    """Return what is wrong with the plan's penalties, given what the run has; level "stop" blocks it."""
    findings = []
    for index, penalty in enumerate(plan.penalties):
        where = (f"penalties/{index}",)
        try:
            kind = PENALTIES[penalty.name]
            kind.term(penalty)
        except GraftError as error:
            findings.append(Finding("stop", "penalty", error.message, error.hint, where))
            continue
        if modality not in kind.modalities:
            message = f"{full_title(kind.name)} does not fit {noun(modality)}."
            findings.append(Finding("stop", "penalty-modality", message, kind.when, where))
        if kind.protects_pretrained and plan.init == "random":
            message = f"{full_title(kind.name)} preserves pretrained weights, but this plan starts from random ones."
            hint = "Leave it out, or start from the pretrained weights."
            findings.append(Finding("warn", "penalty-random", message, hint, where))
        for need in kind.needs:
            if need not in have:
                what, hint = _MISSING[need]
                findings.append(Finding("stop", "penalty-needs", f"{full_title(kind.name)} needs {what}.", hint, where))
    return tuple(findings)


def check_multilabel(plan: TransferPlan, multilabel: bool) -> tuple[Finding, ...]:
    """Return what in the plan cannot work if items may have several labels (`multilabel`); level "stop" blocks it."""
    if not multilabel:
        return ()
    findings = []
    hint = "Choose another plan, or give each item one label."
    for index, phase in enumerate(plan.phases):
        if phase.objective == "contrastive":
            message = (
                f"{numbered(index, phase)} moves items of one label together and others apart, but these "
                "items may have several labels, so a pair can share one label and differ in another."
            )
            findings.append(Finding("stop", "multilabel-contrastive", message, hint, (f"phases/{index}/objective",)))
    for index, penalty in enumerate(plan.penalties):
        if penalty.name in PENALTIES and not PENALTIES[penalty.name].multilabel:
            message = f"{full_title(penalty.name)} works only with one label per item; these items may have several."
            findings.append(Finding("stop", "multilabel-penalty", message, hint, (f"penalties/{index}",)))
    return tuple(findings)
