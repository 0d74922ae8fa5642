"""Columns of tables: several labels per item, subgroup, time, and columns that leak the label."""

import io
import json
import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tl_core.data.options import ImportOptions
from tl_core.data.sources import import_data, preview_table
from tl_core.data.sources.tables.label_cells import LIST, split_labels
from tl_core.data.sources.tables.timestamps import guess_time_reader, holds_times
from tl_core.errors import DataError

SETS = [("a", "b"), (), ("c",), ("b", "c"), ("a",), ("c", "a", "b"), ("b",), ("a", "b")]


def words(number):
    return f"these are the words of text number {number}"


def codes(preview):
    return [finding.code for finding in preview.findings]


def labels_of(dataset):
    return [tuple(dataset.classes[i] for i in row) for row in dataset.items["labels"]]


def joined(mark):
    return "text\tlabel\n" + "".join(f"{words(i)}\t{mark.join(value)}\n" for i, value in enumerate(SETS))


@pytest.mark.parametrize("mark", ["|", ";", ",", "; "])
def test_several_labels_in_a_cell_are_proposed_and_never_taken_silently(mark, make_table, workspace):
    path = make_table(joined(mark), "x.tsv")
    preview = preview_table(path)
    assert (preview.proposed.separator, preview.separator) == (mark.strip(), "")
    assert "label-lists" in codes(preview)
    assert not import_data(path, workspace).multilabel
    options = ImportOptions(separator=preview.proposed.separator)
    assert preview_table(path, options).separator == mark.strip()
    assert "label-lists" not in codes(preview_table(path, options))
    dataset = import_data(path, workspace, options)
    assert dataset.multilabel
    assert dataset.classes == ("a", "b", "c")
    assert labels_of(dataset) == [tuple(sorted(value)) for value in SETS]
    expected = np.array([[name in value for name in "abc"] for value in SETS], dtype=np.float32)
    assert np.array_equal(dataset.targets, expected)


@pytest.mark.parametrize(
    "values",
    [
        ["New York, NY", "Boston, MA", "Austin, TX", "New York, NY"],
        ["good; really", "bad", "good; really", "bad"],
        ["a|b", "a", "b", "a"],  # one combination alone is as likely a name
        ["yes", "no", "yes", "no"],
    ],
)
def test_one_label_with_a_mark_in_it_is_one_label(values, make_table):
    content = "text\tlabel\n" + "".join(f"{words(i)}\t{value}\n" for i, value in enumerate(values))
    assert preview_table(make_table(content, "x.tsv")).proposed.separator == ""


def as_jsonl():
    rows = [{"text": words(i), "tags": list(value)} for i, value in enumerate(SETS)]
    return "\n".join(map(json.dumps, rows)).encode()


def as_parquet():
    sink = io.BytesIO()
    table = {"text": [words(i) for i in range(len(SETS))], "tags": [list(value) for value in SETS]}
    pq.write_table(pa.table(table), sink)
    return sink.getvalue()


def as_frame():
    rows = pd.DataFrame({"text": [words(i) for i in range(len(SETS))], "tags": [list(value) for value in SETS]})
    return rows.to_csv(index=False).encode()  # lists as Python writes them: ['a', 'b']


@pytest.mark.parametrize(("name", "make"), [("x.jsonl", as_jsonl), ("x.parquet", as_parquet), ("x.csv", as_frame)])
def test_lists_of_labels(name, make, make_table, workspace):
    path = make_table(make(), name)
    preview = preview_table(path)
    assert (preview.label_column, preview.proposed.separator) == ("tags", LIST)
    dataset = import_data(path, workspace, ImportOptions(label_column="tags", separator=LIST))
    assert labels_of(dataset) == [tuple(sorted(value)) for value in SETS]


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [
        (" a ; b;;a ", ";", ("a", "b")),
        ("", "|", ()),
        ("nan", "|", ()),
        ("['x', 'it''s']", LIST, ("x", "its")),
        ('["x", 2]', LIST, ("x", "2")),
        ("x", LIST, ("x",)),
        ("[]", LIST, ()),
        ("[" * 50_000 + "]" * 50_000, LIST, ("[" * 50_000 + "]" * 50_000,)),
    ],
)
def test_labels_of_a_cell(cell, separator, labels):
    assert split_labels(cell, separator) == labels


def one_column_a_label(yes="1", no="0"):
    rows = "".join(
        f"{words(i)}," + ",".join(yes if n in value else no for n in "abc") + "\n" for i, value in enumerate(SETS)
    )
    return "text,a,b,c\n" + rows


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("yes", "")])
def test_one_column_a_label(yes, no, make_table, workspace):
    path = make_table(one_column_a_label(yes, no))
    preview = preview_table(path)
    if no:
        assert (preview.label_columns, preview.one_of) == (("a", "b", "c"), False)
        assert "labels-guessed" in codes(preview)
    options = ImportOptions(label_columns=("a", "b", "c"))
    assert (preview_table(path, options).label_columns, preview_table(path, options).label_column) == (
        ("a", "b", "c"),
        "",
    )
    dataset = import_data(path, workspace, options)
    assert dataset.multilabel
    assert labels_of(dataset) == [value if value != ("c", "a", "b") else ("a", "b", "c") for value in SETS]


def test_a_cell_that_is_neither_0_nor_1_is_skipped_with_a_reason(make_table, workspace):
    path = make_table(one_column_a_label() + "more words here,1,-1,0\n")
    dataset = import_data(path, workspace, ImportOptions(label_columns=("a", "b", "c")))
    assert len(dataset.items) == len(SETS)
    assert [(line.item, line.reason) for line in dataset.receipt.lines] == [
        (f"row {len(SETS) + 2}", "'-1' in the column 'b' is neither 0 nor 1")
    ]


