"""What a person is told of a table: how it was read, what its columns seem to hold, and what may spoil the result."""

from collections import Counter, defaultdict
from dataclasses import replace

from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.sources.tables.column_guesses import TableColumns
from tl_core.data.sources.tables.label_reader import LIST, propose_label_columns, propose_separator
from tl_core.data.sources.tables.table_rows import MISSING, Table, TableSample
from tl_core.data.sources.tables.timestamps import holds_times
from tl_core.types import Finding

_SUBGROUPS = "sex gender age_group agegroup age_band region site hospital clinic centre center ethnicity race country "
_SUBGROUPS += "language dialect scanner device geschlecht altersgruppe"
_SUBGROUP_NAMES = frozenset(_SUBGROUPS.split())
_TIMES = "date time datetime timestamp created created_at published published_at year datum"
_TIME_NAMES = frozenset(_TIMES.split())
_MOST_SUBGROUPS = 50
_TIME_CELLS = 200
_SURE = 0.98  # share of rows whose label another column tells, from which it is told of
_ENOUGH_ROWS = 20


def reading_findings(sample: TableSample, columns: TableColumns) -> list[Finding]:
    """Return what was unusual in reading a table."""
    table = sample.table
    return [
        finding
        for finding in (
            table.parts and _joined(table, columns.split),
            sample.n_bad and _bad_rows(sample),
            table.loose
            and Finding(
                "warn",
                "quotes",
                "A quotation mark is never closed; all of them were read as ordinary characters.",
                "Check that the rows shown are whole.",
            ),
            table.mixed
            and Finding(
                "warn",
                "mixed-encoding",
                "Some letters of this file are not in UTF-8 like the others; they were read as Windows-1252.",
                "Check the accents, and save the whole file in UTF-8 if they look wrong.",
            ),
            table.encoding
            and not table.encoding.startswith("utf-8")
            and Finding(
                "info",
                "encoding",
                f"The letters of this file are written in an older way; they were read as {table.encoding}.",
                "If accents look wrong, choose another encoding.",
            ),
            not table.header
            and Finding(
                "info",
                "no-header",
                "The first row looks like data, so the columns are numbered.",
                "If it holds the columns' names, say so.",
            ),
        )
        if finding
    ]


def _joined(table: Table, split: str) -> Finding:
    told = f"{len(table.parts)} tables are read as one"
    if split == table.joined:
        parts = ", ".join(f"{name} ({split})" for name, split in table.parts)
        message = f"{told}, and their names say which part of the data their rows are: {parts}."
        return Finding("info", "joined", message, "If that is not what their names mean, give one of them.")
    says = f"the column {split!r} says which part of the data a row is" if split else "they are split anew"
    hint = f"If their names shall say it, choose the column {table.joined!r} for the split."
    return Finding("info", "joined", f"{told}, and {says}, not their names.", hint)


def _bad_rows(sample: TableSample) -> Finding:
    named = tuple(map(sample.table.row, sample.bad))
    if sample.table.delimiter:
        return Finding(
            "warn",
            "ragged",
            f"{sample.n_bad:,} rows have more cells than there are columns; they are left out.",
            "Check the delimiter, and that texts with a delimiter inside are quoted.",
            named,
        )
    return Finding(
        "warn",
        "broken-rows",
        f"{sample.n_bad:,} rows cannot be read; they are left out.",
        "The receipt of the import says why, row by row.",
        named,
    )


def propose(sample: TableSample, columns: TableColumns) -> tuple[ImportOptions, list[Finding]]:
    """Return what a table seems to hold beyond text and label, for a person to take up; nothing of it is used."""
    proposed, findings = AUTO_DETECT, []
    if columns.label and not columns.multilabel and (mark := propose_separator(sample, columns.label)):
        proposed = replace(proposed, separator=mark)
        parted = "in lists" if mark == LIST else f"parted by {mark!r}"
        message = f"Cells of the column {columns.label!r} seem to hold several labels, {parted}."
        findings.append(
            Finding(
                "warn", "several-labels", message, "If they do, say so; else each combination is a class of its own."
            )
        )
    taken = columns.used - {columns.label}
    if not columns.multilabel and (run := propose_label_columns(sample, taken)):
        proposed = replace(proposed, label_columns=run)
        shown = ", ".join(run[:5]) + (", ..." if len(run) > 5 else "")
        message = f"{len(run):,} columns hold only 0 and 1, as if each were a label: {shown}."
        findings.append(
            Finding("warn", "label-columns", message, "If an item may have several of them at once, say so.", run)
        )
    if not columns.subgroup and (found := _subgroup(sample, columns.used)):
        proposed = replace(proposed, subgroup_column=found)
        message = f"The column {found!r} seems to say whom an item is about."
        hint = "Name it as the subgroup to see how well each group is served; it is never learned from."
        findings.append(Finding("info", "subgroup", message, hint))
    if not columns.time and (found := _time(sample, columns.used)):
        proposed = replace(proposed, time_column=found)
        message = f"The column {found!r} seems to say when an item was made."
        findings.append(Finding("info", "time", message, "Name it as the time to test on the latest items."))
    return proposed, findings


def leak_findings(sample: TableSample, columns: TableColumns) -> list[Finding]:
    """Return the columns whose value tells the label of nearly every row, and which nothing reads.

    A column tells it where the commonest label of each of its values covers 98 % of the rows, and it has values
    that come back and labels that differ.
    """
    if not columns.label or columns.multilabel:
        return []
    place = sample.table.place(columns.label)
    labels = [row[place].strip() for row in sample.rows]
    known = [i for i, label in enumerate(labels) if label not in MISSING]
    kinds = Counter(labels[i] for i in known)
    if len(known) < _ENOUGH_ROWS or len(kinds) < 2 or max(kinds.values()) >= _SURE * len(known):
        return []
    told = []
    for name, column in sample.by_column():
        if name in columns.used:
            continue
        met: dict[str, Counter[str]] = defaultdict(Counter)
        for i in known:
            met[column[i].strip()][labels[i]] += 1
        if len(met) > len(known) / 3:
            continue
        share = sum(max(each.values()) for each in met.values()) / len(known)
        if share >= _SURE:
            told.append((name, share))
    return [
        Finding(
            "info",
            "leaking-column",
            f"The column {name!r} tells the label of {share:.0%} of the rows by itself.",
            "It is not learned from. If a new item comes with it, no model is needed; if the texts repeat it, "
            "the score will look better than it is.",
            (name,),
        )
        for name, share in told[:10]
    ]


def _subgroup(sample: TableSample, taken: set[str]) -> str:
    for name, column in sample.by_column():
        if _plain(name) in _SUBGROUP_NAMES and name not in taken:
            kinds = {cell.strip() for cell in column} - MISSING
            if 1 < len(kinds) <= _MOST_SUBGROUPS:
                return name
    return ""


def _time(sample: TableSample, taken: set[str]) -> str:
    for name, column in sample.by_column():
        if _plain(name) in _TIME_NAMES and name not in taken and holds_times(column[:_TIME_CELLS]):
            return name
    return ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
