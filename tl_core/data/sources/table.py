"""CSV and TSV: which column holds the text, which the label, and the rows as items."""

import statistics
from collections import Counter
from dataclasses import dataclass

from tl_core.data.options import ImportOptions, RawItem
from tl_core.data.sources.folders import SPLIT_NAMES
from tl_core.data.sources.grid import Grid, is_number
from tl_core.errors import DataError
from tl_core.types import Finding

PREVIEW_ROWS = 50
PREVIEW_CELL = 500  # characters
_TEXT_NAMES = "text sentence review comment content body message document tweet utterance question article abstract "
_TEXT_NAMES += "description summary headline title subject post query"
_LABEL_NAMES = "label class category target sentiment topic intent genre emotion tag y rating kategorie klasse thema "
_LABEL_NAMES += "labels classes code polarity"
_NEVER_TEXT = frozenset({"label", "labels", "class", "category", "target"})
_GROUP_NAMES = ("group", "group_id", "patient_id", "subject_id", "author_id", "user_id", "document_id")
_SPLIT_COLUMNS = ("split", "subset", "partition", "set")
_MISSING = frozenset({"", "nan", "NaN", "null", "NULL", "#N/A", "<NA>"})
_MANY = 10  # label values from which a column may be an id


@dataclass(frozen=True)
class Columns:
    """Which column is what; "" where there is none."""

    text: str = ""
    label: str = ""
    group: str = ""
    split: str = ""


