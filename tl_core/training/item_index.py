"""The items of a run by row number, and which of them a phase learns from or is judged by.

Rows come in this order: the run's own items, then the source's, the target's, then fixed views of all of them.
"""

from collections.abc import Callable, Sequence, Set

import numpy as np
import torch

from tl_core.backbones.prepared import token_lengths
from tl_core.backbones.preprocess import Preprocessor, preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.features import FeatureStore
from tl_core.label_task import label_task
from tl_core.penalties import ItemSubset
from tl_core.plan import Phase

Vary = Callable[[torch.Tensor, int], torch.Tensor]
"""Turns a prepared picture into a varied one; the number (a seed) alone decides how."""


class ItemIndex(Sequence[torch.Tensor]):
    """Prepared items by row. Row r + v * whole is view v of row r, for v in 1..views.

    `source` and `target` leave out every item that is also a validation or test item of the run, because nothing may
    learn from those, and every item that a decision left out.
    """

    def __init__(
        self, main: Dataset, spec: BackboneSpec, store: FeatureStore, source: Dataset | None, target: Dataset | None
    ) -> None:
        """Raise DataError where nothing of the source or the target is left."""
        datasets = [dataset for dataset in (main, source, target) if dataset is not None]
        self._parts = [store.prepared(dataset, spec) for dataset in datasets]
        self._ends = np.cumsum([len(part) for part in self._parts])
        self.preprocessor: Preprocessor = preprocessor(spec)
        """Collates prepared items into what the backbone reads."""
        self.whole = int(self._ends[-1])
        """Items without their views."""
        self.main = len(self._parts[0])
        self.lengths: np.ndarray | None = None
        """Tokens of each item `[N]`; None for pictures."""
        if "text" in main.parts:
            self.lengths = np.concatenate([token_lengths(part) for part in self._parts])
        truth = torch.tensor(main.truth)
        self.labels = torch.full((self.whole, *truth.shape[1:]), -1, dtype=truth.dtype)
        """Labels of the run's own items `[N]`, or their targets `[N, K]`; -1 elsewhere."""
        self.labels[: self.main] = truth
        judges = set(main.items["digest"].to_numpy()[main.rows("validation", "test")])
        self.source = _subset(source, self.main, judges, "source") if source is not None else None
        end = self.whole
        self.target = _subset(target, end - len(target.items), judges, "target") if target is not None else None
        self.views = 0
        self._vary: Vary | None = None

    def add_views(self, views: int, vary: Vary, seed: int) -> None:
        """Add `views` fixed variations of every item; row number and `seed` alone decide them."""
        self.views, self._vary, self._seed = views, vary, seed

    def view(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        """Return the rows to learn from in an epoch: the items themselves, or one of their views, in turn."""
        return rows + self.whole * (1 + epoch % self.views) if self.views else rows

    def all_views(self, rows: np.ndarray) -> np.ndarray:
        """Return every row that learning from `rows` reads over the epochs."""
        views = [rows + self.whole * view for view in range(1, self.views + 1)]
        return np.concatenate(views) if views else rows

    def __len__(self) -> int:
        return self.whole * (1 + self.views)

    def __getitem__(self, row: int) -> torch.Tensor:  # type: ignore[override]
        view, item = divmod(int(row), self.whole)
        part = int(np.searchsorted(self._ends, item, side="right"))
        prepared = self._parts[part][item - int(self._ends[part] - len(self._parts[part]))]
        if view and self._vary is not None:
            return self._vary(prepared, self._seed * 1_000_003 + int(row))
        return prepared


class RunRows:
    """The rows that a phase learns from, those that judge it, and the labels of both."""

    def __init__(
        self, dataset: Dataset, items: ItemIndex, train_rows: Sequence[int] | None, device: torch.device
    ) -> None:
        """Restrict the training items to `train_rows`, unless None."""
        self.items = items
        self.labels = items.labels.to(device)
        """`ItemIndex.labels` on `device`."""
        self.classes = tuple(dataset.classes)
        self.label_task = label_task(dataset.multilabel)
        self.train = training_rows(dataset, train_rows)
        self.validation = dataset.rows("validation")

    def train_rows(self, phase: Phase) -> np.ndarray:
        """Return the rows that a phase learns from."""
        return self.train if phase.fit_on == "train" else np.union1d(self.train, self.validation)

    def validation_rows(self, phase: Phase) -> np.ndarray:
        """Return the rows that judge a phase: none where it learns from the validation items too."""
        return self.validation if phase.fit_on == "train" else self.validation[:0]

    def labels_of(self, rows_B: np.ndarray) -> torch.Tensor:
        """Return the labels `[B]` of rows, or their targets `[B, K]`; a view has the label of its item."""
        return self.labels[torch.from_numpy(rows_B % self.items.whole)]

    def class_weights(self, kind: str, rows: np.ndarray) -> torch.Tensor | None:
        """Return the weights that the loss gives the classes, from the labels of `rows`; None where all are equal."""
        return self.label_task.weights(kind, self.labels_of(rows), len(self.classes))


def training_rows(dataset: Dataset, only: Sequence[int] | None) -> np.ndarray:
    """Return the rows of the training items; those of `only`, unless None."""
    rows = dataset.rows("train")
    return rows if only is None else np.intersect1d(rows, np.asarray(only, dtype=np.int64))


def require_different_labels(dataset: Dataset, only: Sequence[int] | None) -> None:
    """Raise DataError where all training items have the same labels; `only` restricts the items, unless None."""
    truth = dataset.truth[training_rows(dataset, only)]
    if (truth == truth[:1]).all():
        raise DataError(
            "The training items all have the same labels, so there is nothing to tell apart."
            if dataset.multilabel
            else "The training items show fewer than two classes, so there is nothing to tell apart.",
            "Add labelled items, or change the split so that more of them are for training.",
        )


def _subset(dataset: Dataset, offset: int, judges: Set[str], name: str) -> ItemSubset:
    """Return the items of a second data set that judge nothing, at their places in the item index."""
    rows = np.flatnonzero(~dataset.items["digest"].isin(judges).to_numpy() & dataset.included)
    if not len(rows):
        raise DataError(
            f"Every item of the {name} {dataset.name!r} was left out, or is a validation or test item of the data.",
            f"Items of validation and test may only judge. Give other items as the {name}.",
        )
    return ItemSubset(rows + offset, torch.tensor(dataset.truth[rows]), tuple(dataset.classes))
