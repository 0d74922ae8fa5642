import pytest

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.profile import profile
from tl_core.data.sources import import_data, preview_table
from tl_core.errors import DataError, UnclearError
from tl_core.workspace import Limits, Workspace

ROWS = [
    ("I loved every minute of it", "good"),
    ("Never again, a waste of time", "bad"),
    ("What a fine evening", "good"),
]
PLAIN = "text,label\n" + "".join(f'"{t}",{c}\n' for t, c in ROWS)
TEXTS = [t for t, _ in ROWS]


def check(dataset, texts=TEXTS, classes=("bad", "good")):
    assert dataset.items["text"].tolist() == list(texts)
    assert dataset.classes == tuple(classes)


def reasons(dataset):
    return {line.item: (line.action, line.reason) for line in dataset.receipt.lines}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding, end, make_table, workspace):
    dataset = import_data(make_table(PLAIN.replace("\n", end), encoding=encoding), workspace)
    check(dataset)
    assert dataset.text_column == "text"


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("latin-1", ["Das Café war schön", "Übel, größtenteils", "Très agréable"]),
        ("cp1252", ["“Schön” – für 5 €", "Ça c’est mauvais", "Niño, ¿qué tal?"]),
        ("cp1251", ["Очень хороший фильм, всем советую", "Ужасно скучно и долго", "Мне понравилось, спасибо"]),
        ("shift_jis", ["とても良い映画でした、おすすめです", "退屈で長すぎる", "楽しかったです、ありがとう"]),
        ("gb18030", ["这是一部非常好的电影，值得推荐", "太无聊了，太长了", "我很喜欢，谢谢大家"]),
    ],
)
def test_encodings_without_a_mark(encoding, texts, make_table, workspace):
    rows = list(zip(texts, ("good", "bad", "good"), strict=True))
    content = "text;label\n" + "".join(f"{t};{c}\n" for t, c in rows * 4)
    path = make_table(content, encoding=encoding)
    check(import_data(path, workspace), texts * 4)
    assert "encoding" in [f.code for f in preview_table(path).findings]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.txt"])
def test_delimiters(mark, name, make_table, workspace):
    content = f"text{mark}label\n" + "".join(f'"{t}"{mark}{c}\n' for t, c in ROWS)
    assert preview_table(make_table(content, name)).delimiter == mark
    check(import_data(make_table(content, name), workspace))


def test_a_decimal_comma_is_no_delimiter(make_table):
    content = "text;score;label\n" + "gut gemacht;1,5;a\nschlecht gemacht;2,5;b\n" * 5
    result = preview_table(make_table(content))
    assert (result.delimiter, result.text_column, result.label_column) == (";", "text", "label")


def test_quoted_newlines_and_quotes(make_table, workspace):
    content = 'text,label\n"one\ntwo, ""three""",good\n"four",bad\n'
    check(import_data(make_table(content), workspace), ['one\ntwo, "three"', "four"])


def test_a_quote_that_is_never_closed(make_table, workspace):
    content = 'text\tlabel\n"so called\tgood\nfine\tbad\nwell\tgood\n'
    check(import_data(make_table(content), workspace), ['"so called', "fine", "well"])
    assert "quotes" in [f.code for f in preview_table(make_table(content)).findings]


@pytest.mark.parametrize("missing", ["", " ", "nan", "NULL"])
def test_missing_labels_are_skipped(missing, make_table, workspace):
    dataset = import_data(make_table(PLAIN + f"no label here,{missing}\nshort row\n"), workspace)
    check(dataset)
    assert reasons(dataset) == {f"row {n}": ("skipped", "it has no label") for n in (5, 6)}


def test_labels_that_only_look_missing_are_kept(make_table, workspace):
    content = "text,label\nfirst words,none\nother words,NA\nthird words,none\n"
    assert import_data(make_table(content), workspace).classes == ("NA", "none")


@pytest.mark.parametrize(
    ("values", "classes"),
    [(("0", "1", "0"), ("0", "1")), (("10", "9", "10"), ("9", "10")), (("1.0", "2.0", ""), ("1", "2"))],
)
def test_numeric_labels(values, classes, make_table, workspace):
    content = "review,stars\n" + "".join(f'"{t}",{v}\n' for t, v in zip(TEXTS, values, strict=True))
    dataset = import_data(make_table(content), workspace, ImportOptions(label_column="stars"))
    assert dataset.classes == classes


def test_empty_texts_are_skipped(make_table, workspace):
    dataset = import_data(make_table(PLAIN + '"",good\n"  ",bad\n'), workspace)
    check(dataset)
    assert reasons(dataset) == {f"row {n}": ("skipped", "the text is empty") for n in (5, 6)}


def test_a_cell_of_5_megabytes(make_table, workspace):
    dataset = import_data(make_table(PLAIN + f'"{"word " * 1_000_000}",bad\n'), workspace)
    assert reasons(dataset)["row 5"] == ("converted", "the text was cut from 4,999,999 to 1,000,000 characters")
    assert len(dataset.items["text"].iloc[-1]) == 999_999


