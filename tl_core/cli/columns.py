"""Options that say what columns and folders mean, for when it is detected wrongly or not clear."""

import argparse
from collections import Counter
from typing import Any

from tl_core.data.options import NONE, SKIP, ImportOptions
from tl_core.errors import UsageError

HELP = {
    "text_column": "the column with the texts",
    "label_column": "the column with the labels",
    "separator": "the separator between the labels of an item, if it may have several, such as ;",
    "label_columns": "one yes-or-no column for each label, such as cough,fever",
    "one_of": "one yes-or-no column for each class, of which each row has exactly one",
    "path_column": "the column with the picture file names",
    "subgroup_column": "results are also given for each value of this column",
    "group_column": f"items with the same value stay in the same part of the split; {NONE} for none",
    "time_column": "the column with the date or time of an item",
    "split_column": f"the column that says whether an item is for train, validation or test; {NONE} for none",
    "split_names": "what other names of splits mean: train, validation, test, or skip to leave their items out",
    "folders": "what each folder of a path means, outermost first: split, class, group or skip, such as split/class; "
    "the last may be name if file names begin with the class",
}
_MEANINGS = ("train", "validation", "test", SKIP)
_METAVARS = {
    "label_columns": "A,B,...",
    "one_of": "A,B,...",
    "separator": "MARK",
    "split_names": "NAME=SPLIT,...",
    "folders": "LEVELS",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the column options to a command."""
    group = parser.add_argument_group(
        "columns and folders", "Only if those of DATA are not detected correctly, or a command asks for one of these."
    )
    for name, text in HELP.items():
        metavar = _METAVARS.get(name, "COLUMN")
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, default="", help=text)


def column_options(arguments: argparse.Namespace) -> ImportOptions:
    """Return what was said about columns and folders; all is empty if the command has no such options.

    Raises UsageError where it is not written as the help says.
    """
    from tl_core.data.sources.folder_layout import parse_layout

    options: dict[str, Any] = {name: getattr(arguments, name, "") for name in HELP}
    labels, one_of = (_columns(options.pop(name), name) for name in ("label_columns", "one_of"))
    if options["folders"]:
        parse_layout(options["folders"])
    split_names = tuple(dict.fromkeys(_split_name(pair) for pair in _listed(options.pop("split_names"))))
    if twice := [name for name, count in Counter(name for name, _ in split_names).items() if count > 1]:
        raise UsageError(f"--split-names gives {twice[0]!r} two meanings.", "Give it one.")
    return ImportOptions(**options, label_columns=one_of or labels, one_of=bool(one_of), split_names=split_names)


def _columns(text: str, option: str) -> tuple[str, ...]:
    names = _listed(text)
    if text and not names:
        flag = f"--{option.replace('_', '-')}"
        raise UsageError(
            f"{flag} {text} names no column.", f"Give the names with commas between them, such as {flag} cough,fever."
        )
    return names


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _split_name(pair: str) -> tuple[str, str]:
    name, _, split = (part.strip() for part in pair.rpartition("="))
    if split not in _MEANINGS or not name:
        raise UsageError(
            f"{pair!r} does not say which split a name means.",
            f"Write NAME=SPLIT, with one of {', '.join(_MEANINGS)}; such as holdout=test.",
        )
    return name, split
