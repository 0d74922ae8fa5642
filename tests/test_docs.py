"""What README and docs say is true: commands, targets, pictures, and no path of one machine."""

import re
from pathlib import Path

import pytest

from tl_core.backbones.spec import BACKBONES
from tl_core.cli.parser import parse
from tl_core.penalties import PENALTIES, check_penalties
from tl_core.plan import check, from_yaml
from tl_core.strategies import STRATEGIES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_command_of_the_readme_is_understood():
    examples = {
        "samples": [],
        "profile": ["DATA", "--json"],
        "check": ["DATA", "--quick", "--json"],
        "decide": ["DATA", "relabel", "ITEM", "--label", "NAME", "--json"],
        "advise": ["DATA", "--json"],
        "rank": ["DATA", "--backbone", "NAME", "--json"],
        "train": ["DATA", "--out", "DIR", "--backbone", "NAME", "--strategy", "NAME", "--seed", "1", "--json"],
        "resume": ["DIR"],
        "rates": ["DATA"],
        "layers": ["DATA"],
        "zeroshot": ["DATA", "--classes", "A,B,C", "--out", "FILE.csv", "--template", "TEXT {}", "--json"],
        "predict": ["DIR", "INPUT", "--out", "FILE.csv"],
        "evaluate": ["DIR", "DATA", "--json"],
        "ensemble": ["DIR", "DIR", "--out", "DIR", "--json"],
        "curve": ["DATA", "--json"],
        "backbones": ["--delete", "NAME", "--json"],
        "fetch": ["hub:OWNER/NAME@REVISION", "--as", "timm:NAME", "--json"],
    }
    assert re.findall(r"python -m tl_core (\w+)", README) == list(examples)
    for command, arguments in examples.items():
        parse([command, *arguments])
    beside = ["--target", "DATA", "--source", "DATA", "--teacher", "DIR", "--fresh"]
    assert all(option in README for option in beside if option.startswith("--"))
    parse(["train", "DATA", "--out", "DIR", "--plan", "FILE", *beside])


def test_the_plan_of_the_readme_is_a_good_one():
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.S)
    groups = [group.name for group in BACKBONES["efficientnet_lite0"].groups]
    plan = from_yaml(text, groups, list(BACKBONES), "image")
    assert [finding for finding in check(plan, groups, modality="image") if finding.level != "info"] == []
    assert check_penalties(plan, (), "image") == ()


def test_every_strategy_and_penalty_is_named():
    text = re.sub(
        r"[^a-z0-9]", "", README.partition("## Strategies, penalties and plans")[2].partition("```yaml")[0].lower()
    )
    for name in (*STRATEGIES, *PENALTIES):
        words = {"lora": "adapters", "from_scratch": "fromscratch", "distil": "distillation", "distill": "distillation"}
        words |= {"partial": "partial", "lower_layers": "featuresfromlowerlayers", "wise_ft": "wiseft", "lp_ft": "lpft"}
        assert words.get(name, name.replace("_", "")) in text.replace("domainadaptivepretraining", "domainadaptive"), (
            name
        )


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"make (app|test|check)\b", README)) == {"app", "test", "check"} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_picture_and_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).is_file(), target


def test_every_path_that_the_architecture_page_names_exists():
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:tl_core|ui|pages|tests|benchmarks|docs)/[^` ]*|app\.py)`", text)
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_folder_that_the_readme_names_exists():
    for name in ("pages", "ui", "tl_core", "benchmarks"):
        assert f"{name}/" in README
        assert (ROOT / name).is_dir()
