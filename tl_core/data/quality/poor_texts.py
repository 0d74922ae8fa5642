"""Texts that say little, the same passage in many texts, and texts far longer or shorter than the rest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion
from tl_core.data.quality.phrasing import clip, count
from tl_core.data.quality.robust_z import robust_z
from tl_core.data.sampling import sample_rows
from tl_core.types import Finding

REPEATED = 5
"""Different texts in which a passage stands from which it counts as boilerplate, and
at least SHARE of all texts."""
SHARE = 0.01
PASSAGE = 20
"""Characters of a passage from which it is counted; a passage ends with a line or a sentence."""
MOSTLY = 0.8
"""Share of a text's characters in boilerplate from which nothing of its own is left."""
_ONE_CLASS = 0.95  # share of a passage's texts in one class from which it gives the label away
_ROWS = 200_000  # texts of which the passages are counted
_SHOWN = 20  # passages that are told, with their texts
_ODD, _TIMES = 4.0, 8.0
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_END = re.compile(r"(?<=[.!?])\s+|\s*\n+\s*")


def find(material: CheckInput) -> list[Suspicion]:
    """Return texts without words, boilerplate, and texts of odd length."""
    rows = np.flatnonzero(material.inside)
    texts = material.dataset.items["text"]
    wordless = np.array([row for row in rows.tolist() if not _words(texts.iat[row])], dtype=np.int64)
    waiting = wordless[material.open("no-words")[wordless]]
    found = [_wordless(material, waiting)] if len(waiting) else []
    return found + _boilerplate(material, np.setdiff1d(rows, wordless)) + _lengths(material, wordless)


def _words(text: str) -> bool:
    """Return whether there is a letter outside of links (numbers alone are no words either)."""
    return any(map(str.isalpha, text[:200])) and any(map(str.isalpha, _LINK.sub(" ", text)))


def _wordless(material: CheckInput, rows: np.ndarray) -> Suspicion:
    finding = Finding(
        "warn",
        "no-words",
        f"{count(len(rows), 'text has', 'texts have')} no words: only signs, numbers or links. That is sure.",
        f"Drop {'it' if len(rows) == 1 else 'them'}, unless such entries are one of your classes.",
        material.name(rows),
    )
    drop = tuple(rows[~material.tested[rows]].tolist())
    proposed = (Decision("drop", drop, code="no-words"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), proposed=proposed)


def passages(text: str) -> list[str]:
    """Return the sentences and lines of a text that are long enough to be counted, each once, in order.

    >>> passages("Read more on our website. Hello. Read more on our website.")
    ['Read more on our website.']
    """
    parts = (" ".join(part.split()) for part in _END.split(text))
    return list(dict.fromkeys(part for part in parts if len(part) >= PASSAGE))


@dataclass(frozen=True)
class _Counted:
    """Every passage of every text, by a hash: three arrays `[P]`, ordered by text."""

    hashes: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray


def _count(texts: Iterable[tuple[int, str]]) -> _Counted:
    hashes, rows, sizes = [], [], []
    for row, text in texts:
        parts = passages(text)
        if parts:
            hashes.append(pd.util.hash_array(np.array(parts, dtype=object)))
            rows.append(np.full(len(parts), row))
            sizes.append(np.array([len(part) for part in parts]))
    if not hashes:
        empty = np.zeros(0, dtype=np.int64)
        return _Counted(empty.astype(np.uint64), empty, empty)
    return _Counted(np.concatenate(hashes), np.concatenate(rows), np.concatenate(sizes))


def _boilerplate(material: CheckInput, rows: np.ndarray) -> list[Suspicion]:
    items = material.dataset.items
    distinct = rows[~items["digest"].iloc[rows].duplicated().to_numpy()]
    looked = distinct[sample_rows(len(distinct), _ROWS)]
    counted = _count(zip(looked.tolist(), items["text"].iloc[looked], strict=True))
    values, index, times = np.unique(counted.hashes, return_inverse=True, return_counts=True)
    common = times >= max(REPEATED, SHARE * len(looked))
    if not common.any():
        return []
    among = common[index]
    share = np.zeros(len(items))
    np.add.at(share, counted.rows[among], counted.sizes[among])
    share /= np.maximum(items["text"].str.len().to_numpy(), 1)
    top = np.flatnonzero(common)[np.argsort(-times[common], kind="stable")][:_SHOWN]
    groups = [counted.rows[index == place] for place in top.tolist()]
    said = [_quote(items["text"].iat[int(group[0])], values[place]) for group, place in zip(groups, top, strict=True)]
    touched = np.unique(counted.rows[among])
    touched = touched[material.open("boilerplate")[touched]]
    sampled = f" ({len(looked):,} of the texts were looked through.)" if len(looked) < len(distinct) else ""
    found = [_repeated(material, touched, groups, said, sampled)] if len(touched) else []
    only = np.flatnonzero(material.open("only-boilerplate") & (share >= MOSTLY))
    return found + ([_nothing_else(material, only[np.argsort(-share[only], kind="stable")])] if len(only) else [])


