"""What README and docs say is true: commands, targets, pictures, and no path of one machine."""

import re
from pathlib import Path

import pytest

from tl_core.cli.parser import parse

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_command_of_the_readme_is_understood():
    examples = {
        "samples": [],
        "profile": ["DATA", "--json"],
        "advise": ["DATA", "--json"],
        "train": ["DATA", "--out", "DIR", "--backbone", "NAME", "--strategy", "NAME", "--seed", "1", "--json"],
        "predict": ["DIR", "INPUT", "--out", "FILE.csv"],
        "evaluate": ["DIR", "DATA", "--json"],
        "curve": ["DATA", "--json"],
    }
    assert re.findall(r"python -m tl_core (\w+)", README) == list(examples)
    for command, arguments in examples.items():
        parse([command, *arguments])
    parse(["train", "DATA", "--out", "DIR", "--plan", "FILE"])


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"make (app|test|check)\b", README)) == {"app", "test", "check"} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_picture_and_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).is_file(), target


def test_every_folder_that_the_readme_names_exists():
    for name in ("pages", "ui", "tl_core", "benchmarks"):
        assert f"{name}/" in README
        assert (ROOT / name).is_dir()
