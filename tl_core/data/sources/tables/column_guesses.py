"""Where the columns of a table are guessed, by name and values: text, label, group and split column."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources.split_names import guess_split, name_words, split_and_rest, splits_of_names
from tl_core.data.sources.tables.column_roles import GROUP_NAMES, NO_TIER, PEOPLE, group_kind, is_split_name, label_tier
from tl_core.data.sources.tables.label_cells import LIST, holds_choices
from tl_core.data.sources.tables.label_guess import NO, YES, LabelGuess, guess_label, label_findings
from tl_core.data.sources.tables.table_rows import MISSING, TableSample
from tl_core.data.sources.tables.text_guess import choose_text_column, texts_beside
from tl_core.types import Finding

_MOST_SPLITS = 20  # different values of a split column
_FEW_GROUPS = 5  # different values from which a column is taken for one of groups
REJECTED = frozenset({"reject", "ignore"})
"""What Prodigy writes of a row whose label is wrong, or that was passed over."""


@dataclass(frozen=True)
class TableColumns:
    """The column of each role; "" where there is none.

    Several labels per item are in `label`, separated by `separator`, or in `label_columns`; with `one_of`, each row has
    exactly one of the latter. `path` names pictures. `label_others` and `text_others` could be the label or text too;
    `label_sure` says how the label was found: "told" by the options, by its "name", as the "only" one, or "unclear".
    `verdict` says whether an annotator accepted or rejected the row.
    """

    text: str = ""
    label: str = ""
    group: str = ""
    split: str = ""
    path: str = ""
    subgroup: str = ""
    time: str = ""
    separator: str = ""
    label_columns: tuple[str, ...] = ()
    one_of: bool = False
    label_others: tuple[str, ...] = ()
    text_others: tuple[str, ...] = ()
    label_sure: str = "told"
    verdict: str = ""

    @property
    def multilabel(self) -> bool:
        """Return whether items may have several labels."""
        return bool(self.separator or (self.label_columns and not self.one_of))

    @property
    def used(self) -> set[str]:
        """Return the names of all columns that are read."""
        single = {self.text, self.label, self.group, self.split, self.path, self.subgroup, self.time, self.verdict}
        return (single | set(self.label_columns)) - {""}


def choose_columns(sample: TableSample, options: ImportOptions, path: str = "") -> tuple[TableColumns, list[Finding]]:
    """Return the columns that the options name, guess the others, and return findings about the choice.

    `path` is the column that names pictures. Then a text column is guessed only if nobody named `path`, and only one
    column can be it. Raises DataError where a column that the options name does not exist.
    """
    _check_names(sample, options)
    given = {options.subgroup_column, options.time_column, path, *options.label_columns} - {""}
    text, text_others = choose_text_column(sample, options, path)
    joined = sample.table.joined
    verdict = _verdict_column(sample, {text, options.label_column} | given)
    split = options.split_column or guess_split_column(sample, {text, options.label_column} | given) or joined
    split = "" if split == NONE else split
    excluded = {text, options.label_column} | given
    group = options.group_column or guess_group_column(sample, excluded | {split})
    group = "" if group == NONE else group
    guess = LabelGuess(options.label_column, options.label_columns, options.one_of)
    if told := bool(options.label_column or options.label_columns):
        guess = LabelGuess("" if options.label_columns else guess.column, guess.columns, guess.one_of)
    elif "label" in sample.table.told:
        guess = LabelGuess(sample.table.told["label"], sure="name")
    else:
        guess = guess_label(sample, {text, split, group, joined, verdict} | given)
        if not guess.column and not guess.columns and not options.group_column:
            guess, group = guess_label(sample, {text, split, joined, verdict} | given), ""
    separator = options.separator or ("" if told else _separator(sample, guess.column))
    columns = TableColumns(
        *(text, guess.column, group, split, path),
        *(options.subgroup_column, options.time_column, separator, guess.columns, guess.one_of),
        *(guess.others, tuple(name for name in text_others if name not in (guess.column, group, split))),
        *("told" if told else guess.sure, verdict),
    )
    findings = _choice_findings(sample, columns)
    return columns, [*findings, *_several_texts(sample, options, columns)]


def _separator(sample: TableSample, label: str) -> str:
    """Return the separator of several labels that the format of the source says; "" where it says none."""
    if label and holds_choices(sample, label):
        return LIST
    return sample.table.told.get("separator", "")


def _verdict_column(sample: TableSample, excluded: set[str]) -> str:
    """Return the column that says whether an annotator accepted a row, as Prodigy writes it; "" where there is none."""
    values = set(sample.counts("answer")) if "answer" in sample.columns and "answer" not in excluded else set()
    return "answer" if values and values <= {"accept", *REJECTED} else ""


def _several_texts(sample: TableSample, options: ImportOptions, columns: TableColumns) -> list[Finding]:
    """Return a finding where a table names pictures, and it is not clear which of its texts belongs to them."""
    if not columns.path or columns.text or options.text_column or options.path_column:
        return []
    texts = texts_beside(sample, columns.used)
    if len(texts) < 2:
        return []
    names = " and ".join(map(repr, texts[:3])) + (", ..." if len(texts) > 3 else "")
    message = f"The columns {names} hold texts, so it is not clear which belongs to the pictures; none is read."
    return [Finding("info", "texts-beside", message, "To learn from pictures and texts, name both columns.")]


def _check_names(sample: TableSample, options: ImportOptions) -> None:
    optional = (options.text_column, options.path_column, options.group_column, options.split_column)
    named = (options.label_column, *options.label_columns, options.subgroup_column, options.time_column)
    for name in (*named, *(name for name in optional if name != NONE)):
        if name:
            sample.table.place(name)


def _choice_findings(sample: TableSample, columns: TableColumns) -> list[Finding]:
    text, label = columns.text, columns.label
    findings = []
    if not text and not columns.path:
        findings.append(Finding("stop", "no-text", "No column of this table holds texts.", "Choose the text column."))
    if columns.text_others:
        others = " or ".join(map(repr, columns.text_others))
        message = f"The text could be in the column {text!r} or in {others}."
        findings.append(Finding("warn", "text-unclear", message, "Check it: only one of them is read."))
    if not label and not columns.label_columns:
        findings.append(
            Finding(
                "stop",
                "no-label",
                "No column of this table looks like a label.",
                "Add a column with the class of each text, or choose the column that holds it.",
            )
        )
    elif columns.label_sure in ("only", "unclear"):
        findings.append(_guess_finding(columns))
    if clash := _clash(columns):
        findings.append(Finding("stop", "same-column", clash, "Choose two different columns."))
    elif label and not columns.multilabel:
        findings += label_findings(label_counts(sample, label), label)
    if unknown := unknown_splits(sample, columns.split):
        message = f"The column {columns.split!r} says which split a row is in, but for {', '.join(unknown[:5])}."
        findings.append(Finding("warn", "split-unclear", message, "Rows of these values are left out."))
    return findings


def _clash(columns: TableColumns) -> str:
    """Return which column cannot have two roles at once; "" where none has."""
    roles = {"the text": columns.text, "the path of the picture": columns.path}
    for what, name in roles.items():
        if name and name in (columns.label, *columns.label_columns):
            return f"The column {name!r} cannot be both {what} and the label."
    if columns.text and columns.text == columns.path:
        return f"The column {columns.text!r} cannot be both the text and the path of the picture."
    return ""


def _guess_finding(columns: TableColumns) -> Finding:
    if columns.label_sure == "unclear":
        named = " or ".join(map(repr, (columns.label, *columns.label_others)))
        return Finding("warn", "label-unclear", f"The label could be in the column {named}.", "Say which one it is.")
    if columns.label_columns:
        kind = "a label; each row has exactly one" if columns.one_of else "a label; a row may have several"
        named = ", ".join(columns.label_columns[:5]) + (", ..." if len(columns.label_columns) > 5 else "")
        message = f"{len(columns.label_columns)} columns hold only 0 and 1, so each was taken for {kind}: {named}."
        return Finding("info", "labels-guessed", message, "Check them, and choose another column if it is wrong.")
    return Finding(
        "warn",
        "label-guessed",
        f"The column {columns.label!r} was guessed to be the label from its name and values.",
        "Check it, and choose another one if it is wrong.",
    )


def label_counts(sample: TableSample, column: str) -> Counter[str]:
    """Count each label of a column, over every row that was read for the sample."""
    counts = sample.counts(column)
    if not written_as_decimals(counts):
        return counts
    merged: Counter[str] = Counter()
    for value, count in counts.items():
        merged[value.removesuffix(".0")] += count
    return merged


def written_as_decimals(values: Counter[str]) -> bool:
    """Return whether all labels are whole numbers written as 1.0."""
    return bool(values) and all(v.endswith(".0") and v[:-2].lstrip("-").isdigit() for v in values)


def guess_group_column(sample: TableSample, excluded: set[str]) -> str:
    """Guess the column that says which items belong together: by its name, and for a weak name by its values."""
    likely = ""
    for name in sample.columns:
        kind = group_kind(name)
        if not kind or name in excluded:
            continue
        alone = kind == "sure" or bool(PEOPLE.intersection(name_words(name)))
        if name.lower() in GROUP_NAMES or (not likely and _holds_groups(sample.column(name), alone)):
            likely = name
        if likely and kind == "sure":
            return likely
    return likely


def _holds_groups(cells: list[str], by_name: bool) -> bool:
    """Return whether cells could say what belongs together: enough different ones, some of which recur."""
    filled = [cell.strip() for cell in cells if cell.strip() not in MISSING]
    numbered = sum(any(c.isdigit() for c in cell) for cell in filled) > len(filled) / 2
    return _FEW_GROUPS <= len(set(filled)) < len(filled) and (by_name or numbered)


def guess_split_column(sample: TableSample, excluded: set[str]) -> str:
    """Guess the split column: by its name and values, or because all of its values mean splits; "" for none."""
    by_values = ""
    for name, column in sample.by_column():
        values = {cell.strip() for cell in column} - MISSING
        if name in excluded or not values or len(values) > _MOST_SPLITS:
            continue
        splits = _splits_of(values)
        if split_of_flag(name) and {v.lower() for v in values} <= YES | NO:
            return name
        if is_split_name(name) and (len(splits) == len(values) or "train" in splits.values()):
            return name
        all_splits = len(splits) == len(values) and "train" in splits.values() and len(set(splits.values())) > 1
        if all_splits and not by_values and label_tier(name)[0] == NO_TIER:
            by_values = name
    return by_values


def split_of_flag(name: str) -> str:
    """Return the split of which a column of yes and no speaks: "test" for "is_test", "train" for "is training image".

    "" for other names.
    """
    split, rest = split_and_rest(name)
    return split if set(rest) <= {"is", "in", "for", "use", "used"} else ""


def split_reader(sample: TableSample, columns: TableColumns, options: ImportOptions) -> Callable[[str], str]:
    """Return a function that returns the split in a cell: that of SPLITS or "skip", None where it is unknown."""
    told = dict(options.split_names)
    name = columns.split
    values = set(sample.counts(name)) if name else set()
    flag = split_of_flag(name) if name and {v.lower() for v in values} <= YES | NO else ""
    if flag:
        other = "test" if flag == "train" else "train"
        known = {value: flag if value.lower() in YES else other for value in values}
    else:
        known = _splits_of(values)
    known = known | told | dict.fromkeys(MISSING, "")
    return lambda cell: known.get(cell, UNKNOWN_SPLIT)


UNKNOWN_SPLIT = "unknown"
"""What a split reader returns for a cell that means no split."""


def unknown_splits(sample: TableSample, column: str, told: dict[str, str] | None = None) -> list[str]:
    """Return the values of a split column that mean no split."""
    if not column:
        return []
    values = set(sample.counts(column))
    if split_of_flag(column) and {v.lower() for v in values} <= YES | NO:
        return []
    return sorted(values - set(_splits_of(values)) - set(told or {}))


def _splits_of(values: set[str]) -> dict[str, str]:
    return splits_of_names(values) | {value: split for value in values if (split := guess_split(value))}
