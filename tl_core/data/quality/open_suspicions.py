"""What is left to decide of a suspicion, after some of its items were decided about."""

from dataclasses import replace

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import answered_rows
from tl_core.data.quality.checks import Suspicion


def unanswered(suspicion: Suspicion, dataset: Dataset) -> Suspicion | None:
    """Return a suspicion without the items that were left out or decided about; None where nothing is left.

    Of items that belong together, all stay for as long as one of them is open and another one is there.
    """
    present = dataset.included
    waits = present.copy()
    waits[list(answered_rows(dataset.decisions, suspicion.code))] = False
    groups = [[row for row in group if present[row]] for group in suspicion.groups]
    groups = [group for group in groups if len(group) > 1 and waits[group].any()]
    if suspicion.groups:
        waits = np.zeros(len(present), dtype=bool)
        waits[[row for group in groups for row in group]] = True
    places = [place for place, row in enumerate(suspicion.rows) if waits[row]]
    if not places:
        return None
    proposed = [replace(d, rows=tuple(row for row in d.rows if waits[row])) for d in suspicion.proposed]
    return replace(
        suspicion,
        rows=tuple(suspicion.rows[place] for place in places),
        groups=tuple(tuple(group) for group in groups),
        scores=tuple(suspicion.scores[place] for place in places) if suspicion.scores else (),
        suggested=tuple(suspicion.suggested[place] for place in places) if suspicion.suggested else (),
        proposed=tuple(decision for decision in proposed if decision.rows),
    )
