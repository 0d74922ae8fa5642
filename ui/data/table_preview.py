"""The preview of a table: its first rows, the role of each column, and every setting of how it is read."""

from dataclasses import replace
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources import TablePreview
from tl_core.data.sources.tables.label_cells import split_labels
from ui.words import escape, shorten, show_findings

SEEN = 8
"""Labels that are listed."""
DELIMITERS = {",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Vertical bar  |"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
SEPARATORS = {
    "": "One label per cell",
    ",": "Comma: red, round",
    ";": "Semicolon: red; round",
    "|": "Vertical bar: red | round",
    "[]": 'Lists: ["red", "round"]',
}
MORE = {
    "group_column": (
        "Group",
        "Rows with the same value here, such as the same patient or document, stay in the same part of the split.",
    ),
    "split_column": ("Split", "A column with the values train, validation and test."),
    "subgroup_column": (
        "Compare results by",
        "Results are also shown for each value of this column, such as each region.",
    ),
    "time_column": ("Date", "The date of each row. With it, the latest rows can be the test items."),
}


ITEMS = {"both": "A picture and a text", "picture": "A picture", "text": "A text"}
"""What a row of a table is, where the table names pictures."""


def as_read(preview: TablePreview) -> ImportOptions:
    """Return the options under which the preview was read."""
    return ImportOptions(
        text_column=preview.text_column,
        label_column=preview.label_column,
        delimiter=preview.delimiter,
        encoding=preview.encoding,
        header=preview.header,
        group_column=preview.group_column,
        split_column=preview.split_column,
        separator=preview.separator,
        label_columns=preview.label_columns,
        one_of=preview.one_of,
        path_column=preview.path_column,
        subgroup_column=preview.subgroup_column,
        time_column=preview.time_column,
        sheet=preview.sheet,
    )


def draw(preview: TablePreview, options: ImportOptions, key: str) -> tuple[ImportOptions, bool]:
    """Draw a preview; return the chosen options, and whether they are complete enough for the import."""
    version = f"{key}_{crc32(repr((preview.columns, as_read(preview))).encode()):x}"
    chosen = replace(as_read(preview), name=options.name)
    if options.path_column == NONE:
        chosen = replace(chosen, path_column=NONE)
    item, before = _item(preview, chosen, version)
    if item != before and (before, item) != ("picture", "both"):  # of texts beside pictures, a person names the column
        return _with_item(chosen, item), False
    chosen = _columns(preview, chosen, item, f"{key}_columns", version)
    rows = pd.DataFrame(list(preview.rows), columns=list(preview.columns))
    st.dataframe(rows, hide_index=True, height=260, column_order=_chosen_first(preview, chosen), key=f"{key}_rows")
    if seen := labels_seen(preview, chosen.label_column, chosen.separator):
        st.caption(f"Labels in these rows: {escape(seen)}")
    show_findings(preview.findings)
    accepted = _proposals(preview.proposed, chosen, key)
    if accepted != chosen:
        return accepted, False
    chosen = _more(preview, chosen, version, key)
    chosen = chosen if preview.declared else _reading(preview, chosen, key)
    labels = chosen.label_columns or (chosen.label_column,)
    columns = [chosen.path_column] * (item != "text") + [chosen.text_column] * (item != "picture")
    return chosen, all(columns) and all(labels) and len({*columns, *labels}) == len([*columns, *labels])


def labels_seen(preview: TablePreview, column: str, separator: str = "") -> str:
    """Return some labels of the first rows, so that a wrong column is noticed at once.

    With a `separator`, each label of a cell is listed by itself.
    """
    if column not in preview.columns:
        return ""
    index = preview.columns.index(column)
    cells = [row[index] for row in preview.rows if row[index]]
    labels = [label for cell in cells for label in split_labels(cell, separator)] if separator else cells
    seen = list(dict.fromkeys(labels))
    return ", ".join(shorten(label, 40) for label in seen[:SEEN]) + (", …" if len(seen) > SEEN else "")


def _chosen_first(preview: TablePreview, chosen: ImportOptions) -> list[str]:
    """Return all columns, the chosen ones first, so that a narrow page shows them."""
    wanted = (chosen.path_column, chosen.text_column, *(chosen.label_columns or (chosen.label_column,)))
    return list(dict.fromkeys([*(name for name in wanted if name in preview.columns), *preview.columns]))


def _item(preview: TablePreview, chosen: ImportOptions, version: str) -> tuple[str, str]:
    """Ask what a row is, where the table names pictures; return the answer, a key of ITEMS, and what it is now."""
    now = "both" if preview.path_column and preview.text_column else "picture" if preview.path_column else "text"
    if preview.declared or not chosen.path_column:
        return now, now
    item = st.segmented_control(
        "Each item is", list(ITEMS), default=now, format_func=lambda name: ITEMS[name], key=f"{version}_item",
        required=True,
    )  # fmt: skip
    return item, now


def _with_item(chosen: ImportOptions, item: str) -> ImportOptions:
    """Return the options under which a row is read as `item`; its columns are detected again."""
    columns = {"both": ("", ""), "picture": ("", NONE), "text": (NONE, "")}[item]
    return replace(chosen, path_column=columns[0], text_column=columns[1])


def _columns(preview: TablePreview, chosen: ImportOptions, item: str, key: str, version: str) -> ImportOptions:
    """Ask for the columns of the items and the column of the labels."""
    with st.grid(2, min_column_width=220, key=key):
        if item != "text":
            path = _column(
                "Pictures are in" if preview.declared else "File names are in",
                preview,
                chosen.path_column,
                f"{version}_path",
            )
            chosen = replace(chosen, path_column=path)
        if item == "both" or (item == "text" and chosen.text_column != NONE):
            text = _column("Texts are in", preview, chosen.text_column, f"{version}_text")
            chosen = replace(chosen, text_column=text)
        if chosen.label_columns:
            label_columns = st.multiselect(
                "Labels, one column each", preview.columns, chosen.label_columns, key=f"{version}_labels"
            )
            return replace(
                chosen, label_columns=tuple(label_columns), label_column="",
                one_of=preview.one_of and tuple(label_columns) == preview.label_columns,
            )  # fmt: skip
        return replace(chosen, label_column=_column("Labels are in", preview, chosen.label_column, f"{version}_label"))


def _column(title: str, table: TablePreview, current: str, key: str) -> str:
    """Ask for a column; nothing is chosen at first if `current` is no column."""
    index = table.columns.index(current) if current in table.columns else None
    return st.selectbox(title, table.columns, index=index, placeholder="Choose a column", key=key) or ""


def _proposals(proposed: ImportOptions, chosen: ImportOptions, key: str) -> ImportOptions:
    """Offer what else the table seems to hold, one button each."""
    offers = {
        "separator": "Yes, a cell holds several labels",
        "label_columns": "Yes, each of these columns is a label",
        "subgroup_column": f"Yes, compare results by “{proposed.subgroup_column}”",
        "time_column": f"Yes, “{proposed.time_column}” is the date",
    }
    open_ones = [name for name in offers if getattr(proposed, name) and not getattr(chosen, name)]
    if not open_ones:
        return chosen
    with st.container(horizontal=True, key=f"{key}_offers"):
        for name in open_ones:
            if st.button(offers[name], icon=":material/check:", key=f"{key}_offer_{name}"):
                chosen = replace(chosen, **{name: getattr(proposed, name)})
                if name == "label_columns":
                    chosen = replace(chosen, label_column="", separator="")
    return chosen


def _more(preview: TablePreview, chosen: ImportOptions, version: str, key: str) -> ImportOptions:
    """Ask for columns that few tables have; unfolded if one of them was detected or chosen."""
    used = any(getattr(chosen, name) for name in (*MORE, "separator"))  # also if one was switched off
    with st.expander("More columns", icon=":material/view_column:", expanded=used, key=f"{key}_more"):
        with st.grid(2, min_column_width=220):
            asked = [name for name in MORE if name != "split_column" or not preview.declared]
            picked: dict[str, Any] = {name: _other(preview, name, getattr(chosen, name), version) for name in asked}
            separator = chosen.separator
            if not chosen.label_columns:
                marks = dict.fromkeys([*SEPARATORS, chosen.separator])
                separator = st.selectbox(
                    "Several labels in a cell are separated by", list(marks), index=list(marks).index(chosen.separator),
                    format_func=lambda mark: SEPARATORS.get(mark, mark), key=f"{version}_separator",
                )  # fmt: skip
        if chosen.label_columns and st.button("One column of labels instead", key=f"{key}_single"):
            chosen = replace(chosen, label_columns=(), one_of=False)
    return replace(chosen, separator=separator, **picked)


def _other(preview: TablePreview, name: str, current: str, version: str) -> str:
    title, tip = MORE[name]
    # an empty option would make the import detect such a column again
    none = NONE if current and name in ("group_column", "split_column") else ""
    options = [none, *preview.columns]
    index = options.index(current if current in preview.columns else none)
    return st.selectbox(
        title, options, index=index, help=tip, key=f"{version}_{name}",
        format_func=lambda column: "None" if column in ("", NONE) else column,
    )  # fmt: skip


def _reading(preview: TablePreview, chosen: ImportOptions, key: str) -> ImportOptions:
    """Ask for the format of the file. Another format gives other columns, so these are then detected again."""
    several = len(preview.sheets) > 1
    with st.expander("The table is read wrongly", icon=":material/build:", key=f"{key}_reading", expanded=several):
        delimiter, encoding, sheet = preview.delimiter, preview.encoding, preview.sheet
        with st.grid(2, min_column_width=220):
            if several:
                sheet = st.selectbox("Sheet", preview.sheets, index=preview.sheets.index(sheet), key=f"{key}_sheet")
            if delimiter:
                marks = list(dict.fromkeys([*DELIMITERS, delimiter]))
                delimiter = st.selectbox(
                    "Columns are separated by", marks, index=marks.index(delimiter),
                    format_func=lambda mark: DELIMITERS.get(mark, mark), key=f"{key}_delimiter",
                )  # fmt: skip
            if encoding:
                encodings = list(dict.fromkeys([encoding, *ENCODINGS]))
                encoding = st.selectbox(
                    "Character encoding", encodings, key=f"{key}_encoding", help="Change it if letters look wrong."
                )
        header = st.toggle("The first row names the columns", value=preview.header, key=f"{key}_header")
    if (delimiter, encoding, sheet, header) == (preview.delimiter, preview.encoding, preview.sheet, preview.header):
        return chosen
    return ImportOptions(chosen.name, delimiter=delimiter, encoding=encoding, header=header, sheet=sheet)
