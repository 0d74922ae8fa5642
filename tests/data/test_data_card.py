import re

import pytest
from PIL import Image

from tests.data.files import encoded, picture
from tl_core.data.data_card import data_card
from tl_core.data.decisions import Decision
from tl_core.data.profile import profile
from tl_core.data.sources import import_data

HEADINGS = [
    *("Motivation", "Composition", "Collection process", "Preprocessing, cleaning, labelling", "Uses", "Distribution"),
    "Maintenance",
]


def test_the_headings_are_those_of_datasheets_in_their_order(make_zip, workspace):
    dataset = import_data(
        make_zip({f"{c}/{i}.png": picture(10 * n + i) for n, c in enumerate("ab") for i in range(9)}), workspace
    )
    card = data_card(dataset, profile(dataset))
    assert re.findall(r"^## (.*)$", card, flags=re.M) == HEADINGS
    for heading, section in zip(HEADINGS, card.split("\n## ")[1:], strict=True):
        assert "**To fill in.**" in section, heading
    assert dataset.fingerprint in card
    assert dataset.version in card


def test_a_sample_knows_its_source_and_its_licence(workspace):
    dataset = import_data("sample:digits", workspace)
    card = data_card(dataset, profile(dataset))
    from tl_core.data.samples import SAMPLES

    assert SAMPLES["digits"].licence in card
    assert SAMPLES["digits"].source in card
    assert "**To fill in.**" not in card.split("## Distribution")[1].split("##")[0]


def test_the_card_reports_skips_conversions_and_decisions(make_zip, workspace):
    files = {f"{c}/{i}.png": picture(10 * n + i) for n, c in enumerate("ab") for i in range(9)}
    files |= {"a/empty.png": b"", "b/cmyk.jpg": encoded(Image.new("CMYK", (9, 9)), "JPEG")}
    dataset = import_data(make_zip(files), workspace)
    row = int(dataset.rows("train")[0])
    dataset = dataset.decide(Decision("drop", (row,), code="blurry"))
    card = data_card(dataset, profile(dataset))
    assert "| skipped | the file is empty | 1 |" in card
    assert "| converted | converted from CMYK to RGB colours | 1 |" in card
    assert "| left out | blurry | 1 |" in card
    assert "18 pictures in 2 classes." in card


def test_an_unconfirmed_decision_is_not_reported_as_decided(make_zip, workspace):
    files = {f"{c}/{i}.png": picture(30 * n + i) for n, c in enumerate("ab") for i in range(25)}
    dataset = import_data(make_zip(files), workspace)
    train, test = int(dataset.rows("train")[0]), int(dataset.rows("test")[0])
    dataset = dataset.decide(Decision("drop", (train, test), code="blurry"))
    assert [decision.rows for decision in dataset.unconfirmed] == [(test,)]
    card = data_card(dataset, profile(dataset))
    assert "| left out | blurry | 1 |" in card
    assert "For 1 item of the test set a decision is not confirmed" in card
    only = dataset.decide(Decision("drop", (test,), code="blurry"))
    assert "is not confirmed" in data_card(only, profile(only))


@pytest.mark.parametrize("name", ["a|b", "<b>bold</b>", "*star*", "[link](http://x)", "# head"])
def test_names_are_not_markup(name, make_table, workspace):
    rows = "".join(f'"about thing {i}","{name if i % 2 else "other"}"\n' for i in range(40))
    dataset = import_data(make_table("text,label\n" + rows), workspace)
    lines = data_card(dataset, profile(dataset)).splitlines()
    start = lines.index("| class | train | validation | test | all |")
    cells = [re.split(r"(?<!\\)\|", line) for line in lines[start : start + 4]]
    assert {len(row) for row in cells} == {7}
    assert name in {re.sub(r"\\(.)", r"\1", row[1]).replace("\u2060", "").strip() for row in cells}
    assert not any(f" {name} " in line for line in lines)
