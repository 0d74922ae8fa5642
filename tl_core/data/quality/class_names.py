"""Names of classes that seem to be one and the same, several in one, or to say that nobody gave a label."""

import re
import unicodedata
from math import isfinite

import numpy as np

from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import clip, count
from tl_core.data.sources.tables.label_reader import LIST, find_separator
from tl_core.types import Finding

_MARKS = ["", "-", "--", "?", "??", ".", "#n/a", "#ref!", "#value!"]
_MISSING = frozenset([*_MARKS, "n/a", "na", "n.a.", "none", "null", "nil", "nan", "missing", "unknown", "tbd"])
_GAPS = re.compile(r"[\s_\-\u2010-\u2015]+")


def key(name: str) -> str:
    """Return what is left of a class name without case, blanks, unseen characters and ways to write one number."""
    plain = unicodedata.normalize("NFKC", name)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf").strip()
    try:
        if isfinite(number := float(plain)):
            return repr(number)
    except ValueError:
        pass
    return _GAPS.sub(" ", unicodedata.normalize("NFKC", plain.casefold())).strip() or plain


def find(material: CheckInput) -> list[Suspicion]:
    """Return the items of classes whose names differ only in how they are written, of joined and of missing labels."""
    dataset = material.dataset
    targets = (dataset.targets > 0) & material.inside[:, None]
    used = targets.any(axis=0)
    same: dict[str, list[int]] = {}
    for k, name in enumerate(dataset.classes):
        if used[k]:
            same.setdefault(key(name), []).append(k)
    alike = [classes for classes in same.values() if len(classes) > 1]
    missing = [k for name, classes in same.items() if name in _MISSING for k in classes]
    found = [_alike(material, targets, alike)] if alike else []
    mark = "" if dataset.multilabel else find_separator(name for k, name in enumerate(dataset.classes) if used[k])
    found += [_joined(material, targets, mark)] if mark else []
    return found + ([_missing(material, targets, missing)] if missing else [])


def _alike(material: CheckInput, targets: np.ndarray, groups: list[list[int]]) -> Suspicion:
    names = material.dataset.classes
    shown = "; ".join(" and ".join(_written(names[k]) for k in group[:4]) for group in groups[:3])
    finding = Finding(
        "warn",
        "classes-alike",
        f"{count(len(groups), 'class is', 'classes are')} written in several ways and counted as several: {shown}"
        f"{'; ...' if len(groups) > 3 else ''}.",
        "If they mean the same, write them in one way in your data and import it again.",
        tuple(names[k] for group in groups for k in group)[:NAMED],
    )
    rows = [tuple(np.flatnonzero(targets[:, group].any(axis=1)).tolist()) for group in groups]
    return Suspicion(finding, tuple(sorted({row for group in rows for row in group})), tuple(rows))


def _written(name: str) -> str:
    """Return a name in quotes, with what nobody would see of it written out."""
    unseen = (c for c in unicodedata.normalize("NFC", name))
    plain = "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in ("Cf", "Mn") else c for c in unseen)
    return f"'{clip(plain, 40)}'"


def _joined(material: CheckInput, targets: np.ndarray, mark: str) -> Suspicion:
    names = material.dataset.classes
    joined = [k for k, name in enumerate(names) if (mark == LIST or mark in name) and targets[:, k].any()]
    shown = ", ".join(repr(clip(names[k], 40)) for k in joined[:3])
    finding = Finding(
        "warn",
        "labels-joined",
        f"The labels look like several in one, {'as lists' if mark == LIST else f'parted by {mark!r}'}: {shown}. "
        "Each combination is counted as a class of its own.",
        "If an item may have several labels, import the data again and say what parts them: "
        f"--separator '{mark}', or its question on the Data page.",
        tuple(names[k] for k in joined[:NAMED]),
    )
    return Suspicion(finding, tuple(np.flatnonzero(targets[:, joined].any(axis=1)).tolist()))


def _missing(material: CheckInput, targets: np.ndarray, classes: list[int]) -> Suspicion:
    names = material.dataset.classes
    rows = np.flatnonzero(targets[:, classes].any(axis=1)).tolist()
    shown = " and ".join(repr(names[k]) for k in classes[:4])
    one = len(classes) == 1
    finding = Finding(
        "info",
        "class-like-missing",
        f"{count(len(rows), 'item has', 'items have')} the label {shown}, which {'reads' if one else 'read'} as if no "
        "label had been given.",
        "If it says that nobody knows, empty these labels in your data and import it again; "
        "if it is a class of its own, nothing is to be done.",
        tuple(names[k] for k in classes[:NAMED]),
    )
    return Suspicion(finding, tuple(rows))


CHECKS.add(Check(name="names", title="Names of classes", find=find, rank=15))
