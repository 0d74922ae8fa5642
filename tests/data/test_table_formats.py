"""One table in every format comes back as the same items."""

import datetime
import gzip
import io
import json
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.files import picture
from tl_core.data.options import NONE, ImportOptions
from tl_core.data.prediction_items import read_prediction_items
from tl_core.data.sources import import_data, preview_table
from tl_core.data.unlabelled import import_unlabelled
from tl_core.errors import DataError
from tl_core.workspace import Limits, Workspace

NAMES = ("text", "label", "split", "group")
ROWS = [
    ("I loved every minute, of it", "good", "train", "a"),
    ("Never again:\na waste of “time”", "bad", "train", "b"),
    ("What a fine; evening | indeed", "good", "test", "c"),
    ("A second 'dull' one\twith a tab", "bad", "dev", "c"),
]


def as_csv(rows, names=NAMES):
    return pd.DataFrame(rows, columns=list(names)).to_csv(index=False).encode()


def as_tsv(rows, names=NAMES):
    return pd.DataFrame(rows, columns=list(names)).to_csv(index=False, sep="\t").encode()


def as_jsonl(rows, names=NAMES):
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()


def as_json(rows, names=NAMES):
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, ensure_ascii=False).encode()


def as_parquet(rows, names=NAMES):
    sink = io.BytesIO()
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    pq.write_table(pa.table(columns), sink, row_group_size=3)
    return sink.getvalue()


def as_xlsx(rows, names=NAMES, sheets=("Sheet",)):
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for title in sheets[1:]:
        book.create_sheet(title)
    for row in [names, *rows]:
        book[sheets[-1]].append(list(row))
    for cell in (cell for row in book[sheets[-1]].iter_rows() for cell in row if cell.data_type == "f"):
        cell.data_type = "s"  # a text that begins with "=" is a text here, and no formula
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


WRITERS = {
    "x.csv": as_csv,
    "x.tsv": as_tsv,
    "x.jsonl": as_jsonl,
    "x.ndjson": as_jsonl,
    "x.json": as_json,
    "x.parquet": as_parquet,
    "x.xlsx": as_xlsx,
    "x.csv.gz": lambda *a: gzip.compress(as_csv(*a)),
    "x.jsonl.gz": lambda *a: gzip.compress(as_jsonl(*a)),
}
every_format = pytest.mark.parametrize("name", list(WRITERS))


def items_of(dataset):
    labels = [dataset.classes[i] for i in dataset.items["label"]]
    return list(zip(dataset.items["text"], labels, dataset.items["given"], dataset.items["group"], strict=True))


def reasons(dataset):
    return {line.item: line.reason for line in dataset.receipt.lines}


@every_format
@pytest.mark.parametrize("within", [False, True])
def test_a_table_of_any_format_is_the_same_items(name, within, make_table, make_zip, workspace):
    data = WRITERS[name](ROWS)
    path = make_zip({f"data/{name}": data, "data/README.md": "hello"}) if within else make_table(data, name)
    dataset = import_data(path, workspace)
    given_splits = [(text, label, {"dev": "validation"}.get(split, split), group) for text, label, split, group in ROWS]
    assert items_of(dataset) == given_splits
    table = preview_table(path)
    assert table.columns == NAMES
    assert (table.text_column, table.label_column, table.split_column, table.group_column) == NAMES
    assert (table.n_rows, table.rows[3][0]) == (4, ROWS[3][0])
    assert bool(table.delimiter) == (".csv" in name or ".tsv" in name)
    assert table.sheet == ("Sheet" if "xlsx" in name else "")
    assert read_prediction_items(path, "text", workspace).texts == tuple(row[0] for row in ROWS)
    assert import_unlabelled(path, "text", workspace).items["text"].tolist() == [row[0] for row in ROWS]


text_cells = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(text_cells, st.sampled_from(["a", "b c", "ü", "7"])), min_size=1, max_size=12),
    st.sampled_from(list(WRITERS)),
)
def test_whatever_is_written_comes_back(tmp_path, cells, name):
    rows = [(text, label, "train", "g") for text, label in cells]
    path = tmp_path / name
    path.write_bytes(WRITERS[name](rows))
    wanted = [(text.strip(), label, "train", "g") for text, label, *_ in rows if text.strip()]
    options = ImportOptions(text_column="text", label_column="label", header=True if ".csv" in name else None)
    workspace = Workspace(tmp_path / "w")
    if not wanted:
        with pytest.raises(DataError, match="can be read"):
            import_data(str(path), workspace, options)
        return
    assert items_of(import_data(str(path), workspace, options)) == wanted