@dataclass(frozen=True)
class TablePreview:
    """The first rows of a table, how it was read, and which columns are proposed; everything can be corrected."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    delimiter: str
    encoding: str
    header: bool
    text_column: str
    label_column: str
    findings: tuple[Finding, ...]
    n_rows: int = 0
    split_column: str = ""
    group_column: str = ""


def preview_grid(grid: Grid, options: ImportOptions) -> TablePreview:
    """Return what a person checks before a table is imported."""
    columns, findings = choose_columns(grid, options)
    rows = tuple(tuple(cell[:PREVIEW_CELL] for cell in row) for row in grid.rows[:PREVIEW_ROWS])
    return TablePreview(
        grid.columns,
        rows,
        grid.delimiter,
        grid.encoding,
        grid.header,
        columns.text,
        columns.label,
        tuple(_reading_findings(grid) + findings),
        len(grid.rows),
        columns.split,
        columns.group,
    )


def table_items(grid: Grid, options: ImportOptions, source: str) -> tuple[list[RawItem], list[tuple[str, str]], str]:
    """Return the items of a table, its skipped rows with their reasons, and the name of its text column.

    Raises DataError where no text or no label column is found, and where no row has a label.
    """
    columns, findings = choose_columns(grid, options)
    for finding in findings:
        if finding.level == "stop" and finding.code != "label-like-id":
            raise DataError(finding.message, finding.hint)
    texts = grid.column(columns.text)
    labels = _tidy_labels(grid.column(columns.label))
    groups = grid.column(columns.group) if columns.group else [""] * len(texts)
    splits = grid.column(columns.split) if columns.split else [""] * len(texts)
    skipped = [(f"row {n}", f"it has {cells} cells, more than there are columns") for n, cells in grid.ragged]
    items = []
    for number, text, label, group, split in zip(grid.numbers, texts, labels, groups, splits, strict=True):
        if label in _MISSING:
            skipped.append((f"row {number}", "it has no label"))
        else:
            given = SPLIT_NAMES.get(split.strip().lower(), "")
            items.append(RawItem(f"row {number}", label, given, group.strip(), text))
    if not items:
        raise DataError(
            f"No row of {source} has a label in the column {columns.label!r}.", "Choose the column that holds it."
        )
    return items, skipped, columns.text


def choose_columns(grid: Grid, options: ImportOptions) -> tuple[Columns, list[Finding]]:
    """Return the columns named in the options, found where they are not, and what a person should know of that."""
    for name in (options.text_column, options.label_column, options.group_column, options.split_column):
        if name:
            grid.column(name)
    findings: list[Finding] = []
    text = options.text_column or find_text_column(grid, taken=options.label_column)
    split = options.split_column or _find_split_column(grid, {text, options.label_column})
    taken = {text, options.label_column}
    group = options.group_column or next((c for c in grid.columns if c.lower() in _GROUP_NAMES and c not in taken), "")
    label, sure = options.label_column, True
    if not label:
        label, sure = _find_label_column(grid, {text, split, group})
    if not label and not options.group_column:
        label, sure = _find_label_column(grid, {text, split})
        group = ""
    if not text:
        findings.append(Finding("stop", "no-text", "No column of this table holds texts.", "Choose the text column."))
    if not label:
        findings.append(
            Finding(
                "stop",
                "no-label",
                "No column of this table looks like a label.",
                "Add a column with the class of each text, or choose the column that holds it.",
            )
        )
    elif not sure:
        findings.append(
            Finding(
                "warn",
                "label-guessed",
                f"The column {label!r} was taken as the label by the look of its values.",
                "Check it, and choose another one if it is wrong.",
            )
        )
    if text and text == label:
        findings.append(
            Finding(
                "stop",
                "same-column",
                f"The column {text!r} cannot be both the text and the label.",
                "Choose two different columns.",
            )
        )
    elif label:
        findings += label_findings(Counter(v for v in _tidy_labels(grid.column(label)) if v not in _MISSING), label)
    return Columns(text, label, group, split), findings


def label_findings(counts: Counter[str], column: str = "") -> list[Finding]:
    """Return a stop where label values are as many as an id's, or a quantity's."""
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


def find_text_column(grid: Grid, taken: str = "") -> str:
    """Return the column that most looks like running text: by its name, else by its longest and most varied cells."""
    best, best_score = "", 0.0
    for name, column in zip(grid.columns, _columns(grid), strict=True):
        filled = [cell for cell in column if cell.strip()]
        if name == taken or name.lower() in _NEVER_TEXT or not filled:
            continue
        length = statistics.median(min(len(cell), 5000) for cell in filled)
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


def _find_label_column(grid: Grid, taken: set[str]) -> tuple[str, bool]:
    """Return the column that most looks like classes, and whether its name says so too."""
    named, guessed = [], []
    for name, column in zip(grid.columns, _columns(grid), strict=True):
        values = Counter(v for v in (cell.strip() for cell in column) if v not in _MISSING)
        if name in taken or not values:
            continue
        looks = not label_findings(values) and statistics.median(len(v) for v in values) <= 60
        if _named(name, _LABEL_NAMES):
            named.append((not looks, _rank(name, _LABEL_NAMES), name))
        elif looks and 1 < len(values) <= max(2, sum(values.values()) / 2):
            guessed.append((len(values) / sum(values.values()), name))
    if named and (not min(named)[0] or not guessed):
        return min(named)[2], True
    return (min(guessed)[1], False) if guessed else ("", False)


def _find_split_column(grid: Grid, taken: set[str]) -> str:
    for name, column in zip(grid.columns, _columns(grid), strict=True):
        values = {cell.strip().lower() for cell in column} - {""}
        if name.lower() in _SPLIT_COLUMNS and name not in taken and values and values <= set(SPLIT_NAMES):
            return name
    return ""


def _reading_findings(grid: Grid) -> list[Finding]:
    findings = []
    if grid.ragged:
        findings.append(
            Finding(
                "warn",
                "ragged",
                f"{len(grid.ragged):,} rows have more cells than there are columns; they are left out.",
                "Check the delimiter, and that texts with a delimiter inside are quoted.",
                tuple(f"row {n}" for n, _ in grid.ragged[:20]),
            )
        )
    if grid.loose:
        findings.append(
            Finding(
                "warn",
                "quotes",
                "A quotation mark is never closed; all of them were read as ordinary characters.",
                "Check that the rows below are whole.",
            )
        )
    if not grid.encoding.startswith("utf-8"):
        findings.append(
            Finding(
                "info",
                "encoding",
                f"The file is not in UTF-8; it was read as {grid.encoding}.",
                "If accents look wrong below, choose another encoding.",
            )
        )
    if not grid.header:
        findings.append(
            Finding(
                "info",
                "no-header",
                "The first row looks like data, so the columns are numbered.",
                "If it holds the columns' names, say so.",
            )
        )
    return findings


def _tidy_labels(labels: list[str]) -> list[str]:
    """Return labels without outer spaces; whole numbers written as 1.0 become 1."""
    tidy = [label.strip() for label in labels]
    values = {label for label in tidy if label not in _MISSING}
    if all(v.endswith(".0") and v[:-2].lstrip("-").isdigit() for v in values):
        return [label.removesuffix(".0") for label in tidy]
    return tidy


def _columns(grid: Grid) -> list[tuple[str, ...]]:
    return list(zip(*grid.rows, strict=True))


def _named(column: str, names: str) -> bool:
    return _rank(column, names) < len(names.split())


def _rank(column: str, names: str) -> int:
    """Return how early a column's name, or a word of it, stands in `names`; their number where it does not."""
    order = names.split()
    words = {column.lower(), *column.lower().replace("-", "_").replace(" ", "_").split("_")}
    return min((order.index(word) for word in words if word in order), default=len(order))
