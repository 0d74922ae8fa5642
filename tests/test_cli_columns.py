"""What a person says of a table's columns reaches the import, from every command that takes data."""

import pytest

from tl_core.cli.columns import named
from tl_core.cli.parser import parse
from tl_core.data.options import FIND_ALL

OPTIONS = ["--label-columns", "cough, fever", "--subgroup-column", "sex", "--separator", "|", "--time-column", "day"]
COMMANDS = [
    *([name, "x.csv"] for name in ("profile", "check", "decide", "advise", "curve", "layers", "rates")),
    ["train", "x.csv", "--out", "model"],
    ["evaluate", "model", "x.csv"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_is_said_is_what_is_imported_by(command):
    said = named(parse([*command, *OPTIONS]))
    assert said.label_columns == ("cough", "fever")
    assert (said.subgroup_column, said.separator, said.time_column) == ("sex", "|", "day")
    assert named(parse(command)) == FIND_ALL


def test_it_comes_to_the_reader_of_the_table(tmp_path, monkeypatch, workspace):
    from tl_core.cli import main
    from tl_core.data import sources
    from tl_core.errors import DataError

    asked = []

    def reader(source, workspace, options=FIND_ALL, progress=None):
        asked.append(options)
        raise DataError("Read.", "")

    monkeypatch.setattr(sources, "import_data", reader)
    assert main(["profile", str(tmp_path / "x.csv"), *OPTIONS]) != 0
    assert asked[0].subgroup_column == "sex"
