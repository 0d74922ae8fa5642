"""How a table was read: its first rows, which column is what, and every correction that a person may want."""

from dataclasses import replace
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources import TablePreview
from tl_core.data.sources.tables.label_reader import split_labels
from ui.words import findings, shorten, tell

SEEN = 8
DELIMITERS = {",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Bar  |"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
SEPARATORS = {
    "": "Nothing: one label",
    ",": "Comma: red, round",
    ";": "Semicolon: red; round",
    "|": "Bar: red | round",
    "[]": 'Lists: ["red", "round"]',
}
MORE = {
    "group_column": (
        "Belongs together",
        "Rows with the same value here, of one patient or one document for example, stay on one side of the split.",
    ),
    "split_column": ("Split", "A column that says train, validation or test."),
    "subgroup_column": (
        "Compare results by",
        "The results are shown for each value of this column as well: each region, say.",
    ),
    "time_column": ("Date", "When each row was made, for a test on the latest ones."),
}


def as_read(found: TablePreview) -> ImportOptions:
    """Return the options that say what the preview shows."""
    return ImportOptions(
        text_column=found.text_column,
        label_column=found.label_column,
        delimiter=found.delimiter,
        encoding=found.encoding,
        header=found.header,
        group_column=found.group_column,
        split_column=found.split_column,
        separator=found.separator,
        label_columns=found.label_columns,
        path_column=found.path_column,
        subgroup_column=found.subgroup_column,
        time_column=found.time_column,
        sheet=found.sheet,
    )


def draw(found: TablePreview, asked: ImportOptions, key: str) -> tuple[ImportOptions, bool]:
    """Draw a preview; return what is chosen, and whether that is enough to import it."""
    turn = f"{key}_{crc32(repr((found.columns, as_read(found))).encode()):x}"
    chosen = replace(as_read(found), name=asked.name)
    chosen = _columns(found, chosen, f"{key}_columns", turn)
    rows = pd.DataFrame(list(found.rows), columns=list(found.columns))
    st.dataframe(rows, hide_index=True, height=260, column_order=_first(found, chosen), key=f"{key}_rows")
    if told := labels_seen(found, chosen.label_column, chosen.separator):
        st.caption(f"Labels in these rows: {tell(told)}")
    findings(found.findings)
    offered = _proposals(found.proposed, chosen, key)
    if offered != chosen:
        return offered, False
    chosen = _more(found, chosen, turn, key)
    chosen = chosen if found.declared else _reading(found, chosen, key)
    item, labels = chosen.path_column or chosen.text_column, chosen.label_columns or (chosen.label_column,)
    return chosen, bool(item) and all(labels) and item not in labels


def labels_seen(found: TablePreview, column: str, separator: str = "") -> str:
    """Return the labels of the first rows, the first few of them, so that a wrong column is seen at once.

    Where `separator` parts several labels of a cell, each of them counts for itself.
    """
    if column not in found.columns:
        return ""
    place = found.columns.index(column)
    cells = [row[place] for row in found.rows if row[place]]
    labels = [label for cell in cells for label in split_labels(cell, separator)] if separator else cells
    seen = list(dict.fromkeys(labels))
    return ", ".join(shorten(each, 40) for each in seen[:SEEN]) + (", …" if len(seen) > SEEN else "")


def _first(found: TablePreview, chosen: ImportOptions) -> list[str]:
    """Return the columns with the chosen ones first, so that a narrow page shows them."""
    wanted = (chosen.path_column or chosen.text_column, *(chosen.label_columns or (chosen.label_column,)))
    return list(dict.fromkeys([*filter(None, wanted), *found.columns]))


def _columns(found: TablePreview, chosen: ImportOptions, key: str, turn: str) -> ImportOptions:
    """Ask for the column of the items and for that of the labels."""
    with st.grid(2, min_column_width=220, key=key):
        if chosen.path_column:
            path = _column(
                "Pictures are in" if found.declared else "Pictures are named in",
                found,
                chosen.path_column,
                f"{turn}_path",
            )
            chosen = replace(chosen, path_column=path)
        else:
            text = _column("Texts are in", found, chosen.text_column, f"{turn}_text")
            chosen = replace(chosen, text_column=text)
        if chosen.label_columns:
            several = st.multiselect(
                "Labels, one column each", found.columns, chosen.label_columns, key=f"{turn}_labels"
            )
            return replace(chosen, label_columns=tuple(several), label_column="")
        return replace(chosen, label_column=_column("Labels are in", found, chosen.label_column, f"{turn}_label"))


def _column(title: str, table: TablePreview, now: str, key: str) -> str:
    """Ask for a column; none is chosen where none was found."""
    place = table.columns.index(now) if now in table.columns else None
    return st.selectbox(title, table.columns, index=place, placeholder="Choose a column", key=key) or ""


def _proposals(proposed: ImportOptions, chosen: ImportOptions, key: str) -> ImportOptions:
    """Offer what the table seems to hold beside text and label, a button each."""
    offers = {
        "separator": "Yes, several labels in a cell",
        "label_columns": "Yes, each of these columns is a label",
        "subgroup_column": f"Yes, show results for each “{proposed.subgroup_column}”",
        "time_column": f"Yes, “{proposed.time_column}” says when",
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


def _more(found: TablePreview, chosen: ImportOptions, turn: str, key: str) -> ImportOptions:
    """Ask for columns that few tables have; unfolded where one of them was found or chosen."""
    used = any(getattr(chosen, name) for name in (*MORE, "separator"))  # also where one is switched off
    with st.expander("More columns", icon=":material/view_column:", expanded=used, key=f"{key}_more"):
        with st.grid(2, min_column_width=220):
            asked = [name for name in MORE if name != "split_column" or not found.declared]
            picked: dict[str, Any] = {name: _other(found, name, getattr(chosen, name), turn) for name in asked}
            separator = chosen.separator
            if not chosen.label_columns:
                marks = dict.fromkeys([*SEPARATORS, chosen.separator])
                separator = st.selectbox(
                    "Several labels in a cell are parted by", list(marks), index=list(marks).index(chosen.separator),
                    format_func=lambda mark: SEPARATORS.get(mark, mark), key=f"{turn}_separator",
                )  # fmt: skip
        if chosen.label_columns and st.button("One column of labels instead", key=f"{key}_single"):
            chosen = replace(chosen, label_columns=())
    return replace(chosen, separator=separator, **picked)


def _other(found: TablePreview, name: str, now: str, turn: str) -> str:
    title, tip = MORE[name]
    # an empty answer would find such a column again
    none = NONE if now and name in ("group_column", "split_column") else ""
    options = [none, *found.columns]
    place = options.index(now if now in found.columns else none)
    return st.selectbox(
        title, options, index=place, help=tip, key=f"{turn}_{name}",
        format_func=lambda each: "None" if each in ("", NONE) else each,
    )  # fmt: skip


def _reading(found: TablePreview, chosen: ImportOptions, key: str) -> ImportOptions:
    """Ask how the file is written; another answer makes other columns, so those are found anew."""
    several = len(found.sheets) > 1
    with st.expander("It is read wrongly", icon=":material/build:", key=f"{key}_reading", expanded=several):
        delimiter, encoding, sheet = found.delimiter, found.encoding, found.sheet
        with st.grid(2, min_column_width=220):
            if several:
                sheet = st.selectbox("Sheet", found.sheets, index=found.sheets.index(sheet), key=f"{key}_sheet")
            if delimiter:
                marks = list(dict.fromkeys([*DELIMITERS, delimiter]))
                delimiter = st.selectbox(
                    "Columns are parted by", marks, index=marks.index(delimiter),
                    format_func=lambda mark: DELIMITERS.get(mark, mark), key=f"{key}_delimiter",
                )  # fmt: skip
            if encoding:
                known = list(dict.fromkeys([encoding, *ENCODINGS]))
                encoding = st.selectbox(
                    "Letters are written in", known, key=f"{key}_encoding", help="Change it if letters look wrong."
                )
        header = st.toggle("The first row names the columns", value=found.header, key=f"{key}_header")
    if (delimiter, encoding, sheet, header) == (found.delimiter, found.encoding, found.sheet, found.header):
        return chosen
    return ImportOptions(chosen.name, delimiter=delimiter, encoding=encoding, header=header, sheet=sheet)
