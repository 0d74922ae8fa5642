"""Texts in another language than most."""

import numpy as np

from tl_core.data.language_id import LANGUAGES
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import count
from tl_core.types import Finding

MAJORITY = 0.7
"""Share of texts in the main language from which texts in other languages are reported."""


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return the texts in another language than the main one, where the data set has a main language."""
    assert check_input.languages is not None
    known = np.flatnonzero(check_input.inside & (check_input.languages != ""))
    languages, index, counts = np.unique(check_input.languages[known], return_inverse=True, return_counts=True)
    if not len(known) or counts.max() < MAJORITY * len(known) or len(languages) == 1:
        return []
    main = int(counts.argmax())
    rows = known[(index != main) & check_input.open("other-language")[known]]
    if not len(rows):
        return []
    others = sorted((i for i in range(len(languages)) if i != main), key=lambda i: -int(counts[i]))
    shown = ", ".join(f"{LANGUAGES.get(str(languages[i]), str(languages[i]))} {counts[i]:,}" for i in others[:5])
    finding = Finding(
        "info",
        "other-language",
        f"{count(len(rows), 'text seems', 'texts seem')} to be in another language than "
        f"{LANGUAGES.get(str(languages[main]), str(languages[main]))} ({shown}). For short texts, names and lists "
        "this guess is often wrong.",
        "Look at them. If the model should serve one language only, drop the texts in other languages.",
        check_input.ids(rows),
    )
    groups = tuple(tuple(known[index == i].tolist()) for i in others)
    return [Suspicion(finding, tuple(rows.tolist()), groups)]


CHECKS.add(
    Check(
        name="language",
        title="Texts in another language than most",
        find=find,
        rank=70,
        needs=("languages",),
        modality="text",
    )
)