def test_labels_that_are_an_id(make_table, workspace):
    path = make_table("text,label\n" + "".join(f"some words about thing {i},case-{i:03d}\n" for i in range(200)))
    finding = next(f for f in preview_table(path).findings if f.level == "stop")
    assert finding.message == (
        "The column 'label' has 200 different values, as if it were an id, in 200 rows: too few rows of each to learn."
    )
    result = profile(import_data(path, workspace))
    assert result.blocking[0].code == "label-like-id"
    with pytest.raises(DataError, match="There are 200 different labels for 200 items"):
        result.require_usable()


def test_an_id_column_is_not_taken_for_the_label(make_table):
    content = "id,comment,shelf\n" + "".join(f"{i},words and more words {i},{'ab'[i % 2]}\n" for i in range(40))
    result = preview_table(make_table(content))
    assert (result.text_column, result.label_column) == ("comment", "shelf")
    assert [f.code for f in result.findings] == ["label-guessed"]


def test_a_guessed_label_says_so_and_can_be_corrected(make_table, workspace):
    content = "a,b,c\n" + "".join(f"words and more {i},{'xy'[i % 2]},{'pqr'[i % 3]}\n" for i in range(30))
    path = make_table(content)
    assert [f.code for f in preview_table(path).findings] == ["label-unclear"]
    with pytest.raises(UnclearError, match=r"'b'.* or 'c'|'c'.* or 'b'") as error:
        import_data(path, workspace)
    assert "--label-column" in error.value.hint
    options = ImportOptions(text_column="a", label_column="c", name="mine")
    dataset = import_data(path, workspace, options)
    assert (dataset.classes, dataset.name, dataset.text_column) == (("p", "q", "r"), "mine", "a")


def test_a_name_that_only_holds_the_word_class_is_no_sure_label(make_table):
    rows = "".join(f"words and more {i},{'xy'[i % 2]},{'pqr'[i % 3]}\n" for i in range(30))
    for header, label, codes in (
        ("Observation,School class,Topic", "Topic", []),
        ("Observation,School class,Weather", "", ["label-unclear"]),
        ("Observation,Class,Weather", "Class", []),
    ):
        result = preview_table(make_table(f"{header}\n{rows}"))
        assert (result.label_column, [f.code for f in result.findings]) == (label, codes)


@pytest.mark.parametrize("label", ["good", "yes", "1"])
def test_no_header(label, make_table, workspace):
    content = f"lovely film,{label}\nawful film,0\nfine film,{label}\ndreadful film,0\n"
    result = preview_table(make_table(content))
    assert result.header is False
    assert result.columns == ("column 1", "column 2")
    assert (result.text_column, result.label_column) == ("column 1", "column 2")
    assert "no-header" in [f.code for f in result.findings]
    assert len(import_data(make_table(content), workspace).items) == 4


def test_a_header_of_unknown_words(make_table):
    result = preview_table(make_table("Äußerung,Urteil\n" + "schöner Film heute,gut\nöder Film gestern,schlecht\n" * 3))
    assert result.header is True
    assert (result.text_column, result.label_column) == ("Äußerung", "Urteil")


def test_the_header_can_be_corrected(make_table, workspace):
    path = make_table("lovely film,good\nawful film,bad\nfine film,good\n")
    assert len(import_data(path, workspace, ImportOptions(header=False)).items) == 3
    assert preview_table(path, ImportOptions(header=True)).columns == ("lovely film", "good")


def test_columns_without_or_with_the_same_name(make_table):
    assert preview_table(make_table("text,,label,label\na b c,,x,y\n")).columns == (
        "text",
        "column 2",
        "label",
        "label (4)",
    )


def test_rows_with_too_many_cells_are_skipped(make_table, workspace):
    dataset = import_data(make_table(PLAIN + "one, two, three,good\n"), workspace)
    check(dataset)
    assert reasons(dataset) == {"row 5": ("skipped", "it has 4 cells, more than there are columns")}
    assert "ragged" in [f.code for f in preview_table(make_table(PLAIN + "one, two, three,good\n")).findings]


@pytest.mark.parametrize("chosen", ["", "group"])
def test_a_label_column_named_group_holds_no_groups(chosen, make_table, workspace):
    content = "text,group\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(40))
    dataset = import_data(make_table(content), workspace, ImportOptions(label_column=chosen))
    assert dataset.classes == ("a", "b")
    assert set(dataset.items["group"]) == {""}
    assert len(dataset.rows("test"))


def test_split_and_group_columns_are_honoured(make_table, workspace):
    content = "text,label,split,group\n"
    content += "".join(
        f"words number {i},{'ab'[i % 2]},{('train', 'train', 'valid', 'test')[i // 2 % 4]},g{i // 4}\n"
        for i in range(40)
    )
    dataset = import_data(make_table(content), workspace)
    assert dataset.items["given"].tolist() == dataset.splits.tolist()
    assert set(dataset.splits) == {"train", "validation", "test"}
    assert dataset.items["group"].nunique() == 10


