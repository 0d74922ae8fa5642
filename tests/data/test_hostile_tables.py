"""Malicious tables: each import ends in a data set with a receipt, or in an error of one sentence."""

import gzip
import io
import json
import os

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tl_core.data.sources import import_data, preview_table
from tl_core.data.sources.tables import file_table, open_table, take_sample
from tl_core.errors import DataError
from tl_core.workspace import Limits, Workspace

PLAIN = "text,label\nfirst words here,a\nother words here,b\nlast words here,a\n"
EXAMPLES = int(os.environ.get("GRAFT_FUZZ", "80"))
"""Examples per property; a nightly run sets thousands."""


def reasons(dataset):
    return {line.item: line.reason for line in dataset.receipt.lines}


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_a_million_columns_are_one_sentence(name, make_table, workspace):
    names = [f"c{i}" for i in range(20_000)]
    content = ",".join(names) + "\n" + "1," * 20_000 if name == "x.csv" else json.dumps(dict.fromkeys(names, 1))
    with pytest.raises(DataError, match=r"columns; at most 10,000 are read"):
        import_data(make_table(content, name), workspace)


def test_a_quote_that_is_never_closed_in_a_large_table(make_table, workspace, monkeypatch):
    monkeypatch.setattr("tl_core.data.sources.tables.delimited.LONGEST", 2000)
    rows = "".join(f"words of text number {i},{'ab'[i % 2]}\n" for i in range(500))
    dataset = import_data(make_table('text,label\n"so called,a\n' + rows), workspace)
    assert len(dataset.items) == 501
    assert "never closed" in reasons(dataset)["data.csv"]
    with pytest.raises(DataError, match="a line has more than"):
        import_data(make_table("text,label\n" + "x" * 5000 + ",a\n"), workspace)


def test_null_bytes_are_left_out(make_table, workspace):
    dataset = import_data(make_table(PLAIN.replace("words", "wo\0rds")), workspace)
    assert dataset.items["text"].iloc[0] == "first words here"


def test_a_few_letters_in_another_encoding(make_table, workspace):
    good = "".join(f"schöne Wörter über Bäume {i},{'ab'[i % 2]}\n" for i in range(50))
    data = b"text,label\n" + good.encode() + "für Größe,a\n".encode("cp1252") + good.encode()
    dataset = import_data(make_table(data), workspace)
    texts = dataset.items["text"].tolist()
    assert (texts[0], texts[50]) == ("schöne Wörter über Bäume 0", "für Größe")
    assert "mixed-encoding" in [f.code for f in preview_table(make_table(data)).findings]
    assert "Windows-1252" in reasons(dataset)["data.csv"]


def test_letters_that_a_block_of_reading_parts(tmp_path):
    path = tmp_path / "x.csv"
    text = "text,label\n" + "x" * (2**20 - 12) + "äöü,a\nmore,b\n"
    path.write_text(text, encoding="utf-8")
    table = open_table(file_table(path, Limits()))
    assert (table.encoding, table.mixed) == ("utf-8", False)
    assert [cells[0][-3:] for _, cells in table.rows()] == ["äöü", "ore"]