def test_a_broken_line_costs_that_line(make_table, workspace):
    lines = as_jsonl(ROWS).decode().splitlines()
    content = "\n".join([lines[0], "{not json", lines[1], "", "[1, 2]", "7", lines[2], '{"text": "no label"}'])
    dataset = import_data(make_table(content, "x.jsonl"), workspace)
    assert [text for text, *_ in items_of(dataset)] == [ROWS[0][0], ROWS[1][0], ROWS[2][0]]
    skipped = reasons(dataset)
    assert set(skipped) == {"row 2", "row 5", "row 6", "row 8"}
    assert "it is not JSON" in skipped["row 2"]
    assert "not an object" in skipped["row 5"]
    table = preview_table(make_table(content, "x.jsonl"))
    assert next(f for f in table.findings if f.code == "broken-rows").items == ("row 2", "row 5", "row 6")


def test_names_that_only_some_objects_have(make_table):
    content = '{"label": "a", "text": "some words"}\n{"text": "more words", "label": "b", "extra": [1, {"x": null}]}\n'
    table = preview_table(make_table(content, "x.jsonl"))
    assert table.columns == ("label", "text", "extra")
    assert table.rows == (("a", "some words", ""), ("b", "more words", '[1, {"x": null}]'))


def test_half_characters_and_huge_numbers_are_no_crash(make_table, workspace):
    content = (
        '{"text": "half \\ud83d here", "label": "a"}\n{"text": "fine words", "label": "b", "n": ' + "9" * 5000 + "}\n"
    )
    content += '{"text": "deep", "label": "b", "n": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    dataset = import_data(make_table(content, "x.jsonl"), workspace)
    assert [text for text, *_ in items_of(dataset)] == ["half ? here"]
    assert set(reasons(dataset)) == {"row 2", "row 3"}


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("x.json", b'{"data": ["words", "a"]}', "No column of this table"),
        ("x.json", b'{\n "a": 1,\n "b": 2\n}', "holds no list of objects"),
        ("x.json", b'[{"text": "some words", "label": "a"}, {"text": "mo', "damaged after its first 1 objects"),
        ("x.json", b"[]", "holds no list of objects"),
        ("x.jsonl", b"", "x.jsonl is empty"),
        ("x.jsonl", b"text,label\nwords,a\n", "holds no list of objects"),
        ("x.jsonl", bytes(range(256)) * 20, "cannot be read as JSON: it is not text"),
        ("x.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "damaged, or protected"),
        ("x.parquet", b"hello", "damaged, or protected"),
        ("x.parquet", as_parquet(ROWS)[:-200], "damaged, or protected"),
        ("x.parquet", as_parquet([]), "x.parquet is empty"),
        ("x.xlsx", b"PK\x03\x04" + b"x" * 100, "as a spreadsheet: it is damaged"),
        ("x.xlsx", as_xlsx(ROWS)[:-500], "as a spreadsheet: it is damaged"),
        ("x.xlsx", as_xlsx([], []), "x.xlsx is empty"),
        ("x.xlsx", as_xlsx([]), "a header and no rows"),
        ("x.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "spreadsheet in the old XLS format"),
        (
            "x.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600 + "EncryptedPackage".encode("utf-16-le"),
            "protected by a password",
        ),
        ("x.csv.gz", gzip.compress(as_csv(ROWS))[:-12], "x.csv.gz is damaged"),
        ("x.csv.gz", b"hello", "x.csv.gz is damaged"),
        ("x.parquet.gz", gzip.compress(as_parquet(ROWS)), "compressed twice"),
    ],
)
def test_what_is_damaged_or_locked_is_one_sentence(name, data, match, make_table, workspace):
    for call in (lambda path: import_data(path, workspace), preview_table):
        path = make_table(data, name)
        if call is preview_table and "No column" in match:
            continue
        with pytest.raises(DataError, match=match):
            call(path)


def test_a_format_is_known_by_its_first_bytes(make_table, workspace):
    for data in (as_xlsx(ROWS), as_parquet(ROWS), gzip.compress(as_csv(ROWS))):
        assert len(import_data(make_table(data, "x.csv"), workspace).items) == 4