def _quote(text: str, wanted: np.uint64) -> str:
    """Return the passage of a text that has a hash."""
    parts = passages(text)
    return parts[int(np.flatnonzero(pd.util.hash_array(np.array(parts, dtype=object)) == wanted)[0])]


def _repeated(
    material: CheckInput, rows: np.ndarray, groups: list[np.ndarray], said: list[str], sampled: str
) -> Suspicion:
    telling = [place for place, group in enumerate(groups) if _tells(material, group)]
    shown = telling[0] if telling else 0
    label = material.dataset.labels[groups[shown]]
    message = (
        f"{count(len(rows), 'text has', 'texts have')} passages that stand word for word in many others, "
        f"such as {clip(said[shown])!r} in {len(groups[shown]):,} texts.{sampled}"
    )
    hint = "That is sure. It is harmless where every class has them; remove them in the source if they mean nothing."
    if telling:
        name = material.dataset.classes[int(np.bincount(label).argmax())]
        message += f" Nearly all of those are of the class {name!r}, so a model may learn the passage, not the topic."
        hint = "If the texts that the model will see later lack that passage, remove it in the source and import again."
    finding = Finding("warn" if telling else "info", "boilerplate", message, hint, material.name(rows))
    return Suspicion(finding, tuple(rows.tolist()), tuple(tuple(group.tolist()) for group in groups))


def _tells(material: CheckInput, group: np.ndarray) -> bool:
    """Return whether a passage stands in one class alone, far more than that class's share of the data."""
    dataset = material.dataset
    if dataset.multilabel:
        return False
    inside = np.bincount(dataset.labels[group], minlength=len(dataset.classes))
    usual = np.bincount(dataset.labels[material.inside], minlength=len(dataset.classes)) / material.inside.sum()
    top = int(inside.argmax())
    return bool(inside[top] >= max(2 * REPEATED, _ONE_CLASS * len(group)) and usual[top] < 0.8)


def _nothing_else(material: CheckInput, rows: np.ndarray) -> Suspicion:
    finding = Finding(
        "warn",
        "only-boilerplate",
        f"{count(len(rows), 'text consists', 'texts consist')} of such repeated passages nearly alone.",
        "Look at them; drop those that say nothing of their own, such as notices and empty forms.",
        material.name(rows),
    )
    drop = tuple(sorted(rows[~material.tested[rows]].tolist()))
    proposed = (Decision("drop", drop, code="only-boilerplate"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), proposed=proposed)


def _lengths(material: CheckInput, wordless: np.ndarray) -> list[Suspicion]:
    inside = material.inside.copy()
    inside[wordless] = False
    length = material.dataset.items["text"].str.len().to_numpy(dtype=np.float64)
    if not inside.any():
        return []
    z, typical = robust_z(np.log(length + 1), inside, 0.2), float(np.median(length[inside]))
    short = np.flatnonzero(inside & material.open("very-short") & (z < -_ODD) & (length * _TIMES < typical))
    long = np.flatnonzero(inside & material.open("very-long") & (z > _ODD) & (length > _TIMES * typical))
    found = []
    for code, rows, word, hint in (
        ("very-short", short, "shorter", "Look whether they say enough to tell the class; drop those that do not."),
        (
            "very-long",
            long,
            "longer",
            "A model reads only the beginning of a text: split them if the rest counts.",
        ),
    ):
        if len(rows):
            rows = rows[np.argsort(-np.abs(z[rows]), kind="stable")]
            message = (
                f"{count(len(rows), 'text is', 'texts are')} more than eight times {word} than the usual "
                f"{typical:,.0f} characters."
            )
            found.append(
                Suspicion(
                    Finding("info", code, message, hint, material.name(rows)),
                    tuple(rows.tolist()),
                    scores=tuple((np.abs(z[rows]) / np.abs(z[rows[0]])).round(6).tolist()),
                )
            )
    return found


CHECKS.add(
    Check(
        name="texts",
        title="Texts without words, boilerplate, odd lengths",
        find=find,
        rank=50,
        needs=(),
        modality="text",
    )
)
