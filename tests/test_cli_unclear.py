"""What a data set was read from is said by every command; what is not clear ends it with exit code 2."""

import json

import pytest

from tl_core.cli import main
from tl_core.cli.columns import column_options
from tl_core.cli.parser import parse
from tl_core.errors import UsageError

ROWS = "".join(f"a text with number {i},{'ab'[i % 2]},{'pq'[i // 2 % 2]},{'xyz'[i % 3]}\n" for i in range(40))


@pytest.fixture
def unclear(tmp_path):
    (tmp_path / "data.csv").write_text("said,alpha,beta,source\n" + ROWS)
    return str(tmp_path / "data.csv")


@pytest.mark.parametrize("command", [["profile"], ["check", "--quick"], ["advise"], ["train", "--out", "model"]])
def test_what_is_not_clear_ends_a_command(command, unclear, capsys, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([command[0], unclear, *command[1:]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "'alpha'" in err
    assert "'beta'" in err
    assert "--label-column" in err
    assert "'source'" not in err


def test_what_was_read_is_said(unclear, capsys, workspace, tmp_path):
    card = tmp_path / "card.md"
    assert main(["profile", unclear, "--label-column", "beta", "--json", "--card", str(card)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(o["what"], o["source"]) for o in document["origins"]] == [
        ("label", "the column 'beta'"), ("text", "the column 'said'"),
    ]  # fmt: skip
    assert "label from the column 'beta'" in card.read_text()
    assert main(["profile", unclear, "--label-column", "beta"]) == 0
    assert "label from the column 'beta'" in capsys.readouterr().out
    assert main(["check", unclear, "--label-column", "beta", "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["origins"][0]["source"] == "the column 'beta'"
    assert err == ""
    assert main(["check", unclear, "--label-column", "beta", "--quick"]) == 0
    assert "Read: label from the column 'beta'." in capsys.readouterr().out


def test_options_for_folders_and_splits_are_checked_before_the_import():
    said = column_options(parse(["profile", "x", "--split-names", "holdout=test, extra=skip", "--one-of", "a,b"]))
    assert said.split_names == (("holdout", "test"), ("extra", "skip"))
    assert (said.label_columns, said.one_of) == (("a", "b"), True)
    for option, value in (("--split-names", "holdout=final"), ("--split-names", "holdout"), ("--folders", "split")):
        with pytest.raises(UsageError, match="does not say"):
            column_options(parse(["profile", "x", option, value]))
