"""Class names that look like one class spelt twice, several labels in one, or a missing label."""

import re
import unicodedata
from math import isfinite

import numpy as np

from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import clip, count
from tl_core.data.sources.tables.label_cells import LIST
from tl_core.data.sources.tables.label_reader import guess_separator
from tl_core.types import Finding

_MARKS = ["", "-", "--", "?", "??", ".", "#n/a", "#ref!", "#value!"]
_MISSING = frozenset([*_MARKS, "n/a", "na", "n.a.", "none", "null", "nil", "nan", "missing", "unknown", "tbd"])
_GAPS = re.compile(r"[\s_\-\u2010-\u2015]+")


def normalised_name(name: str) -> str:
    """Return a class name without differences in case, blanks, invisible characters and number format."""
    plain = unicodedata.normalize("NFKC", name)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf").strip()
    try:
        if isfinite(number := float(plain)):
            return repr(number)
    except ValueError:
        pass
    return _GAPS.sub(" ", unicodedata.normalize("NFKC", plain.casefold())).strip() or plain


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return the items of classes that differ only in spelling, of joined labels, and of labels that mean "missing"."""
    dataset = check_input.dataset
    targets = (dataset.targets > 0) & check_input.inside[:, None]
    used = targets.any(axis=0)
    same: dict[str, list[int]] = {}
    for k, name in enumerate(dataset.classes):
        if used[k]:
            same.setdefault(normalised_name(name), []).append(k)
    same_class = [classes for classes in same.values() if len(classes) > 1]
    missing = [k for name, classes in same.items() if name in _MISSING for k in classes]
    suspicions = [_alike(check_input, targets, same_class)] if same_class else []
    mark = "" if dataset.multilabel else guess_separator(name for k, name in enumerate(dataset.classes) if used[k])
    suspicions += [_joined(check_input, targets, mark)] if mark else []
    return suspicions + ([_missing(check_input, targets, missing)] if missing else [])


def _alike(check_input: CheckInput, targets: np.ndarray, groups: list[list[int]]) -> Suspicion:
    names = check_input.dataset.classes
    shown = "; ".join(" and ".join(_quoted(names[k]) for k in group[:4]) for group in groups[:3])
    finding = Finding(
        "warn",
        "classes-alike",
        f"{count(len(groups), 'class is', 'classes are')} spelt in several ways, each counted as a class of its own: "
        f"{shown}"
        f"{'; ...' if len(groups) > 3 else ''}.",
        "If they mean the same, spell them alike in your data and import it again.",
        tuple(names[k] for group in groups for k in group)[:NAMED],
    )
    rows = [tuple(np.flatnonzero(targets[:, group].any(axis=1)).tolist()) for group in groups]
    return Suspicion(finding, tuple(sorted({row for group in rows for row in group})), tuple(rows))


def _quoted(name: str) -> str:
    """Return a name in quotes, with its invisible characters written out."""
    characters = (c for c in unicodedata.normalize("NFC", name))
    plain = "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in ("Cf", "Mn") else c for c in characters)
    return f"'{clip(plain, 40)}'"


def _joined(check_input: CheckInput, targets: np.ndarray, mark: str) -> Suspicion:
    names = check_input.dataset.classes
    joined = [k for k, name in enumerate(names) if (mark == LIST or mark in name) and targets[:, k].any()]
    shown = ", ".join(repr(clip(names[k], 40)) for k in joined[:3])
    finding = Finding(
        "warn",
        "labels-joined",
        f"The labels look like several in one, {'as lists' if mark == LIST else f'separated by {mark!r}'}: {shown}. "
        "Each combination counts as a class of its own.",
        "If an item may have several labels, import the data again and name the separator: "
        f"--separator '{mark}', or its question on the Data page.",
        tuple(names[k] for k in joined[:NAMED]),
    )
    return Suspicion(finding, tuple(np.flatnonzero(targets[:, joined].any(axis=1)).tolist()))


def _missing(check_input: CheckInput, targets: np.ndarray, classes: list[int]) -> Suspicion:
    names = check_input.dataset.classes
    rows = np.flatnonzero(targets[:, classes].any(axis=1)).tolist()
    shown = " and ".join(repr(names[k]) for k in classes[:4])
    one = len(classes) == 1
    finding = Finding(
        "info",
        "class-like-missing",
        f"{count(len(rows), 'item has', 'items have')} the label {shown}, which {'reads' if one else 'read'} as if no "
        "label had been given.",
        "If it means that the label is unknown, empty these labels in your data and import it again; "
        "if it is a class of its own, you need not do anything.",
        tuple(names[k] for k in classes[:NAMED]),
    )
    return Suspicion(finding, tuple(rows))


CHECKS.add(Check(name="names", title="Names of classes", find=find, rank=15))
