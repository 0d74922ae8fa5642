"""Findings about a table: how it was read, what its columns seem to hold, and which columns leak the label."""

from collections import Counter, defaultdict
from dataclasses import replace

from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.data.sources.tables.column_guesses import TableColumns
from tl_core.data.sources.tables.label_cells import LIST
from tl_core.data.sources.tables.label_guess import guess_label_columns
from tl_core.data.sources.tables.label_reader import guess_label_separator
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
_SURE = 0.98  # share of rows whose label another column determines, from which it is reported
_ENOUGH_ROWS = 20


def reading_findings(sample: TableSample, columns: TableColumns) -> list[Finding]:
    """Return findings about anything unusual in how a table was read."""
    table = sample.table
    return [
        finding
        for finding in (
            table.parts and _joined_finding(table, columns.split),
            sample.n_bad and _bad_rows_finding(sample),
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
                "Some letters of this file are not in UTF-8 like the rest; they were read as Windows-1252.",
                "Check the accents, and save the whole file in UTF-8 if they look wrong.",
            ),
            table.encoding
            and not table.encoding.startswith("utf-8")
            and Finding(
                "info",
                "encoding",
                f"This file is in an older encoding; it was read as {table.encoding}.",
                "If accents look wrong, choose another encoding.",
            ),
            not table.header
            and Finding(
                "info",
                "no-header",
                "The first row looks like data, so the columns are numbered.",
                "If it holds the column names, say so.",
            ),
        )
        if finding
    ]


def _joined_finding(table: Table, split: str) -> Finding:
    joined = f"{len(table.parts)} tables are read as one"
    if split == table.joined:
        parts = ", ".join(f"{name} ({split})" for name, split in table.parts)
        message = f"{joined}, and their names say which split their rows are in: {parts}."
        return Finding("info", "joined", message, "If their names do not mean that, give only one of them.")
    says = f"the column {split!r} says which split a row is in" if split else "Graft makes a new split"
    hint = f"If their names should say it, choose the column {table.joined!r} for the split."
    return Finding("info", "joined", f"{joined}, and {says}, not their names.", hint)


def _bad_rows_finding(sample: TableSample) -> Finding:
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


def propose_options(sample: TableSample, columns: TableColumns) -> tuple[ImportOptions, list[Finding]]:
    """Return options that a table seems to need beyond text and label. They are only used if a person accepts them."""
    proposed, findings = AUTO_DETECT, []
    if columns.label and not columns.multilabel and (mark := guess_label_separator(sample, columns.label)):
        proposed = replace(proposed, separator=mark)
        separated = "in lists" if mark == LIST else f"separated by {mark!r}"
        message = f"Cells of the column {columns.label!r} seem to hold several labels, {separated}."
        findings.append(
            Finding(
                "warn",
                "label-lists",
                message,
                "If they do, say so; otherwise each combination counts as a class of its own.",
            )
        )
    excluded = columns.used - {columns.label}
    if not columns.multilabel and not columns.one_of and (names := guess_label_columns(sample, excluded)):
        proposed = replace(proposed, label_columns=names)
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = f"{len(names):,} columns hold only 0 and 1, as if each were a label: {shown}."
        findings.append(
            Finding("warn", "label-columns", message, "If an item may have several of them at once, say so.", names)
        )
    if not columns.subgroup and (name := _guess_subgroup_column(sample, columns.used)):
        proposed = replace(proposed, subgroup_column=name)
        message = f"The column {name!r} seems to say whom an item is about."
        hint = "Choose it as the subgroup to see the scores of each group; it is never learned from."
        findings.append(Finding("info", "subgroup", message, hint))
    if not columns.time and (name := _guess_time_column(sample, columns.used)):
        proposed = replace(proposed, time_column=name)
        message = f"The column {name!r} seems to say when an item was made."
        findings.append(Finding("info", "time", message, "Choose it as the time to test on the newest items."))
    return proposed, findings


def leak_findings(sample: TableSample, columns: TableColumns) -> list[Finding]:
    """Return findings on unused columns whose value determines the label of nearly every row (label leakage).

    A column does so if the commonest label of each of its values covers 98 % of the rows. Columns of mostly unique
    values are ignored.
    """
    if not columns.label or columns.multilabel:
        return []
    place = sample.table.place(columns.label)
    labels = [row[place].strip() for row in sample.rows]
    labelled = [i for i, label in enumerate(labels) if label not in MISSING]
    label_counts = Counter(labels[i] for i in labelled)
    if len(labelled) < _ENOUGH_ROWS or len(label_counts) < 2 or max(label_counts.values()) >= _SURE * len(labelled):
        return []
    leaking = []
    for name, column in sample.by_column():
        if name in columns.used:
            continue
        labels_of: dict[str, Counter[str]] = defaultdict(Counter)
        for i in labelled:
            labels_of[column[i].strip()][labels[i]] += 1
        if len(labels_of) > len(labelled) / 3:
            continue
        share = sum(max(counts.values()) for counts in labels_of.values()) / len(labelled)
        if share >= _SURE:
            leaking.append((name, share))
    return [
        Finding(
            "info",
            "leaking-column",
            f"The column {name!r} by itself determines the label of {share:.0%} of the rows.",
            "It is not learned from. If new items come with this column, no model is needed; if the texts repeat it, "
            "the score will look better than it is.",
            (name,),
        )
        for name, share in leaking[:10]
    ]


def _guess_subgroup_column(sample: TableSample, excluded: set[str]) -> str:
    for name, column in sample.by_column():
        if _plain(name) in _SUBGROUP_NAMES and name not in excluded:
            kinds = {cell.strip() for cell in column} - MISSING
            if 1 < len(kinds) <= _MOST_SUBGROUPS:
                return name
    return ""


def _guess_time_column(sample: TableSample, excluded: set[str]) -> str:
    for name, column in sample.by_column():
        if _plain(name) in _TIME_NAMES and name not in excluded and holds_times(column[:_TIME_CELLS]):
            return name
    return ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
