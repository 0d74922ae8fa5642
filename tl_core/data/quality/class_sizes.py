"""Classes with too few items to learn from or to be scored on."""

import numpy as np

from tl_core.data.quality.basic_problems import FEW
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import these
from tl_core.types import Finding


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return the items of classes that have few items in train, or none in validation or test."""
    dataset = check_input.dataset
    targets = dataset.targets > 0
    trained = targets[dataset.splits == "train"].sum(axis=0)
    tested = targets[check_input.tested].sum(axis=0)
    small = np.flatnonzero(trained < FEW)
    unseen = np.flatnonzero((tested == 0) & (trained >= FEW))
    suspicions = []
    if len(small):
        finding = Finding(
            "warn",
            "class-too-small",
            f"{these([dataset.classes[k] for k in small])} fewer than {FEW} training items.",
            "Add items if you can; scores on so few are mostly luck.",
            tuple(dataset.classes[k] for k in small),
        )
        suspicions.append(_suspicion(check_input, finding, targets, small))
    if len(unseen) and check_input.tested.any():
        finding = Finding(
            "warn",
            "class-not-in-test",
            f"{these([dataset.classes[k] for k in unseen])} no item in the test set, so the test says nothing "
            "about them.",
            "Add items, or let Graft make the split.",
            tuple(dataset.classes[k] for k in unseen),
        )
        suspicions.append(_suspicion(check_input, finding, targets, unseen))
    return suspicions


def _suspicion(check_input: CheckInput, finding: Finding, targets: np.ndarray, classes: np.ndarray) -> Suspicion:
    groups = [np.flatnonzero(check_input.inside & targets[:, k]) for k in classes.tolist()]
    rows = np.unique(np.concatenate(groups)).tolist()
    return Suspicion(finding, tuple(rows), tuple(tuple(group.tolist()) for group in groups))


CHECKS.add(Check(name="sizes", title="Classes with too few items", find=find, rank=20))