def test_items_without_any_label_are_kept_unless_none_has_one(make_table, workspace):
    path = make_table("text,label\nsome words,\nmore words,\n")
    with pytest.raises(DataError, match=r"No row of data\.csv has a label in the column 'label'"):
        import_data(path, workspace, ImportOptions(label_column="label", separator="|"))


@pytest.mark.parametrize(
    "options",
    [
        ImportOptions(label_columns=("a", "text"), text_column="text"),
        ImportOptions(text_column="a", label_column="a", separator=";"),
    ],
)
def test_text_and_label_are_different_columns(options, make_table, workspace):
    with pytest.raises(DataError, match="cannot be both the text and the label"):
        import_data(make_table(one_column_a_label()), workspace, options)


@pytest.mark.parametrize("field", ["label_columns", "subgroup_column", "time_column", "path_column"])
def test_a_column_that_is_not_there_is_one_sentence(field, make_table, workspace):
    options = ImportOptions(**{field: ("b", "nope") if field == "label_columns" else "nope"})
    with pytest.raises(DataError, match="There is no column named 'nope'"):
        import_data(make_table(one_column_a_label()), workspace, options)


def people():
    rows = [(words(i), "ab"[i % 2], "fm"[i // 2 % 2], f"2024-{1 + i % 12:02d}-01") for i in range(40)]
    return pd.DataFrame(rows, columns=["text", "label", "Sex", "created_at"])


def test_whom_and_when_are_proposed_and_read_where_they_are_named(make_table, workspace):
    frame = people()
    frame.loc[3, ["Sex", "created_at"]] = ["", "last spring"]
    frame.loc[4, "created_at"] = ""
    path = make_table(frame.to_csv(index=False))
    preview = preview_table(path)
    assert (preview.proposed.subgroup_column, preview.proposed.time_column) == ("Sex", "created_at")
    assert (preview.subgroup_column, preview.time_column) == ("", "")
    assert {"subgroup", "time"} <= set(codes(preview))
    plain = import_data(path, workspace)
    assert plain.subgroup_column == ""
    assert set(plain.items["subgroup"]) == {""}
    dataset = import_data(path, workspace, ImportOptions(subgroup_column="Sex", time_column="created_at"))
    assert dataset.subgroup_column == "Sex"
    assert dataset.items["subgroup"].tolist() == frame["Sex"].tolist()
    wanted = [datetime(2024, 1 + i % 12, 1, tzinfo=UTC).timestamp() for i in range(40)]
    wanted[3] = wanted[4] = math.nan
    assert np.array_equal(dataset.items["time"], wanted, equal_nan=True)
    assert [(line.item, line.action, line.reason) for line in dataset.receipt.lines] == [
        ("row 5", "converted", "the time 'last spring' cannot be read, so it is left out")
    ]


MOMENT = datetime(2024, 3, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cells", "moment"),
    [
        (["2024-03-25", "2024-03-25T00:00:00Z", "2024-03-25 02:00+02:00"], MOMENT),
        (["25.03.2024", "01.02.2023"], MOMENT),
        (["25/03/2024", "01/02/2023"], MOMENT),
        (["03/25/2024", "01/02/2023"], MOMENT),
        (["March 25, 2024", "Feb 1, 2023"], MOMENT),
        (["25 Mar 2024 00:00", "Feb 1, 2023"], MOMENT),
        (["20240325", "20230201"], MOMENT),
        ([str(int(MOMENT.timestamp())), "1"], MOMENT),
        ([str(int(MOMENT.timestamp() * 1000)), "1700000000000"], MOMENT),
        (["2024", "1999"], datetime(2024, 1, 1, tzinfo=UTC)),
        (["2024.0", "1999.0", ""], datetime(2024, 1, 1, tzinfo=UTC)),
        (["1066-10-14", "2024-01-01"], datetime(1066, 10, 14, tzinfo=UTC)),
    ],
)
def test_times_as_people_write_them(cells, moment):
    assert guess_time_reader(cells).read(cells)[0] == moment.timestamp()
    assert holds_times(cells)


def test_days_and_months_are_read_in_one_order():
    cells = ["01/02/2023", "25/03/2024"]
    assert guess_time_reader(cells).read(cells)[0] == datetime(2023, 2, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("cells", [["soon", "later"], [], [""], ["9" * 400, "1e400"], ["99999-01-01", "2024-13-45"]])
def test_what_is_no_time_is_nan(cells):
    assert np.isnan(guess_time_reader(cells).read(cells)).all()
    assert not holds_times(cells)


def test_a_column_that_leaks_the_label_is_reported(make_table, workspace):
    rows = "".join(f"{words(i)},{'ab'[i % 2]},{'xy'[i % 2]},{i % 5},{i}\n" for i in range(60))
    path = make_table("text,label,grade,noise,id\n" + rows)
    finding = next(f for f in preview_table(path).findings if f.code == "leaking-column")
    assert finding.items == ("grade",)
    assert "'grade' by itself determines the label of 100% of the rows" in finding.message
    assert codes(preview_table(path)).count("leaking-column") == 1
    dataset = import_data(path, workspace)
    assert [line.item for line in dataset.receipt.lines] == ["column 'grade'"]
    taken = ImportOptions(subgroup_column="grade")
    assert "leaking-column" not in codes(preview_table(path, taken))


def test_columns_that_only_follow_the_commonest_label_tell_nothing(make_table):
    rows = "".join(f"{words(i)},{'b' if i == 7 else 'a'},{i % 3}\n" for i in range(60))
    assert "leaking-column" not in codes(preview_table(make_table("text,label,noise\n" + rows)))
