"""The part of a suspicion that is still open once some of its items have been decided about."""

from dataclasses import replace

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import answered_rows
from tl_core.data.quality.checks import Suspicion


def open_part(suspicion: Suspicion, dataset: Dataset) -> Suspicion | None:
    """Return a suspicion without the items that were left out or decided about; None where none remains.

    A group stays whole while one of its items is open and it has at least two items.
    """
    present = dataset.included
    is_open = present.copy()
    is_open[list(answered_rows(dataset.decisions, suspicion.code))] = False
    groups = [[row for row in group if present[row]] for group in suspicion.groups]
    groups = [group for group in groups if len(group) > 1 and is_open[group].any()]
    if suspicion.groups:
        is_open = np.zeros(len(present), dtype=bool)
        is_open[[row for group in groups for row in group]] = True
    places = [place for place, row in enumerate(suspicion.rows) if is_open[row]]
    if not places:
        return None
    proposed = [replace(d, rows=tuple(row for row in d.rows if is_open[row])) for d in suspicion.proposed]
    return replace(
        suspicion,
        rows=tuple(suspicion.rows[place] for place in places),
        groups=tuple(tuple(group) for group in groups),
        scores=tuple(suspicion.scores[place] for place in places) if suspicion.scores else (),
        suggested=tuple(suspicion.suggested[place] for place in places) if suspicion.suggested else (),
        proposed=tuple(decision for decision in proposed if decision.rows),
    )
