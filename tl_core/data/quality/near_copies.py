"""Near copies: pictures saved again or in another size, texts that differ in a few words. Tied by default splits."""

import numpy as np
import pandas as pd

from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.exact_copies import label_keys, members, plain, spare, straddling
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.types import Finding


def find(material: CheckInput) -> list[Suspicion]:
    """Return groups of near copies: those on both sides of the split, and the others; exact copies alone are none."""
    dataset = material.dataset
    digests = pd.factorize(dataset.items["digest"])[0]
    number = np.where(material.inside, dataset.near_groups(), -1)
    groups = [group for group in members(number) if len(np.unique(digests[group])) > 1]
    across = material.undecided(straddling(groups, dataset.splits), "near-leak")
    groups = material.undecided(groups, "near-duplicates")
    found = [_leaks(material, across)] if across else []
    return found + ([_near(material, groups)] if groups else [])


def _near(material: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    one, many = NOUNS[material.dataset.modality]
    rows = np.concatenate(groups)
    keys = label_keys(material.dataset)
    torn = sum(len(np.unique(keys[group])) > 1 for group in groups)
    also = (
        f" In {count(torn, 'group', 'groups')} they have different labels, of which one is likely wrong."
        if torn
        else ""
    )
    kept = _kept(material)
    finding = Finding(
        "warn" if torn else "info",
        "near-duplicates",
        f"{count(len(groups), f'group of {many} is', f'groups of {many} are')} nearly the same {one} "
        f"({len(rows):,} in all), such as "
        f"{_versions(material)}.{also} Most such groups are right.",
        "Nothing has to be done: the split keeps each group on one side. Leave out what you do not want to count twice."
        if kept
        else "Tie them together, so that a split keeps each group on one side, or say that they are different.",
        material.name([int(group[0]) for group in groups[:NAMED]]),
    )
    ties = () if kept else groups
    proposed = tuple(Decision("together", tuple(group.tolist()), code="near-duplicates") for group in ties)
    return Suspicion(finding, tuple(rows.tolist()), plain(groups), proposed=proposed)


def _kept(material: CheckInput) -> bool:
    """Return whether the split keeps near copies together by itself: it is Graft's own, and was not told otherwise."""
    split, items = material.dataset.split, material.dataset.items
    return split.keep_near and not (split.honour_given and (items["given"] == "train").any())


def _leaks(material: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    splits, many = material.dataset.splits, NOUNS[material.dataset.modality][1]
    rows = np.concatenate(groups)
    outside = rows[splits[rows] != "train"]
    finding = Finding(
        "warn",
        "near-leak",
        f"{count(len(outside), 'item of validation or test has', 'items of validation or test have')} a near copy in "
        f"train ({_versions(material)}), so what is measured there will look too good.",
        f"Drop the near copies in train, or let Graft make the split: it keeps nearly equal {many} together.",
        material.name(outside[:NAMED]),
    )
    drop = tuple(row for group in groups for row in spare(group, splits) if splits[row] == "train")
    proposed = (Decision("drop", drop, code="near-leak"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), plain(groups), proposed=proposed)


def _versions(material: CheckInput) -> str:
    if material.dataset.modality == "image":
        return "the same one saved again, in another size or a little brighter"
    return "the same one with other spaces, signs or a few other words"


CHECKS.add(Check(name="near", title="Near copies", find=find, rank=5))
