"""Near-duplicates: pictures saved again or resized, texts that differ in a few words. Default splits tie them."""

import numpy as np
import pandas as pd

from tl_core.data.decisions import Decision
from tl_core.data.quality.checks import CHECKS, NAMED, Check, CheckInput, Suspicion
from tl_core.data.quality.exact_copies import as_tuples, crossing_split, label_keys, members, redundant
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.types import Finding


def find(check_input: CheckInput) -> list[Suspicion]:
    """Return groups of near-duplicates: those that cross the split, and all. Exact copies alone do not count."""
    dataset = check_input.dataset
    digests = pd.factorize(dataset.items["digest"])[0]
    number = np.where(check_input.inside, dataset.near_groups(), -1)
    groups = [group for group in members(number) if len(np.unique(digests[group])) > 1]
    across = check_input.undecided(crossing_split(groups, dataset.splits), "near-leak")
    groups = check_input.undecided(groups, "near-duplicates")
    suspicions = [_leaks(check_input, across)] if across else []
    return suspicions + ([_near(check_input, groups)] if groups else [])


def _near(check_input: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    one, many = NOUNS[check_input.dataset.modality]
    rows = np.concatenate(groups)
    keys = label_keys(check_input.dataset)
    conflicts = sum(len(np.unique(keys[group])) > 1 for group in groups)
    also = (
        f" In {count(conflicts, 'group', 'groups')} they have different labels, of which one is likely wrong."
        if conflicts
        else ""
    )
    tied = _split_ties(check_input)
    finding = Finding(
        "warn" if conflicts else "info",
        "near-duplicates",
        f"{count(len(groups), f'group of {many} is', f'groups of {many} are')} nearly the same {one} "
        f"({len(rows):,} in all), such as "
        f"{_versions(check_input)}.{also} Most such groups are right.",
        "You need not do anything: the split keeps each group on one side. Leave out items that should not count twice."
        if tied
        else "Tie them together, so that a split keeps each group on one side, or say that they are different.",
        check_input.ids([int(group[0]) for group in groups[:NAMED]]),
    )
    ties = () if tied else groups
    proposed = tuple(Decision("together", tuple(group.tolist()), code="near-duplicates") for group in ties)
    return Suspicion(finding, tuple(rows.tolist()), as_tuples(groups), proposed=proposed)


def _split_ties(check_input: CheckInput) -> bool:
    """Return whether the split itself keeps near-duplicates together: Graft made it, with `keep_near` on."""
    split, items = check_input.dataset.split, check_input.dataset.items
    return split.keep_near and not (split.honour_given and (items["given"] == "train").any())


def _leaks(check_input: CheckInput, groups: list[np.ndarray]) -> Suspicion:
    splits, many = check_input.dataset.splits, NOUNS[check_input.dataset.modality][1]
    rows = np.concatenate(groups)
    outside = rows[splits[rows] != "train"]
    finding = Finding(
        "warn",
        "near-leak",
        f"{count(len(outside), 'item of validation or test has', 'items of validation or test have')} a near-duplicate "
        f"in train ({_versions(check_input)}), so the scores on them will look too good.",
        f"Drop the near-duplicates in train, or let Graft make the split: it keeps nearly equal {many} together.",
        check_input.ids(outside[:NAMED]),
    )
    drop = tuple(row for group in groups for row in redundant(group, splits) if splits[row] == "train")
    proposed = (Decision("drop", drop, code="near-leak"),) if drop else ()
    return Suspicion(finding, tuple(rows.tolist()), as_tuples(groups), proposed=proposed)


def _versions(check_input: CheckInput) -> str:
    if check_input.dataset.modality == "multimodal":
        return "the same picture with another text, or the same longer text with another picture"
    if "image" in check_input.dataset.parts:
        return "the same one saved again, in another size or a little brighter"
    return "the same one with other spaces, signs or a few other words"


CHECKS.add(Check(name="near", title="Near-duplicates", find=find, rank=5))