def test_the_first_sheet_that_is_not_empty_or_the_one_that_is_named(make_table, workspace):
    path = make_table(as_xlsx(ROWS, sheets=("Notes", "Data")), "x.xlsx")
    table = preview_table(path)
    assert (table.sheet, table.sheets) == ("Data", ("Notes", "Data"))
    assert len(import_data(path, workspace, ImportOptions(sheet="Data")).items) == 4
    with pytest.raises(DataError, match=r"x\.xlsx is empty|no row"):
        import_data(path, workspace, ImportOptions(sheet="Notes"))
    with pytest.raises(DataError, match=r"There is no sheet named 'Other'\. There are: Notes, Data"):
        preview_table(path, ImportOptions(sheet="Other"))


def test_a_sheet_of_notes_before_the_table_is_passed_over(make_table):
    book = openpyxl.Workbook()
    book.active.title = "Read me"
    for line in (["About these letters"], ["Made in spring"], ["Ask", "Ann"], []):
        book.active.append(line)
    letters = book.create_sheet("Letters")
    for row in (("text", "label"), *((f"letter number {i}", "ab"[i % 2]) for i in range(9))):
        letters.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    table = preview_table(make_table(buffer.getvalue(), "x.xlsx"))
    assert (table.sheet, table.text_column, table.label_column) == ("Letters", "text", "label")


def test_cells_of_a_sheet_that_are_no_texts(make_table, workspace):
    rows = [("some words here", 1.0, datetime.date(2024, 5, 1), None), ("more words", 2, True, 0.25)]
    dataset = import_data(make_table(as_xlsx(rows), "x.xlsx"), workspace, ImportOptions(label_column="label"))
    assert dataset.classes == ("1", "2")
    assert preview_table(make_table(as_xlsx(rows), "x.xlsx")).rows == (
        ("some words here", "1", "2024-05-01", ""),
        ("more words", "2", "true", "0.25"),
    )


def test_a_sheet_that_claims_to_be_endless(make_table, workspace):
    data = as_xlsx(ROWS)
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = content.replace(b'ref="A1:D5"', b'ref="A1:XFD1048576"')
                content = content.replace(b'<row r="5"', b'<row r="1999999999"').replace(b'r="A5"', b'r="A1999999999"')
            new.writestr(name, content)
    dataset = import_data(make_table(sink.getvalue(), "x.xlsx"), workspace)
    assert len(dataset.items) == 3