def test_the_sample_is_of_the_whole_table_and_counts_all_of_it(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text,label\n" + "".join(f"words {i},{'ab'[i // 15_000]}\n" for i in range(30_000)))
    sample = take_sample(open_table(file_table(path, Limits())))
    assert (sample.n_rows, len(sample.rows), sample.whole) == (30_000, 10_000, True)
    assert sample.rows[:3] == [["words 0", "a"], ["words 1", "a"], ["words 2", "a"]]
    assert sample.counts("label") == {"a": 15_000, "b": 15_000}
    share = sum(row[1] == "b" for row in sample.rows[200:]) / 9800
    assert 0.47 < share < 0.53  # 5 deviations of a fair draw
    assert not take_sample(open_table(file_table(path, Limits())), 1000).whole


def test_a_preview_of_a_large_table_leaves_its_end_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tl_core.data.sources.table_items.PREVIEW_LOOK", 20_000)
    path = tmp_path / "x.csv"
    path.write_text("text,label\n" + "".join(f"some words {i},{'ab'[i % 2]}\n" for i in range(5000)))
    preview = preview_table(path)
    assert (preview.n_rows, len(preview.rows), preview.label_column) == (None, 50, "label")


def test_receipts_of_many_bad_rows_are_bounded(make_table, workspace, monkeypatch):
    monkeypatch.setattr("tl_core.data.sources.table_items._MOST_LINES", 5)
    dataset = import_data(make_table(PLAIN + "no label,\n" * 40), workspace)
    assert [line.item for line in dataset.receipt.lines] == [f"row {n}" for n in range(5, 10)] + ["35 more rows"]


def test_a_long_text_that_is_stored_once_is_read_in_small_parts(make_table, tmp_path):
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 400), pa.array(["word " * 400_000]))
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": text, "label": ["a", "b"] * 200}), sink)
    table = open_table(file_table(tmp_path / make_table(sink.getvalue(), "x.parquet"), Limits()))
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    peak = 0
    for _ in table.rows():
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < 200 * 2**20  # of 800


def test_a_small_file_of_endless_rows_ends_the_import(make_table, workspace):
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["the same words"] * 400_000, "label": ["a", "b"] * 200_000}), sink)
    assert len(sink.getvalue()) < 20_000
    workspace = type(workspace)(workspace.root, Limits(unpacked=2**20))
    with pytest.raises(DataError, match="would unpack to more than"):
        import_data(make_table(sink.getvalue(), "x.parquet"), workspace)
    assert not list(workspace.root.rglob("manifest.parquet"))


def test_an_import_can_be_cancelled_before_its_first_item(make_table, workspace):
    def progress(stage, done, total):
        if stage == "Reading rows" and done:
            raise KeyboardInterrupt

    path = make_table("text,label\n" + "".join(f"words {i},{'ab'[i % 2]}\n" for i in range(6000)))
    with pytest.raises(KeyboardInterrupt):
        import_data(path, workspace, progress=progress)
    assert not list(workspace.root.rglob("*.parquet"))


def book(rows):
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    sink = io.BytesIO()
    workbook.save(sink)
    return sink.getvalue()


def seeds():
    rows = [["text", "label"], *(line.split(",") for line in PLAIN.splitlines()[1:])]
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [r[0] for r in rows[1:]], "label": [r[1] for r in rows[1:]]}), sink)
    objects = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    return {
        "x.csv": PLAIN.encode(),
        "x.tsv": PLAIN.replace(",", "\t").encode("utf-16"),
        "x.csv.gz": gzip.compress(PLAIN.encode()),
        "x.jsonl": "\n".join(map(json.dumps, objects)).encode(),
        "x.json": json.dumps(objects).encode(),
        "x.parquet": sink.getvalue(),
        "x.xlsx": book(rows),
    }


SEEDS = seeds()
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20), st.binary(max_size=12)), max_size=4)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(SEEDS)), edits)
def test_a_table_that_is_damaged_anywhere_is_a_data_set_or_one_sentence(tmp_path, name, changes):
    data = SEEDS[name]
    for place, gone, put in changes:
        at = int(place * len(data))
        data = data[:at] + put + data[at + gone :]
    told(tmp_path, name, data)


pieces = st.sampled_from(
    ["text", "label", "a", "b", ",", ";", "\t", "|", '"', '""', "\n", "\r", "\r\n", "\0", "ü", "1", " "]
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(pieces, max_size=60).map("".join), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_any_mix_of_marks_is_a_data_set_or_one_sentence(tmp_path, content, encoding):
    told(tmp_path, "x.csv", content.encode(encoding))


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
lists = st.lists(plain, max_size=3)
values = plain | lists | st.dictionaries(st.text(max_size=4), plain | lists, max_size=3)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.dictionaries(st.sampled_from(["text", "label", "", "x y"]), values, max_size=4) | values, max_size=6)
)
def test_any_json_is_a_data_set_or_one_sentence(tmp_path, rows):
    told(tmp_path, "x.jsonl", "\n".join(json.dumps(row) for row in rows).encode())
    told(tmp_path, "x.json", json.dumps(rows).encode())


def told(folder, name, data):
    """Check that a table is previewed and imported, or refused in a sentence."""
    path = folder / name
    path.write_bytes(data)
    refused = ""
    try:
        preview_table(path)
        dataset = import_data(str(path), Workspace(folder / "w"))
    except DataError as error:
        refused = error.message
    assert refused.endswith(".") if refused else dataset.receipt.taken == len(dataset.items) > 0