def test_a_group_and_a_split_that_were_found_can_be_switched_off_for_good(make_table, workspace):
    content = "text,label,split,group\n" + "".join(
        f"words number {i},{'ab'[i % 2]},{('train', 'valid', 'test')[i % 3]},g{i // 4}\n" for i in range(40)
    )
    off = ImportOptions(group_column=NONE, split_column=NONE)
    result = preview_table(make_table(content), off)
    assert (result.group_column, result.split_column) == (NONE, NONE)
    assert (result.text_column, result.label_column) == ("text", "label")
    dataset = import_data(make_table(content), workspace, off)
    assert set(dataset.items["given"]) == set(dataset.items["group"]) == {""}


@pytest.mark.parametrize("name", ["label_column", "subgroup_column", "time_column"])
def test_no_other_column_can_be_switched_off(name, make_table, workspace):
    path = make_table("text,label\n" + "".join(f"words number {i},{'ab'[i % 2]}\n" for i in range(20)))
    for read in (lambda options: preview_table(path, options), lambda options: import_data(path, workspace, options)):
        with pytest.raises(DataError, match=r"no column named '\(none\)'"):
            read(ImportOptions(**{name: NONE}))


def test_the_preview_is_short(make_table):
    result = preview_table(make_table("text,label\n" + f"{'long ' * 500},a\n" * 300))
    assert (len(result.rows), result.n_rows, result.encoding) == (50, 300, "utf-8")
    assert max(len(cell) for row in result.rows for cell in row) <= 500


def test_a_folder_of_pictures_has_no_preview(tmp_path):
    assert preview_table(tmp_path) is None
    assert preview_table("sample:bbc_news") is None


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "data.csv is empty"),
        (b"\n\n  \n", "data.csv is empty"),
        (b"text,label\n", "holds a header and no rows"),
        (b"text\nonly words here\nand more words here\n", "No column of this table looks like a label"),
        (b"text,label\nwords and words,\nmore of them,\n", "No column of this table looks like a label|has a label"),
        (b"text,label\n,a\n,b\n,a\n,b\n", "No column of this table holds texts"),
        (bytes(range(256)) * 20, "cannot be read as a table: it is not text"),
    ],
)
def test_what_is_no_table_is_one_sentence(content, match, make_table, workspace):
    with pytest.raises(DataError, match=match):
        import_data(make_table(content), workspace)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (ImportOptions(label_column="kind"), "There is no column named 'kind'. There are: text, label."),
        (ImportOptions(text_column="label", label_column="label"), "cannot be both the text and the label"),
        (ImportOptions(encoding="klingon"), "there is no encoding named 'klingon'"),
        (ImportOptions(encoding="utf-16"), "not text in the encoding utf-16|is not text|No column"),
    ],
)
def test_a_wrong_correction_is_one_sentence(options, match, make_table, workspace):
    with pytest.raises(DataError, match=match):
        import_data(make_table(PLAIN), workspace, options)


def test_one_class_only_stops(make_table, workspace):
    result = profile(import_data(make_table("text,label\nsome words,a\nmore words,a\nlast words,a\n"), workspace))
    assert [f.code for f in result.blocking] == ["one-class"]
    assert result.blocking[0].message == "All 3 items are in one class, 'a'."


def test_the_cell_limit_is_the_workspaces(make_table, tmp_path):
    workspace = Workspace(tmp_path / "w", Limits(cell=10))
    assert import_data(make_table(PLAIN), workspace).items["text"].str.len().max() <= 10


@pytest.mark.parametrize("mark", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_line_that_tells_excel_the_delimiter_is_no_row(mark, encoding, make_table, workspace):
    content = f"sep={mark}\r\ntext{mark}label\r\n" + "".join(f"{t.replace(',', '')}{mark}{c}\r\n" for t, c in ROWS)
    path = make_table(content, encoding=encoding)
    dataset = import_data(path, workspace)
    check(dataset, [t.replace(",", "") for t in TEXTS])
    assert (preview_table(path).delimiter, preview_table(path).columns) == (mark, ("text", "label"))
    assert not dataset.receipt.lines


@pytest.mark.parametrize("above", ["Survey 2024,,\n,,\n", "# made by a tool\n# in 2024\n", "Replies\n\nof 2024\n"])
def test_a_title_above_the_header_is_no_row(above, make_table, workspace):
    path = make_table(above + PLAIN)
    dataset = import_data(path, workspace)
    check(dataset)
    assert {reason for _, reason in reasons(dataset).values()} == {"it is above the column names"}
    assert preview_table(path).columns == ("text", "label")


def test_a_row_of_one_cell_is_no_title_where_nothing_below_names_the_columns(make_table):
    preview = preview_table(make_table("fine weather,good\na text of nobody,\n" + "bad weather,bad\nsun,good\n" * 3))
    assert (preview.n_rows, preview.header, preview.rows[1]) == (8, False, ("a text of nobody", ""))
    preview = preview_table(make_table("a text of nobody,\n" + "fine weather,good\nbad weather,bad\n" * 3))
    assert preview.n_rows == 6
