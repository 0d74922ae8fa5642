"""Where the columns of a table are guessed, by name and values: text, label, group and split column."""

import statistics
from collections import Counter
from dataclasses import dataclass

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources.split_names import SPLIT_NAMES
from tl_core.data.sources.tables.table_rows import MISSING, TableSample, is_number
from tl_core.types import Finding

_TEXT_NAMES = "text sentence review comment content body message document tweet utterance question article abstract "
_TEXT_NAMES += "description summary headline title subject post query"
_LABEL_NAMES = "label class category target sentiment topic intent genre emotion tag y rating kategorie klasse thema "
_LABEL_NAMES += "labels classes code polarity tags categories topics"
_CAPTION_NAMES = _TEXT_NAMES + " caption captions"
_NEVER_TEXT = frozenset({"label", "labels", "class", "category", "target"})
GROUP_NAMES = ("group", "group_id", "patient_id", "subject_id", "author_id", "user_id", "document_id")
"""Names of columns that say which items belong together."""
_SPLIT_COLUMNS = ("split", "subset", "partition", "set")
_SENTENCE, _VARIED = 4, 0.5  # words of a cell, and share of different cells, from which a column holds texts
_MANY = 10  # different values from which a label column may be an id


@dataclass(frozen=True)
class TableColumns:
    """The column of each role; "" where there is none.

    Several labels per item are in `label`, separated by `separator`, or in `label_columns`. `path` names pictures.
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

    @property
    def multilabel(self) -> bool:
        """Return whether items may have several labels."""
        return bool(self.separator or self.label_columns)

    @property
    def used(self) -> set[str]:
        """Return the names of all columns that are read."""
        single = {self.text, self.label, self.group, self.split, self.path, self.subgroup, self.time}
        return (single | set(self.label_columns)) - {""}


def choose_columns(sample: TableSample, options: ImportOptions, path: str = "") -> tuple[TableColumns, list[Finding]]:
    """Return the columns that the options name, guess the others, and return findings about the choice.

    `path` is the column that names pictures. Then a text column is guessed only if nobody named `path`, and only one
    column can be it. Raises DataError where a column that the options name does not exist.
    """
    _check_names(sample, options)
    given = {options.subgroup_column, options.time_column, path, *options.label_columns} - {""}
    text = _text_column(sample, options, path)
    joined = sample.table.joined
    split = options.split_column or guess_split_column(sample, {text, options.label_column} | given) or joined
    split = "" if split == NONE else split
    excluded = {text, options.label_column} | given
    group = options.group_column or guess_group_column(sample, excluded)
    group = "" if group == NONE else group
    label, certain = options.label_column, True
    if not label and not options.label_columns:
        label, certain = guess_label_column(sample, {text, split, group, joined} | given)
        if not label and not options.group_column:
            label, certain = guess_label_column(sample, {text, split, joined} | given)
            group = ""
    columns = TableColumns(
        *(text, "" if options.label_columns else label, group, split, path),
        *(options.subgroup_column, options.time_column, options.separator, options.label_columns),
    )
    findings = _choice_findings(sample, columns, certain)
    return columns, [*findings, *_several_texts(sample, options, columns)]


def _text_column(sample: TableSample, options: ImportOptions, path: str) -> str:
    if options.text_column:
        return "" if options.text_column == NONE else options.text_column
    if not path:
        return guess_text_column(sample, options.label_column)
    if options.path_column:
        return ""
    texts = texts_beside(sample, {path, options.label_column, *options.label_columns, options.group_column})
    return texts[0] if len(texts) == 1 else ""


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


def texts_beside(sample: TableSample, excluded: set[str]) -> list[str]:
    """Return the columns that hold texts, of a table that names pictures: by their whole name, else by their cells.

    A cell of such a column has several words, and most cells differ.
    """
    named, wordy = [], []
    for name, column in sample.by_column():
        filled = [cell for cell in column if cell.strip() not in MISSING]
        if name in excluded or not filled or _named(name, _LABEL_NAMES) or all(map(is_number, filled)):
            continue
        words = sum(len(cell.split()) for cell in filled) / len(filled)
        if name.lower() in _CAPTION_NAMES.split():
            named.append(name)
        elif words >= _SENTENCE and len(set(filled)) >= _VARIED * len(filled):
            wordy.append(name)
    return named or wordy


def _check_names(sample: TableSample, options: ImportOptions) -> None:
    optional = (options.text_column, options.path_column, options.group_column, options.split_column)
    named = (options.label_column, *options.label_columns, options.subgroup_column, options.time_column)
    for name in (*named, *(name for name in optional if name != NONE)):
        if name:
            sample.table.place(name)


def _choice_findings(sample: TableSample, columns: TableColumns, certain: bool) -> list[Finding]:
    text, label = columns.text, columns.label
    findings = []
    if not text and not columns.path:
        findings.append(Finding("stop", "no-text", "No column of this table holds texts.", "Choose the text column."))
    if not label and not columns.label_columns:
        findings.append(
            Finding(
                "stop",
                "no-label",
                "No column of this table looks like a label.",
                "Add a column with the class of each text, or choose the column that holds it.",
            )
        )
    elif not certain:
        findings.append(
            Finding(
                "warn",
                "label-guessed",
                f"The column {label!r} was guessed to be the label from its name and values.",
                "Check it, and choose another one if it is wrong.",
            )
        )
    if clash := _clash(columns):
        findings.append(Finding("stop", "same-column", clash, "Choose two different columns."))
    elif label and not columns.multilabel:
        findings += label_findings(label_counts(sample, label), label)
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


def label_findings(counts: Counter[str], column: str = "") -> list[Finding]:
    """Return a blocking finding where there are so many different labels that they must be ids or quantities."""
    n, kinds = sum(counts.values()), len(counts)
    if kinds < _MANY or kinds <= n / 3:
        return []
    where = f"The column {column!r} has" if column else "There are"
    what = "numbers, as if it measured a quantity" if all(map(is_number, counts)) else "values, as if it were an id"
    return [
        Finding(
            "stop",
            "label-like-id",
            f"{where} {kinds:,} different {what}, in {n:,} rows: too few rows of each to learn.",
            "Choose the column that says which class a row belongs to.",
        )
    ]


def guess_text_column(sample: TableSample, excluded: str = "") -> str:
    """Guess the text column: its cells are long, varied and of several words, and its name may say so."""
    best, best_score = "", 0.0
    for name, column in sample.by_column():
        filled = [cell for cell in column if cell.strip()]
        if name == excluded or name.lower() in _NEVER_TEXT or not filled:
            continue
        length = statistics.median(map(len, filled))
        variety = len(set(filled)) / len(filled)
        words = sum(len(cell.split()) for cell in filled) / len(filled)
        score = length * variety * (len(filled) / len(column))
        if all(map(is_number, filled)) or ("http" in filled[0][:5] and words < 2):
            score *= 0.01
        if words < 2:
            score *= 0.3
        if _named(name, _TEXT_NAMES):
            score *= 5
        if _named(name, _LABEL_NAMES):
            score *= 0.1
        if score > best_score:
            best, best_score = name, score
    return best


def guess_label_column(sample: TableSample, excluded: set[str]) -> tuple[str, bool]:
    """Guess the label column, and return whether the guess is certain: by its name, or as the only candidate."""
    named, guessed = [], []
    for name, column in sample.by_column():
        if name in excluded:
            continue
        values = Counter(v for v in (cell.strip() for cell in column) if v not in MISSING)
        if not values:
            continue
        class_like = not label_findings(values) and statistics.median(map(len, values)) <= 60
        if _named(name, _LABEL_NAMES):
            named.append((not class_like, name.lower() not in _LABEL_NAMES.split(), _rank(name, _LABEL_NAMES), name))
        elif class_like and 1 < len(values) <= max(2, sum(values.values()) / 2):
            guessed.append((len(values) / sum(values.values()), name))
    if named and (not min(named)[0] or not guessed):
        _, in_part, _, name = min(named)
        return name, not in_part or len(named) + len(guessed) == 1
    return (min(guessed)[1], False) if guessed else ("", False)


def guess_group_column(sample: TableSample, excluded: set[str]) -> str:
    """Guess the group column by its name; "" where none has such a name."""
    return next((name for name in sample.columns if name.lower() in GROUP_NAMES and name not in excluded), "")


def guess_split_column(sample: TableSample, excluded: set[str]) -> str:
    """Guess the split column: it has a name for splits, and only names of splits as values; "" where there is none."""
    for name, column in sample.by_column():
        if name.lower() in _SPLIT_COLUMNS and name not in excluded:
            values = {cell.strip().lower() for cell in column} - {""}
            if values and values <= set(SPLIT_NAMES):
                return name
    return ""


def _named(column: str, names: str) -> bool:
    return _rank(column, names) < len(names.split())


def _rank(column: str, names: str) -> int:
    """Return the place of a column's name, or of a word of it, in `names`; their number where it is not among them."""
    order = names.split()
    words = {column.lower(), *column.lower().replace("-", "_").replace(" ", "_").split("_")}
    return min((order.index(word) for word in words if word in order), default=len(order))
