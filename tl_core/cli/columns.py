"""What a person says of a table's columns on the command line, where what is found in it is not right."""

import argparse
from typing import Any

from tl_core.data.options import NONE, ImportOptions

WORDS = {
    "text_column": "the column with the texts",
    "label_column": "the column with the labels",
    "separator": "what stands between the labels of an item that may have several, such as ;",
    "label_columns": "one column for each label, such as cough,fever: yes or no in each",
    "path_column": "the column that names the pictures",
    "subgroup_column": "whom or what an item is about: results are told for each value as well",
    "group_column": f"items with the same value stay in one split; {NONE} for none",
    "time_column": "when an item was made",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Let a command take what its DATA's columns are."""
    group = parser.add_argument_group("columns of a table", "What DATA's columns are, where it is a table.")
    for name, words in WORDS.items():
        shown = {"label_columns": "A,B,...", "separator": "MARK"}.get(name, "COLUMN")
        group.add_argument(f"--{name.replace('_', '-')}", metavar=shown, default="", help=words)


def named(arguments: argparse.Namespace) -> ImportOptions:
    """Return what was said; nothing where the command takes none of it."""
    said: dict[str, Any] = {name: getattr(arguments, name, "") for name in WORDS}
    labels = tuple(name.strip() for name in said.pop("label_columns").split(",") if name.strip())
    return ImportOptions(**said, label_columns=labels)
