"""Export: write a trained model for use elsewhere, and check that the copy gives the same probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tl_core.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from tl_core.backbones.spec import BackboneSpec
    from tl_core.data.dataset import Dataset
    from tl_core.evaluation.results import Report
    from tl_core.training.model import TransferModel


@dataclass(frozen=True)
class TrainedModel:
    """What an exporter gets: the model, its backbone, its data set and its report."""

    model: "TransferModel"
    spec: "BackboneSpec"
    dataset: "Dataset"
    report: "Report"


@dataclass(frozen=True)
class ExportResult:
    """What was written, and the largest difference to the model's probabilities on `n_compared` items."""

    path: Path
    max_abs_diff: float
    n_compared: int


class Exported(Protocol):
    """An export read back."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities."""
        ...

    def predict(self, items: "Sequence[Path] | Sequence[str]") -> "np.ndarray":
        """Return probabilities `[N, C]` of image files or texts."""
        ...


@dataclass(frozen=True)
class Exporter:
    """A format. `write(path, trained)` is atomic; `load(path)` reads the export back, or raises ExportError."""

    name: str
    suffix: str
    title: str
    write: Callable[[Path, TrainedModel], ExportResult]
    load: Callable[[Path], Exported]


EXPORTERS: Registry[Exporter] = Registry("exporter", "tl_core.export")