def test_a_sheet_that_unpacks_to_much_is_refused(make_table, workspace):
    sink = io.BytesIO(as_xlsx(ROWS))
    with zipfile.ZipFile(sink, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/big", b"\0" * 64 * 2**20)
    with pytest.raises(DataError, match="more than is read from a spreadsheet"):
        import_data(make_table(sink.getvalue(), "x.xlsx"), workspace)


def test_a_gzip_that_unpacks_to_much_is_refused(make_table, tmp_path):
    path = make_table(gzip.compress(b"text,label\n" + b"some words,a\n" * 2_700_000), "x.csv.gz")
    with pytest.raises(DataError, match="200 times its size"):
        import_data(path, Workspace(tmp_path / "w"))
    with pytest.raises(DataError, match=r"more than 0\.0 GB"):
        import_data(path, Workspace(tmp_path / "w", Limits(unpacked=1000)))


def test_nested_parquet_is_text_that_says_what_it_was(make_table, workspace):
    table = pa.table(
        {
            "text": ["some words here", "more words here", "last words here"],
            "label": pa.array(["a", "b", "a"]).dictionary_encode(),
            "inner": [{"x": [1, 2], "y": None}, None, {"x": [], "y": b"\xff"}],
            "raw": pa.array([b"abc", None, b"\xff\xfe"]),
            "when": pa.array([datetime.datetime(2020, 1, 2), None, datetime.datetime(2020, 1, 2, 3, 4)]),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    path = make_table(sink.getvalue(), "x.parquet")
    assert len(import_data(path, workspace).items) == 3
    rows = preview_table(path).rows
    assert rows[0][1:] == ("a", '{"x": [1, 2], "y": null}', "abc", "2020-01-02")
    assert rows[1][2:] == ("", "", "")
    assert rows[2][4] == "2020-01-02 03:04:00"


def test_class_names_beside_numbers(make_table, workspace):
    info = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": ["some words", "more words"], "label": [1, 0]})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), sink)
    assert import_data(make_table(sink.getvalue(), "x.parquet"), workspace).classes == ("neg", "pos")


def test_a_table_beside_others_of_another_kind(make_zip, workspace):
    path = make_zip({"a.csv": as_csv(ROWS), "info.json": b'{"made": "today"}', "b.xlsx": as_xlsx(ROWS)})
    assert len(import_data(path, workspace).items) == 4
    with pytest.raises(DataError, match=r"There are 2 tables in data.zip \(a.jsonl, b.jsonl\)"):
        import_data(make_zip({"a.jsonl": as_jsonl(ROWS), "b.jsonl": as_jsonl(ROWS)}), workspace)


def wrapped(rows: list[dict], indent: int | None, name: str, before: dict) -> bytes:
    return json.dumps({**before, name: rows, "count": len(rows), "more": [{"x": 1}]}, indent=indent).encode()


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("data", {}),
        ("rows", {"version": "1.0", 'a "b"': [1, {"data": 2}], "info": {"data": [{"text": "no"}]}}),
        ("data", {"classes": [{"id": 0}, {"id": 1}]}),
        ("items", {"data": []}),
        ("items", {"data": {"made": "today"}}),
    ],
)
@pytest.mark.parametrize("n", [6, 9000])
def test_a_list_of_objects_under_a_name_is_read(indent, name, before, n, make_table, workspace):
    rows = [{"text": f"words and words {i}", "label": "ab"[i % 2], "tags": [{"k": i}]} for i in range(n)]
    path = make_table(wrapped(rows, indent, name, before), "x.json")
    preview = preview_table(path)
    assert preview.columns == ("text", "label", "tags")
    items = import_data(path, workspace).items
    assert items["text"].tolist() == [row["text"] for row in rows]


@pytest.mark.parametrize("kind", ["x.json", "x.jsonl"])
def test_lines_with_lists_of_objects_inside_stay_lines(kind, make_table, workspace):
    lines = [{"data": [{"k": i}], "text": f"words and words {i}", "label": "ab"[i % 2]} for i in range(4)]
    path = make_table("\n".join(map(json.dumps, lines)) + "\n", kind)
    assert preview_table(path).columns == ("data", "text", "label")
    assert len(import_data(path, workspace).items) == 4


PARTS = {
    "train": "text,label\n" + "".join(f"a fine day number {i},good\na bad day number {i},bad\n" for i in range(12)),
    "test": "label,text\ngood,a new and fine day\nbad,a new and bad day\n,nothing\n",
    "dev": "text,label\none more fine day,good\none more bad day,bad\n",
}


@pytest.mark.parametrize(
    "names",
    [
        {"train": "data/train.csv", "test": "data/test.csv", "dev": "data/dev.csv"},
        {"train": "reviews_train.csv", "test": "reviews_test.csv", "dev": "reviews_valid.csv"},
        {"train": "Train-0-of-1.csv", "test": "test-0-of-1.csv", "dev": "validation-0-of-1.csv"},
    ],
)
def test_a_table_for_each_split_is_read_as_one(names, make_zip, workspace):
    path = make_zip({names[part]: text.encode() for part, text in PARTS.items()} | {"readme.md": b"# About"})
    dataset = import_data(path, workspace)
    assert dict(zip(*np.unique(dataset.splits, return_counts=True), strict=True)) == {
        "train": 24,
        "validation": 2,
        "test": 2,
    }
    rows = dataset.items.set_index("id")
    assert rows.loc[f"row 2 of {names['test']}", ["text", "given"]].tolist() == ["a new and fine day", "test"]
    skipped = {(line.item, line.reason) for line in dataset.receipt.lines}
    train, test, dev = (names[part] for part in ("train", "test", "dev"))
    assert (test, f"read as one table with {train} and {dev}; its rows are the test items") in skipped
    assert dataset.receipt.converted == 0, "a file is read, and no item changed"
    assert any(item == f"row 4 of {test}" and "label" in why for item, why in skipped)
    preview = preview_table(path)
    assert preview.split_column == "split"
    assert {row[2] for row in preview.rows} == {"train", "validation", "test"}
    joined = next(finding for finding in preview.findings if finding.code == "joined")
    assert f"{test} (test)" in joined.message


def test_tables_for_splits_with_a_split_column_of_their_own(make_zip, workspace):
    """A split column of the tables takes precedence; without one, the file names give the split."""
    for values, n_train, from_file_names in ((("train", "val"), 12, False), (("fold 1", "fold 2"), 24, True)):
        head, *rows = PARTS["train"].splitlines()
        train = [f"{head},split", *(f"{row},{values[i % 2]}" for i, row in enumerate(rows))]
        test = ["text,label,split", *(f"a new {word} day,{word},{values[0]}" for word in ("good", "bad"))]
        if not from_file_names:
            test = [row.replace(",train", ",test") for row in test]
        path = make_zip({"train.csv": "\n".join(train).encode(), "test.csv": "\n".join(test).encode()})
        dataset = import_data(path, workspace)
        given_splits = dataset.items["given"].value_counts()
        assert (given_splits["train"], given_splits["test"]) == (n_train, 2)
        reasons = [line.reason for line in dataset.receipt.lines]
        assert any("its rows are the train items" in reason for reason in reasons) == from_file_names
        joined = next(finding for finding in preview_table(path).findings if finding.code == "joined")
        assert ("train.csv (train)" in joined.message) == from_file_names
        assert from_file_names or "the column 'split' says" in joined.message


def test_tables_named_after_splits_can_get_a_new_split(make_zip, workspace):
    path = make_zip({f"{part}.csv": text.encode() for part, text in PARTS.items()})
    options = ImportOptions(split_column=NONE)
    dataset = import_data(path, workspace, options)
    assert set(dataset.items["given"]) == {""}
    assert not any("its rows are" in line.reason for line in dataset.receipt.lines)
    joined = next(finding for finding in preview_table(path, options).findings if finding.code == "joined")
    assert "Graft makes a new split" in joined.message
    assert "'split'" in joined.hint


def test_tables_for_splits_that_are_not_one(make_zip, make_folder, workspace):
    kaggle = {"train.csv": PARTS["train"].encode(), "test.csv": b"text\nwho knows\n"}
    with pytest.raises(DataError, match=r"train.csv has the column 'label' and test.csv has not") as error:
        import_data(make_folder(kaggle), workspace)
    assert "Give train.csv alone" in error.value.hint
    for names in (("train.csv", "test.csv", "other.csv"), ("dev.csv", "test.csv"), ("a_train.csv", "b_test.csv")):
        with pytest.raises(DataError, match=f"There are {len(names)} tables in"):
            import_data(make_zip({name: PARTS["train"].encode() for name in names}), workspace)


def test_pictures_that_a_table_for_each_split_lists(make_zip, workspace):
    files = {f"images/{i}.png": picture(i) for i in range(8)}
    listed = {"train": range(6), "test": range(6, 8)}
    tables = {
        f"{part}.csv": ("file,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in rows)).encode()
        for part, rows in listed.items()
    }
    dataset = import_data(make_zip(files | tables), workspace)
    given_splits = dict(zip(dataset.items["id"], dataset.items["given"], strict=True))
    assert given_splits == {f"images/{i}.png": part for part, rows in listed.items() for i in rows}


def test_texts_without_labels_of_a_table_for_each_split(make_zip, workspace):
    path = make_zip({f"{part}.csv": text.encode() for part, text in PARTS.items()})
    assert len(import_unlabelled(path, "text", workspace).items) == 29
    inputs = read_prediction_items(path, "text", workspace)
    assert "row 2 of test.csv" in inputs.ids


@pytest.mark.parametrize("label", [["cat", "dog"], [0, 1]])
def test_pictures_inside_a_parquet_table_are_no_texts(label, tmp_path, workspace):
    table = {"image": [{"bytes": bytes(range(256)), "path": f"{i}.png"} for i in range(8)], "label": label * 4}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="pictures or sounds inside its column 'image'"):
        import_data(str(tmp_path / "t.parquet"), workspace)
    table |= {"caption": [f"what is seen in number {i}" for i in range(8)]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert import_data(str(tmp_path / "t.parquet"), workspace).items["text"].tolist() == table["caption"]


def test_bytes_are_texts_where_they_can_be_read(tmp_path, workspace):
    table = {"raw": [bytes([200, 1, 2, 3] * 20)] * 8, "text": [f"a café, number {i}".encode() for i in range(8)]}
    pq.write_table(pa.table(table | {"label": ["good", "bad"] * 4}), tmp_path / "t.parquet")
    assert import_data(str(tmp_path / "t.parquet"), workspace).items["text"].tolist()[1] == "a café, number 1"
