"""Strategies: pure functions from task info and options to a plan. The trainer executes plans and knows no strategy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from tl_core.errors import PlanError
from tl_core.plan import TransferPlan
from tl_core.registry import Registry
from tl_core.types import PARTS, Finding, Modality, Part, Similarity, noun


@dataclass(frozen=True)
class TaskInfo:
    """What a strategy knows about the task.

    `groups` are the backbone's layer groups, input side first, without the head. `n_train` counts training items
    and `per_class_min` those of the smallest class. `tap`, `pool` and `l2` are the depth, pooling and L2 strength
    per item that are best for a linear head (by the probe, or the defaults before a probe); `last_l2` is the L2
    strength for the last group, where it differs.

    Only the advice fills in the rest; a default means not known. `n_validation` counts validation items; `similarity`
    is how similar the data is to what the backbone has seen; `last_is_best` is whether the last group's features did
    better than lower ones; `device` is the processor that trains; `parameters` is the size of the backbone.
    `has_target` and `has_source` are whether there is a second data set, unlabelled or labelled. `multilabel` is
    whether an item may have several labels, and `labels` is how many labels the items have in all (0: one each).
    """

    backbone: str
    modality: Modality
    groups: tuple[str, ...]
    n_train: int
    n_classes: int
    per_class_min: int
    tap: str | None = None
    pool: str = "mean"
    l2: float = 0.01
    last_l2: float | None = None
    n_validation: int = 0
    similarity: Similarity = "not measured"
    last_is_best: bool | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    parameters: int = 0
    has_target: bool = False
    has_source: bool = False
    multilabel: bool = False
    labels: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """What an item consists of: a picture, a text, or both."""
        return PARTS[self.modality]

    @property
    def total(self) -> int:
        """Labelled items to learn from: training and validation items together, as the published tables count them."""
        return self.n_train + self.n_validation

    @property
    def per_class(self) -> float:
        """Labelled items of the average class."""
        return (self.labels or self.total) / max(1, self.n_classes)


def no_caveats(task_info: TaskInfo, options: Any) -> tuple[Finding, ...]:
    """Return no finding: the strategy makes sense everywhere."""
    return ()


@dataclass(frozen=True)
class Strategy:
    """A fine-tuning recipe. `options` is a dataclass whose fields carry what a form needs (see `option`).

    `caveats_for` returns where the strategy makes little sense for a task, as findings that never block it.
    """

    name: str
    title: str
    summary: str
    when: str
    options: type[Any]
    plan: Callable[[TaskInfo, Any], TransferPlan]
    sources: tuple[str, ...]
    caveats_for: Callable[[TaskInfo, Any], tuple[Finding, ...]] = no_caveats
    modalities: tuple[Modality, ...] = ("image", "text", "multimodal")

    def defaults(self, task_info: TaskInfo) -> Any:
        """Return the default options for a task; some of them depend on its data."""
        usual = {f.name: f.metadata["usual"](task_info) for f in fields(self.options) if f.metadata.get("usual")}
        return replace(self.options(), **usual)

    def make(self, task_info: TaskInfo, options: Mapping[str, Any] | None = None) -> TransferPlan:
        """Return the plan for a task, with some options changed by name.

        Raises PlanError for a bad option, and where the strategy does not fit such items.
        """
        if task_info.modality not in self.modalities:
            raise PlanError(f"{self.title} does not work with {noun(task_info.modality)}.", "Choose another strategy.")
        return self.plan(task_info, self._chosen(task_info, options))

    def caveats(self, task_info: TaskInfo, options: Mapping[str, Any] | None = None) -> tuple[Finding, ...]:
        """Return why the strategy makes little sense for a task, if so. Raises PlanError for a bad option."""
        return self.caveats_for(task_info, self._chosen(task_info, options))

    def _chosen(self, task_info: TaskInfo, options: Mapping[str, Any] | None) -> Any:
        options_by_name = {f.name: f for f in fields(self.options)}
        for name, value in (options or {}).items():
            if name not in options_by_name:
                names = ", ".join(options_by_name) or "none"
                raise PlanError(f"The strategy {self.name!r} has no option {name!r}.", f"There are: {names}.")
            metadata, default = options_by_name[name].metadata, options_by_name[name].default
            _check(metadata, value)
            modality = metadata["modality"]
            if modality not in (None, task_info.modality, *task_info.parts) and value != default:
                message = f"{metadata['label']}: {value!r} is made for {noun(modality)}, and these items are not."
                raise PlanError(message, f"Leave it at {default!r}.")
        return replace(self.defaults(task_info), **(options or {}))


def option(
    default: Any,
    label: str,
    help: str,
    bounds: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    **more: Any,
) -> Any:
    """Return a dataclass field for a form: label, help, min and max or choices.

    `more` may hold `source`, where the default comes from (the help names it); `usual`, a function from the task info
    to the default; `modality`, if the option is for one alone; `last`, if a form shows the option after the others.
    """
    low, high = bounds or (None, None)
    if source := more.get("source"):
        help = f"{help} Source of the usual value: {source}."
    metadata = {"label": label, "help": help, "min": low, "max": high, "choices": choices}
    defaults = {"source": "", "usual": None, "modality": None, "last": False}
    return field(default=default, metadata=defaults | metadata | more)


def _check(metadata: Mapping[str, Any], value: Any) -> None:
    if metadata["choices"] and value not in metadata["choices"]:
        choices = ", ".join(metadata["choices"])
        raise PlanError(f"{metadata['label']} cannot be {value!r}.", f"There are: {choices}.")
    if metadata["min"] is not None and not (
        isinstance(value, (int, float)) and metadata["min"] <= value <= metadata["max"]
    ):
        message = f"{metadata['label']} must lie between {metadata['min']} and {metadata['max']}, not {value!r}."
        raise PlanError(message, metadata["help"])


STRATEGIES: Registry[Strategy] = Registry("strategy", "tl_core.strategies")
