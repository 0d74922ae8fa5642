"""How a table was read: its first rows, which column is what, and every correction that a person may want."""

from dataclasses import replace
from zlib import crc32

import pandas as pd
import streamlit as st

from tl_core.data.options import ImportOptions
from tl_core.data.sources import TablePreview
from ui.words import findings

DELIMITERS = {",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Bar  |"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
MORE = {
    "group_column": (
        "Belongs together",
        "Rows with the same value here, of one patient or one document for example, stay on one side of the split.",
    ),
    "split_column": ("Split", "A column that says train, validation or test."),
    "subgroup_column": ("Whom or what it is about", "The results are shown for each value of this column as well."),
    "time_column": ("Date", "When each row was made, for a split into earlier and later."),
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
    )


def draw(found: TablePreview, asked: ImportOptions, key: str) -> tuple[ImportOptions, bool]:
    """Draw a preview; return what is chosen, and whether that is enough to import it."""
    turn = f"{key}_{crc32(repr(found.columns).encode()):x}"
    chosen = replace(
        as_read(found), name=asked.name, subgroup_column=asked.subgroup_column, time_column=asked.time_column
    )
    chosen = _columns(found, chosen, key, turn)
    st.dataframe(
        pd.DataFrame(list(found.rows), columns=list(found.columns)), hide_index=True, height=260, key=f"{key}_rows"
    )
    findings(found.findings)
    chosen = _more(found, chosen, turn, key)
    chosen = _reading(found, chosen, key)
    whole = bool(chosen.text_column and chosen.label_column and chosen.text_column != chosen.label_column)
    return chosen, whole


def _columns(found: TablePreview, chosen: ImportOptions, key: str, turn: str) -> ImportOptions:
    with st.grid(2, min_column_width=220, key=f"{key}_columns"):
        text = _column("Texts are in", found, chosen.text_column, f"{turn}_text")
        label = _column("Labels are in", found, chosen.label_column, f"{turn}_label")
    return replace(chosen, text_column=text, label_column=label)


def _column(title: str, table: TablePreview, now: str, key: str) -> str:
    """Ask for a column; none is chosen where none was found."""
    place = table.columns.index(now) if now in table.columns else None
    return st.selectbox(title, table.columns, index=place, placeholder="Choose a column", key=key) or ""


def _more(found: TablePreview, chosen: ImportOptions, turn: str, key: str) -> ImportOptions:
    """Ask for columns that few tables have; unfolded where one of them was found or chosen."""
    used = [name for name in MORE if getattr(chosen, name)]
    with st.expander("More columns", icon=":material/view_column:", expanded=bool(used), key=f"{key}_more"):
        options = ["", *found.columns]
        with st.grid(2, min_column_width=220):
            picked = {
                name: st.selectbox(
                    title, options, index=options.index(getattr(chosen, name)), help=tip, key=f"{turn}_{name}",
                    format_func=lambda each: each or "None",
                )
                for name, (title, tip) in MORE.items()
            }  # fmt: skip
    return replace(
        chosen,
        group_column=picked["group_column"],
        split_column=picked["split_column"],
        subgroup_column=picked["subgroup_column"],
        time_column=picked["time_column"],
    )


def _reading(found: TablePreview, chosen: ImportOptions, key: str) -> ImportOptions:
    """Ask how the file is written; another answer makes other columns, so those are found anew."""
    with st.expander("It is read wrongly", icon=":material/build:", key=f"{key}_reading"):
        with st.grid(2, min_column_width=220):
            delimiter = st.selectbox(
                "Columns are parted by", DELIMITERS, index=list(DELIMITERS).index(found.delimiter),
                format_func=lambda mark: DELIMITERS[mark], key=f"{key}_delimiter",
            )  # fmt: skip
            known = list(dict.fromkeys([found.encoding, *ENCODINGS]))
            encoding = st.selectbox(
                "Letters are written in", known, key=f"{key}_encoding", help="Change it if letters look wrong."
            )
        header = st.toggle("The first row names the columns", value=found.header, key=f"{key}_header")
    if (delimiter, encoding, header) == (found.delimiter, found.encoding, found.header):
        return chosen
    return ImportOptions(chosen.name, delimiter=delimiter, encoding=encoding, header=header)
