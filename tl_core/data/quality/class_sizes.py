"""Classes with too few items to learn from, or to measure on."""

import numpy as np

from tl_core.data.quality.basic_problems import FEW
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import these
from tl_core.types import Finding


def find(material: CheckInput) -> list[Suspicion]:
    """Return the items of classes that have few items in train, or none in validation or test."""
    dataset = material.dataset
    targets = dataset.targets > 0
    trained = targets[dataset.splits == "train"].sum(axis=0)
    tested = targets[material.tested].sum(axis=0)
    small = np.flatnonzero(trained < FEW)
    unseen = np.flatnonzero((tested == 0) & (trained >= FEW))
    found = []
    if len(small):
        finding = Finding(
            "warn",
            "class-too-small",
            f"{these([dataset.classes[k] for k in small])} fewer than {FEW} training items.",
            "Add items if you can; what is measured on so few is mostly luck.",
            tuple(dataset.classes[k] for k in small),
        )
        found.append(_of(material, finding, targets, small))
    if len(unseen) and material.tested.any():
        finding = Finding(
            "warn",
            "class-not-in-test",
            f"{these([dataset.classes[k] for k in unseen])} no item in the test set, so nothing can be said of how "
            "well a model tells such items.",
            "Add items, or let Graft make the split.",
            tuple(dataset.classes[k] for k in unseen),
        )
        found.append(_of(material, finding, targets, unseen))
    return found


def _of(material: CheckInput, finding: Finding, targets: np.ndarray, classes: np.ndarray) -> Suspicion:
    groups = [np.flatnonzero(material.inside & targets[:, k]) for k in classes.tolist()]
    rows = np.unique(np.concatenate(groups)).tolist()
    return Suspicion(finding, tuple(rows), tuple(tuple(group.tolist()) for group in groups))


CHECKS.add(Check(name="sizes", title="Classes with too few items", find=find, rank=20))
