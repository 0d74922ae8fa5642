"""The column options reach the import, from every command that takes data."""

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
def test_column_options_become_import_options(command):
    options = column_options(parse([*command, *OPTIONS]))
    assert options.label_columns == ("cough", "fever")
    assert (options.subgroup_column, options.separator, options.time_column) == ("sex", "|", "day")
    assert column_options(parse(command)) == AUTO_DETECT


@pytest.mark.parametrize("named", [",,,", " , ", " "])
def test_label_columns_without_a_name_are_a_mistake(named, capsys, workspace):
    from tl_core.cli import main

    assert main(["profile", "x.csv", "--label-columns", named]) == 2
    assert "names no column" in capsys.readouterr().err


def test_column_options_reach_the_table_reader(tmp_path, monkeypatch, workspace):
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
    "command", [words for words in COMMANDS if words[0] != "evaluate"], ids=lambda command: command[0]
)
def test_commands_accept_a_separate_test_set(command):
    assert parse([*command, "--test", "y.csv"]).test == "y.csv"
    assert parse(command).test == ""


def test_a_separate_test_set_becomes_the_test_part(tmp_path, capsys, workspace):
    from tl_core.cli import main

    for name, start in (("a", 0), ("b", 100)):
        rows = "".join(f"a text with number {start + n},{'good' if n % 2 else 'bad'}\n" for n in range(20))
        (tmp_path / f"{name}.csv").write_text("said,kind\n" + rows)
    assert main(["profile", str(tmp_path / "a.csv"), "--test", str(tmp_path / "b.csv"), "--json"]) == 0
    profile = json.loads(capsys.readouterr().out)
    train, validation, test = profile["parts"]
    assert (train + validation, test) == (20, 20)
