"""Poor texts: without words, mostly boilerplate, or far longer or shorter than the rest."""

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
"""Different texts that a passage must occur in to count as boilerplate."""
SHARE = 0.01
"""Share of all texts that it must occur in as well."""
PASSAGE = 20
"""Fewest characters of a passage. A passage is a line or a sentence."""
MOSTLY = 0.8
"""Share of boilerplate in a text's characters from which the text counts as boilerplate only."""
_ONE_CLASS = 0.95  # share of a passage's texts in one class from which the passage reveals the label
_ROWS = 200_000  # most texts whose passages are counted
_SHOWN = 20  # passages that are reported, with their texts
_ODD, _TIMES = 4.0, 8.0
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_END = re.compile(r"(?<=[.!?])\s+|\s*\n+\s*")


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return texts without words, boilerplate, and texts of unusual length."""
    rows = np.flatnonzero(check_input.inside)
    texts = check_input.dataset.items["text"]
    wordless = np.array([row for row in rows.tolist() if not _has_words(texts.iat[row])], dtype=np.int64)
    open_part = wordless[check_input.open("no-words")[wordless]]
    suspicions = [_wordless(check_input, open_part)] if len(open_part) else []
    return suspicions + _boilerplate(check_input, np.setdiff1d(rows, wordless)) + _lengths(check_input, wordless)


def _has_words(text: str) -> bool:
    """Return whether a text has a letter outside links. Numbers alone are not words."""
    return any(map(str.isalpha, text[:200])) and any(map(str.isalpha, _LINK.sub(" ", text)))


def _wordless(check_input: CheckInput, rows: np.ndarray) -> Suspicion:
    finding = Finding(
        "warn",
        "no-words",
        f"{count(len(rows), 'text has', 'texts have')} no words: only signs, numbers or links. This is certain.",
        f"Drop {'it' if len(rows) == 1 else 'them'}, unless such entries are one of your classes.",
        check_input.ids(rows),
    )
    drop = tuple(rows[~check_input.tested[rows]].tolist())
    proposed = (Decision("drop", drop, code="no-words"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), proposed=proposed)


def passages(text: str) -> list[str]:
    """Return the sentences and lines of a text that are long enough to count, each once, in order.

    >>> passages("Read more on our website. Hello. Read more on our website.")
    ['Read more on our website.']
    """
    parts = (" ".join(part.split()) for part in _END.split(text))
    return list(dict.fromkeys(part for part in parts if len(part) >= PASSAGE))


@dataclass(frozen=True)
class _Passages:
    """Every passage of every text: its hash, the row of its text and its length, each `[P]`, ordered by text."""

    hashes: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray


def _collect(texts: Iterable[tuple[int, str]]) -> _Passages:
    hashes, rows, sizes = [], [], []
    for row, text in texts:
        parts = passages(text)
        if parts:
            hashes.append(pd.util.hash_array(np.array(parts, dtype=object)))
            rows.append(np.full(len(parts), row))
            sizes.append(np.array([len(part) for part in parts]))
    if not hashes:
        empty = np.zeros(0, dtype=np.int64)
        return _Passages(empty.astype(np.uint64), empty, empty)
    return _Passages(np.concatenate(hashes), np.concatenate(rows), np.concatenate(sizes))


def _boilerplate(check_input: CheckInput, rows: np.ndarray) -> list[Suspicion]:
    items = check_input.dataset.items
    distinct = rows[~items["digest"].iloc[rows].duplicated().to_numpy()]
    sampled_rows = distinct[sample_rows(len(distinct), _ROWS)]
    passages_P = _collect(zip(sampled_rows.tolist(), items["text"].iloc[sampled_rows], strict=True))
    values, index, counts = np.unique(passages_P.hashes, return_inverse=True, return_counts=True)
    common = counts >= max(REPEATED, SHARE * len(sampled_rows))
    if not common.any():
        return []
    among = common[index]
    share = np.zeros(len(items))
    np.add.at(share, passages_P.rows[among], passages_P.sizes[among])
    share /= np.maximum(items["text"].str.len().to_numpy(), 1)
    top = np.flatnonzero(common)[np.argsort(-counts[common], kind="stable")][:_SHOWN]
    groups = [passages_P.rows[index == place] for place in top.tolist()]
    texts = items["text"]
    quotes = [_quote(texts.iat[int(group[0])], values[place]) for group, place in zip(groups, top, strict=True)]
    touched = np.unique(passages_P.rows[among])
    touched = touched[check_input.open("boilerplate")[touched]]
    sampled = f" ({len(sampled_rows):,} of the texts were searched.)" if len(sampled_rows) < len(distinct) else ""
    suspicions = [_repeated(check_input, touched, groups, quotes, sampled)] if len(touched) else []
    only = np.flatnonzero(check_input.open("only-boilerplate") & (share >= MOSTLY))
    return suspicions + (
        [_boilerplate_only(check_input, only[np.argsort(-share[only], kind="stable")])] if len(only) else []
    )


def _quote(text: str, wanted: np.uint64) -> str:
    """Return the passage of a text whose hash is `wanted`."""
    parts = passages(text)
    return parts[int(np.flatnonzero(pd.util.hash_array(np.array(parts, dtype=object)) == wanted)[0])]


def _repeated(
    check_input: CheckInput, rows: np.ndarray, groups: list[np.ndarray], quotes: list[str], sampled: str
) -> Suspicion:
    revealing = [place for place, group in enumerate(groups) if _reveals_class(check_input, group)]
    shown = revealing[0] if revealing else 0
    label = check_input.dataset.labels[groups[shown]]
    message = (
        f"{count(len(rows), 'text has', 'texts have')} passages that occur word for word in many others, "
        f"such as {clip(quotes[shown])!r} in {len(groups[shown]):,} texts.{sampled}"
    )
    hint = "This is certain. It is harmless where every class has them; remove them in the source if they mean nothing."
    if revealing:
        name = check_input.dataset.classes[int(np.bincount(label).argmax())]
        message += (
            f" Nearly all of those texts are of the class {name!r}, so a model may learn the passage, not the topic."
        )
        hint = "If later texts will lack that passage, remove it in the source and import again."
    finding = Finding("warn" if revealing else "info", "boilerplate", message, hint, check_input.ids(rows))
    return Suspicion(finding, tuple(rows.tolist()), tuple(tuple(group.tolist()) for group in groups))


def _reveals_class(check_input: CheckInput, group: np.ndarray) -> bool:
    """Return whether a passage occurs nearly only in one class, far beyond that class's share of the data."""
    dataset = check_input.dataset
    if dataset.multilabel:
        return False
    inside = np.bincount(dataset.labels[group], minlength=len(dataset.classes))
    usual = np.bincount(dataset.labels[check_input.inside], minlength=len(dataset.classes)) / check_input.inside.sum()
    top = int(inside.argmax())
    return bool(inside[top] >= max(2 * REPEATED, _ONE_CLASS * len(group)) and usual[top] < 0.8)


