"""Options that name the columns of a table, for when the detected ones are wrong."""

import argparse
from typing import Any

from tl_core.data.options import NONE, ImportOptions
from tl_core.errors import UsageError

HELP = {
    "text_column": "the column with the texts",
    "label_column": "the column with the labels",
    "separator": "the separator between the labels of an item, if it may have several, such as ;",
    "label_columns": "one yes-or-no column for each label, such as cough,fever",
    "path_column": "the column with the picture file names",
    "subgroup_column": "results are also given for each value of this column",
    "group_column": f"items with the same value stay in the same part of the split; {NONE} for none",
    "time_column": "the column with the date or time of an item",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the column options to a command."""
    group = parser.add_argument_group(
        "columns of a table", "Only if DATA is a table whose columns are not detected correctly."
    )
    for name, text in HELP.items():
        metavar = {"label_columns": "A,B,...", "separator": "MARK"}.get(name, "COLUMN")
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, default="", help=text)


def column_options(arguments: argparse.Namespace) -> ImportOptions:
    """Return the columns that were named; all are empty if the command has no column options.

    Raises UsageError if --label-columns names none.
    """
    options: dict[str, Any] = {name: getattr(arguments, name, "") for name in HELP}
    named = options.pop("label_columns")
    labels = tuple(name.strip() for name in named.split(",") if name.strip())
    if named and not labels:
        raise UsageError(
            f"--label-columns {named} names no column.",
            "Give the names with commas between them, such as --label-columns cough,fever.",
        )
    return ImportOptions(**options, label_columns=labels)
