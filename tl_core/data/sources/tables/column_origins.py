"""What is said about the columns of a table that is imported: where each value is from, and what is not clear."""

from collections.abc import Iterator

from tl_core.data.dataset import Origin
from tl_core.data.options import ImportOptions
from tl_core.data.sources.tables.column_guesses import TableColumns, unknown_splits
from tl_core.data.sources.tables.label_guess import guess_label_columns, told_from_text
from tl_core.data.sources.tables.table_rows import TableSample
from tl_core.errors import DataError, UnclearError


def check_clear(sample: TableSample, columns: TableColumns, options: ImportOptions) -> None:
    """Raise UnclearError where label, text or split were guessed and could be something else."""
    if columns.label_sure == "unclear":
        names = (columns.label, *columns.label_others)
        told = told_from_text(sample, columns.text, names) if columns.text else {}
        names = tuple(sorted(names, key=lambda name: -told.get(name, 0.0)))
        shown = [
            f"{name!r}{f' (told from the words of the texts: {told[name]:.0%})' if name in told else ''}"
            for name in names
        ]
        raise UnclearError(
            f"It is not clear which column of {sample.table.name} holds the labels: {' or '.join(shown)}.",
            f"Name it, such as --label-column {names[0]!r}{_together(sample, names)}.",
        )
    if columns.text_others and not options.text_column:
        names = (columns.text, *columns.text_others)
        raise UnclearError(
            f"It is not clear which column of {sample.table.name} holds the texts: {' or '.join(map(repr, names))}.",
            f"Name it, such as --text-column {names[0]!r}; the others are then not read.",
        )
    unknown = unknown_splits(sample, columns.split, dict(options.split_names))
    if unknown and options.split_column and len(unknown) == len(sample.counts(columns.split)):
        raise DataError(
            f"No value of the column {columns.split!r} means a split: it has {', '.join(unknown[:5])}.",
            "Say what they mean, such as --split-names 'a=train,b=test', or choose another column.",
        )
    if unknown and not options.split_column:
        raise UnclearError(
            f"The column {columns.split!r} of {sample.table.name} says which split a row is in, but not for "
            f"{', '.join(map(repr, unknown[:5]))}.",
            f"Say what it means, such as --split-names {unknown[0]!r}=test (or train, validation, skip), or say "
            "--split-column '(none)'.",
        )


def _together(sample: TableSample, names: tuple[str, ...]) -> str:
    """Return the option that takes columns of 0 and 1 as labels together, where all that are in question are such."""
    columns = guess_label_columns(sample, set())
    return f"; or all of them, --label-columns {','.join(columns)}" if set(names) <= set(columns) else ""


def column_origins(sample: TableSample, columns: TableColumns, options: ImportOptions) -> Iterator[Origin]:
    """Yield where label, text or picture, split and group of a row are from."""
    if columns.label_columns:
        kind = "exactly one a row" if columns.one_of else "several a row are possible"
        yield Origin("label", f"the columns {_listed(columns.label_columns)} of 0 and 1", note=kind)
    else:
        how = "no other column is likely to be it" if columns.label_sure == "only" and not columns.label_others else ""
        if columns.verdict:
            how = f"rows whose {columns.verdict!r} is reject or ignore are left out"
        yield Origin("label", f"the column {columns.label!r}", _quoted(columns.label_others), how)
    unread = tuple(name for name in sample.columns if name not in {*columns.used, sample.table.joined})
    note = f"not read: {_listed(unread)}" if unread else ""
    if columns.path:
        yield Origin("picture", f"the column {columns.path!r}", note="" if columns.text else note)
    if columns.text:
        yield Origin("text", f"the column {columns.text!r}", _quoted(columns.text_others), note)
    if columns.split and columns.split == sample.table.joined:
        yield Origin("split", ", ".join(f"{name} ({split})" for name, split in sample.table.parts))
    elif columns.split:
        values = [value for value, _ in sample.counts(columns.split).most_common(8)]
        yield Origin("split", f"the column {columns.split!r}", note=f"its values are {', '.join(values)}")
    if columns.group:
        n = len(sample.counts(columns.group))
        way = "" if options.group_column else "; --group-column '(none)' if not"
        yield Origin(
            "group", f"the column {columns.group!r}", note=f"rows of each of its {n:,} values stay together{way}"
        )


def _quoted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(repr, names))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