def _boilerplate_only(check_input: CheckInput, rows: np.ndarray) -> Suspicion:
    finding = Finding(
        "warn",
        "only-boilerplate",
        f"{count(len(rows), 'text consists', 'texts consist')} almost only of such repeated passages.",
        "Look at them; drop those with no content of their own, such as notices and empty forms.",
        check_input.ids(rows),
    )
    drop = tuple(sorted(rows[~check_input.tested[rows]].tolist()))
    proposed = (Decision("drop", drop, code="only-boilerplate"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), proposed=proposed)


def _lengths(check_input: CheckInput, wordless: np.ndarray) -> list[Suspicion]:
    inside = check_input.inside.copy()
    inside[wordless] = False
    length = check_input.dataset.items["text"].str.len().to_numpy(dtype=np.float64)
    if not inside.any():
        return []
    z, typical = robust_z(np.log(length + 1), inside, 0.2), float(np.median(length[inside]))
    short = np.flatnonzero(inside & check_input.open("very-short") & (z < -_ODD) & (length * _TIMES < typical))
    long = np.flatnonzero(inside & check_input.open("very-long") & (z > _ODD) & (length > _TIMES * typical))
    suspicions = []
    for code, rows, word, hint in (
        ("very-short", short, "shorter", "Check whether they say enough to tell the class; drop those that do not."),
        (
            "very-long",
            long,
            "longer",
            "A model reads only the beginning of a text: split them if the rest matters.",
        ),
    ):
        if len(rows):
            rows = rows[np.argsort(-np.abs(z[rows]), kind="stable")]
            message = (
                f"{count(len(rows), 'text is', 'texts are')} more than eight times {word} than the usual "
                f"{typical:,.0f} characters."
            )
            suspicions.append(
                Suspicion(
                    Finding("info", code, message, hint, check_input.ids(rows)),
                    tuple(rows.tolist()),
                    scores=tuple((np.abs(z[rows]) / np.abs(z[rows[0]])).round(6).tolist()),
                )
            )
    return suspicions


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
