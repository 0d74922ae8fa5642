"""Texts in another language than most."""

import numpy as np

from tl_core.data.language_id import LANGUAGES
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import count
from tl_core.types import Finding

MAJORITY = 0.7
"""Share of the texts in one language from which the others are told."""


def find(material: CheckInput) -> list[Suspicion]:
    """Return the texts in another language than most of the data set, where it has one main language."""
    assert material.languages is not None
    told = np.flatnonzero(material.inside & (material.languages != ""))
    names, index, times = np.unique(material.languages[told], return_inverse=True, return_counts=True)
    if not len(told) or times.max() < MAJORITY * len(told) or len(names) == 1:
        return []
    main = int(times.argmax())
    rows = told[(index != main) & material.open("other-language")[told]]
    if not len(rows):
        return []
    others = sorted((i for i in range(len(names)) if i != main), key=lambda i: -int(times[i]))
    shown = ", ".join(f"{LANGUAGES.get(str(names[i]), str(names[i]))} {times[i]:,}" for i in others[:5])
    finding = Finding(
        "info",
        "other-language",
        f"{count(len(rows), 'text seems', 'texts seem')} to be in another language than "
        f"{LANGUAGES.get(str(names[main]), str(names[main]))} ({shown}). For short texts, names and lists that guess "
        "is often wrong.",
        "Have a look. If the model is to serve one language only, drop what is in another.",
        material.name(rows),
    )
    groups = tuple(tuple(told[index == i].tolist()) for i in others)
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
