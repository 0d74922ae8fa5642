"""`profile`: print what is in a data set, and what to watch out for."""

import argparse
import os
from typing import TYPE_CHECKING

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import describe, open_data, origins_json, print_origins
from tl_core.errors import UsageError
from tl_core.types import dump, noun
from tl_core.workspace import Workspace, write_bytes

if TYPE_CHECKING:
    from tl_core.data.dataset import Dataset
    from tl_core.data.profile import Profile

SHOWN = 20


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Import a data set, print its profile, and write its data card if --card asks for one."""
    from tl_core.data.data_card import data_card

    card = arguments.card
    if card and (card.is_dir() or not card.parent.is_dir() or not os.access(card.parent, os.W_OK)):
        raise UsageError(f"{card} cannot be written.", "Name a file in a folder that exists.")
    dataset = open_data(arguments.data, Workspace.default(), console, column_options(arguments), arguments.test)
    profile = describe(dataset)
    if card:
        write_bytes(card, data_card(dataset, profile).encode())
    if arguments.json:
        fields = dump(profile)
        fields["several"] = fields.pop("multilabel")  # the key that scripts have always read
        console.json({**fields, "receipt": dump(dataset.full_receipt()), **origins_json(dataset)})
    else:
        _print(dataset, profile, console)
    return 0


def _print_more(profile: "Profile", console: Console) -> None:
    """Print what the figures mean, for those that need a remark."""
    from tl_core.data.profile import profile_sentences

    sentences = [
        *profile_sentences.imbalance_words(profile.imbalance),
        *profile_sentences.multilabel_words(profile.multilabel, profile),
    ]
    sentences += profile_sentences.picture_words(profile.pictures)
    if profile.texts:
        sentences += [f"Languages: {profile_sentences.language_words(profile.texts.languages)}."]
        sentences += filter(None, [profile_sentences.vocabulary_words(profile.texts.vocabulary)])
    if sentences:
        console.line()
    for sentence in sentences:
        console.line(sentence)


def _print(dataset: "Dataset", profile: "Profile", console: Console) -> None:
    splits = ", ".join(f"{n:,} {split}" for split, n in profile.splits.items())
    n, k = profile.n, len(profile.classes)
    items, classes = f"{n:,} {noun(profile.modality, n)}", f"{k:,} class{'es' * (k != 1)}"
    console.line(f"{profile.name}: {items} in {classes} ({splits})\n")
    rows = [(c.name, f"{c.train:,}", f"{c.validation:,}", f"{c.test:,}", f"{c.total:,}") for c in profile.classes]
    console.table(("class", "train", "validation", "test", "all"), rows)
    if profile.sizes:
        console.line()
        names = ("minimum", "low", "median", "high", "maximum")
        sizes = [(f"{s.name}, {s.unit}", *(f"{getattr(s, name):,}" for name in names)) for s in profile.sizes]
        console.table(("size", "least", "5%", "median", "95%", "most"), sizes)
    _print_more(profile, console)
    if profile.findings:
        console.line()
    for finding in profile.findings:
        console.line(f"{finding.level:4}  {finding.message} {finding.hint}".rstrip())
    if dataset.origins:
        console.line()
    print_origins(dataset, console)
    lines = dataset.receipt.lines
    count = dataset.receipt.skipped + dataset.receipt.converted
    if lines:
        console.line(f"\nTaken {dataset.receipt.taken:,}; skipped or changed {count:,}:")
    for line in lines[:SHOWN]:
        console.line(f"  {line.action}  {line.item}: {line.reason}")
    if len(lines) > SHOWN:
        console.line(f"  and {max(count, len(lines)) - SHOWN:,} more (all of them with --json)")
