"""Which column of a table is the label, the split and the group; and that what is not clear is asked."""

import json
import random

import pandas as pd
import pytest

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources import import_data, preview_table
from tl_core.data.split import group_findings
from tl_core.errors import DataError, UnclearError

WORDS = {"bread": "loaf dough oven rye", "river": "bank canoe trout delta", "chess": "pawn rook mate bishop"}
CLASSES = tuple(WORDS)


def text(i):
    draw = random.Random(i)
    words = [*draw.choices(WORDS[CLASSES[i % 3]].split(), k=5), *draw.choices(["the", "old", "new", "with"], k=4)]
    return " ".join(words)


def table(header, *cells, n=48):
    """Return a CSV: a text, then a cell of each function of the row number."""
    rows = (",".join([text(i), *(str(cell(i)) for cell in cells)]) for i in range(n))
    return f"{header}\n" + "\n".join(rows) + "\n"


def kind(i):
    return CLASSES[i % 3]


def side(i):
    return "ab"[i // 3 % 2]


@pytest.mark.parametrize(
    "header",
    [
        "texto,etiqueta,fuente",
        "text,gold,annotator",
        "Text,Abteilung,Bearbeiter",
        "review,stars,verified",
        "texte,étiquette,langue",
        "tekst,Kategorie,Quelle",
        "文本,标签,来源",
        "text,target_class,created_by_site",
    ],
)
def test_label_columns_in_several_languages(header, make_table, workspace):
    dataset = import_data(make_table(table(header, kind, side)), workspace)
    assert dataset.classes == tuple(sorted(CLASSES))
    label = next(origin for origin in dataset.origins if origin.what == "label")
    assert label.source == f"the column {header.split(',')[1]!r}"


def test_two_columns_that_could_be_the_label_are_asked_about_best_told_first(make_table, workspace):
    path = make_table(table("text,alpha,beta", side, kind))
    with pytest.raises(UnclearError, match=r"holds the labels: 'beta' \(.*%\) or 'alpha'") as error:
        import_data(path, workspace)
    assert error.value.hint == "Name it, such as --label-column 'beta'."
    preview = preview_table(path)
    assert preview.label_column == ""
    assert "label-unclear" in [finding.code for finding in preview.findings]
    chosen = import_data(path, workspace, ImportOptions(label_column="alpha"))
    assert chosen.classes == ("a", "b")


def test_what_else_could_be_the_label_is_said(make_table, workspace):
    dataset = import_data(make_table(table("text,shelf,label", side, kind)), workspace)
    assert "label from the column 'label' (of 'shelf' that could be it too)" in [str(o) for o in dataset.origins]


def test_a_class_and_its_number_are_one_label(make_table, workspace):
    number = {"bread": 3, "river": 1, "chess": 2}
    path = make_table(table("text,class id,labels", lambda i: number[kind(i)], kind))
    assert import_data(path, workspace).classes == tuple(sorted(CLASSES))


def test_columns_of_0_and_1_are_one_label_where_each_row_has_one(make_table, workspace):
    columns = [lambda i, c=c: int(kind(i) == c) for c in CLASSES]
    path = make_table(table("comment,bread,river,chess", *columns))
    dataset = import_data(path, workspace)
    assert (dataset.classes, dataset.multilabel) == (tuple(sorted(CLASSES)), False)
    assert [dataset.classes[k] for k in dataset.items["label"]] == [kind(i) for i in range(48)]
    preview = preview_table(path)
    assert (preview.label_columns, preview.one_of) == (CLASSES, True)
    more = [lambda i, c=c: int(kind(i) == c or i % 4 == 0) for c in CLASSES]
    several = import_data(make_table(table("comment,bread,river,chess", *more), "more.csv"), workspace)
    assert several.multilabel
    assert len(several.items["labels"].iloc[0]) == 3


def test_a_label_that_no_row_has_is_one_of_the_columns(make_table, workspace):
    columns = [lambda i: i % 2, lambda i: int(i % 3 == 0), lambda i: 0]
    dataset = import_data(make_table(table("comment,toxic,threat,insult", *columns)), workspace)
    assert dataset.multilabel
    assert dataset.classes == ("threat", "toxic")
    two = make_table(table("comment,toxic,threat", *columns[:2]), "two.csv")
    with pytest.raises(UnclearError) as error:
        import_data(two, workspace)
    assert "--label-columns toxic,threat" in error.value.hint


def test_a_row_of_two_classes_is_left_out_where_each_row_has_one(make_table, workspace):
    columns = [lambda i, c=c: int(kind(i) == c or i == 5) for c in CLASSES]
    path = make_table(table("comment,bread,river,chess", *columns))
    dataset = import_data(path, workspace, ImportOptions(label_columns=CLASSES, one_of=True))
    assert [(line.item, line.reason) for line in dataset.receipt.lines] == [
        ("row 7", "it has several labels: bread, river, chess")
    ]


def test_two_columns_of_texts_are_asked_about(make_table, workspace):
    path = make_table(table("sentence1,sentence2,label", lambda i: text(i + 100), side))
    with pytest.raises(UnclearError, match=r"'sentence1' or 'sentence2'|'sentence2' or 'sentence1'"):
        import_data(path, workspace)
    dataset = import_data(path, workspace, ImportOptions(text_column="sentence1"))
    assert dataset.text_column == "sentence1"
    assert "text from the column 'sentence1'; not read: 'sentence2'" in [str(origin) for origin in dataset.origins]


@pytest.mark.parametrize(
    ("name", "values", "split"),
    [
        ("Usage", ("Training", "PublicTest", "PrivateTest"), {"train": 16, "test": 32}),
        ("dataset", ("train", "val", "test"), {"train": 16, "validation": 16, "test": 16}),
        ("data set", ("train", "valid", "test"), {"train": 16, "validation": 16, "test": 16}),
        ("what for", ("my_train", "my_dev", "my_test"), {"train": 16, "validation": 16, "test": 16}),
        ("is_test", ("0", "0", "1"), {"train": 32, "test": 16}),
        ("is_train", ("True", "True", "False"), {"train": 32, "test": 16}),
        ("for validation", ("no", "no", "yes"), {"train": 32, "validation": 16}),
    ],
)
def test_columns_that_hold_the_split(name, values, split, make_table, workspace):
    path = make_table(table(f"text,label,{name}", side, lambda i: values[i % 3]))
    dataset = import_data(path, workspace)
    assert dict(dataset.items["given"].value_counts()) == split
    assert preview_table(path).split_column == name
    assert [origin.source for origin in dataset.origins if origin.what == "split"] == [f"the column {name!r}"]
    without = import_data(path, workspace, ImportOptions(split_column=NONE))
    assert set(without.items["given"]) == {""}


def test_a_value_that_means_no_split_is_asked_about(make_table, workspace):
    path = make_table(table("text,label,split", side, lambda i: ("train", "extra", "test")[i % 3]))
    with pytest.raises(UnclearError, match="but not for 'extra'") as error:
        import_data(path, workspace)
    assert "--split-names" in error.value.hint
    told = import_data(path, workspace, ImportOptions(split_names=(("extra", "validation"),)))
    assert dict(told.items["given"].value_counts()) == {"train": 16, "validation": 16, "test": 16}
    left = import_data(path, workspace, ImportOptions(split_names=(("extra", "skip"),)))
    assert (len(left.items), left.receipt.lines[0].reason) == (32, "you said that extra is left out")
    chosen = import_data(path, workspace, ImportOptions(split_column="split"))
    assert (len(chosen.items), chosen.receipt.lines[0].reason) == (32, "its split, 'extra', is not known")
    with pytest.raises(DataError, match="No value of the column 'label' means a split"):
        import_data(path, workspace, ImportOptions(split_column="label", label_column="split"))


@pytest.mark.parametrize(
    "name", ["Patient ID", "patientId", "subject_id", "lesion_id", "participant", "SessionID", "user", "pid"]
)
def test_groups_are_kept_together_whatever_they_are_called(name, make_table, workspace):
    path = make_table(table(f"text,label,{name}", side, lambda i: f"P{i // 4:03d}"))
    dataset = import_data(path, workspace)
    parts = dataset.items.assign(split=dataset.splits).groupby("group")["split"].nunique()
    assert (len(parts), parts.max()) == (12, 1)
    assert preview_table(path).group_column == name


def test_how_many_groups_would_have_been_divided_is_said(make_table, workspace):
    path = make_table(table("text,label,patientId", side, lambda i: f"P{i // 4:03d}"))
    dataset = import_data(path, workspace)
    alone = import_data(path, workspace, ImportOptions(group_column=NONE))
    parts = pd.Series(alone.splits).groupby(dataset.items["group"]).nunique()
    (finding,) = group_findings(dataset.items, dataset.split, dataset.near_ties)
    assert f"{(parts > 1).sum()} of 12 groups of several items would have been divided" in finding.message
    assert (parts > 1).any()
    assert group_findings(alone.items, alone.split, alone.near_ties) == []


@pytest.mark.parametrize("name", ["subject", "author", "case"])
def test_words_that_may_be_more_than_a_group_need_numbers(name, make_table, workspace):
    path = make_table(table(f"text,label,{name}", side, kind))
    assert preview_table(path).group_column == ""


def test_rows_that_repeat_the_column_names_are_no_class(make_table, workspace):
    one = table("text,label", kind)
    dataset = import_data(make_table(one + one.replace(" oven", " stove") + "text,label\n"), workspace)
    assert dataset.classes == tuple(sorted(CLASSES))
    assert [(line.item, line.reason) for line in dataset.receipt.lines] == [
        (f"row {row}", "it repeats the column names") for row in (50, 99)
    ]


def test_rejected_rows_are_left_out(make_table, workspace):
    answers = ("accept", "reject", "accept", "ignore")
    lines = [f'{{"text": "{text(i)}", "label": "{kind(i)}", "answer": "{answers[i % 4]}"}}' for i in range(48)]
    dataset = import_data(make_table("\n".join(lines), "annotations.jsonl"), workspace)
    assert len(dataset.items) == 24
    assert {line.reason for line in dataset.receipt.lines} == {"its answer is 'reject'", "its answer is 'ignore'"}
    assert "reject or ignore are left out" in str(dataset.origins[0])


def test_labels_alone_in_a_list_are_labels_and_empty_lists_are_none(make_table, workspace):
    lines = [f'{{"text": "{text(i)}", "label": {[kind(i)] if i % 6 else []}}}'.replace("'", '"') for i in range(48)]
    dataset = import_data(make_table("\n".join(lines), "export.jsonl"), workspace)
    assert (dataset.classes, dataset.multilabel, len(dataset.items)) == (tuple(sorted(CLASSES)), False, 40)


@pytest.mark.parametrize("several", [False, True])
def test_choices_of_label_studio_are_labels(several, make_table, workspace):
    chosen = [[kind(i)] + ["chess"] * (several and kind(i) != "chess" and i % 4 == 0) for i in range(48)]
    rows = [{"text": text(i), "topic": {"choices": c} if i % 2 == 0 else c[0]} for i, c in enumerate(chosen)]
    dataset = import_data(make_table(json.dumps(rows), "min.json"), workspace)
    assert (dataset.classes, dataset.multilabel) == (tuple(sorted(CLASSES)), several)
    if several:
        named = [{dataset.classes[k] for k in row} for row in dataset.items["labels"]]
        assert named == [set(names) for names in chosen]
