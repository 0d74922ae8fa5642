"""What a person says of a table's columns reaches the import, from every command that takes data."""

import json

import pytest

from tl_core.cli.columns import column_options
from tl_core.cli.parser import parse
from tl_core.data.options import AUTO_DETECT

OPTIONS = ["--label-columns", "cough, fever", "--subgroup-column", "sex", "--separator", "|", "--time-column", "day"]
COMMANDS = [
    *([name, "x.csv"] for name in ("profile", "check", "decide", "advise", "curve", "layers", "rates")),
    ["train", "x.csv", "--out", "model"],
    ["evaluate", "model", "x.csv"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_is_said_is_what_is_imported_by(command):
    said = column_options(parse([*command, *OPTIONS]))
    assert said.label_columns == ("cough", "fever")
    assert (said.subgroup_column, said.separator, said.time_column) == ("sex", "|", "day")
    assert column_options(parse(command)) == AUTO_DETECT


def test_it_comes_to_the_reader_of_the_table(tmp_path, monkeypatch, workspace):
    from tl_core.cli import main
    from tl_core.data import sources
    from tl_core.errors import DataError

    asked = []

    def reader(source, workspace, options=AUTO_DETECT, progress=None):
        asked.append(options)
        raise DataError("Read.", "")

    monkeypatch.setattr(sources, "import_data", reader)
    assert main(["profile", str(tmp_path / "x.csv"), *OPTIONS]) != 0
    assert asked[0].subgroup_column == "sex"


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if each[0] != "evaluate"], ids=lambda command: command[0]
)
def test_test_items_can_be_apart(command):
    assert parse([*command, "--test", "y.csv"]).test == "y.csv"
    assert parse(command).test == ""


def test_test_items_that_are_apart_are_the_test_items(tmp_path, capsys, workspace):
    from tl_core.cli import main

    for name, start in (("a", 0), ("b", 100)):
        rows = "".join(f"a text with number {start + n},{'good' if n % 2 else 'bad'}\n" for n in range(20))
        (tmp_path / f"{name}.csv").write_text("said,kind\n" + rows)
    assert main(["profile", str(tmp_path / "a.csv"), "--test", str(tmp_path / "b.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    train, validation, test = told["parts"]
    assert (train + validation, test) == (20, 20)
