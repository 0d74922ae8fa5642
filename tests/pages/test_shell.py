import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PAGES, ROOT, page_text, upload, zip_bytes
from tl_core.errors import DataError
from tl_core.types import load
from tl_core.workspace import Workspace, read_json
from ui import rail, uploads
from ui.session import Session

HEAVY = {"torch", "torchvision", "timm", "transformers", "sklearn"}


def test_pages_follow_their_numbers() -> None:
    assert list(rail.page_files()) == ["data", "backbone", "plan", "train", "results", "try", *rail.ASIDE]


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda path: path.stem)
def test_pages_are_short_and_light(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    roots = {
        (getattr(node, "module", None) or alias.name).split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert not roots & HEAVY


@pytest.mark.parametrize("name", ["backbone", "plan", "train", "results", "try", "runs"])
def test_every_page_has_an_empty_state(app: AppTest, name: str) -> None:
    app.run()
    app.switch_page(PAGES[name]).run()
    assert not app.exception
    assert not app.error
    assert [button for button in app.button if button.key.startswith("empty_go_")]


def test_the_rail_says_what_is_done_and_what_is_next(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    draft = load(Session, read_json(next(workspace.folder("projects").glob("*.json"))))
    steps = {step.name: step for step in rail.steps(draft)}
    assert steps["data"].state == "done"
    assert steps["data"].choice == "flowers · 24 images"
    assert steps["backbone"].state == "next"
    assert steps["plan"].state == "later"


def test_the_project_is_in_the_address(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    draft = next(workspace.folder("projects").glob("*.json")).stem
    assert app.query_params["project"] in (draft, [draft])


def test_an_address_names_its_own_project(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    (workspace.folder("projects") / "00000000.json").write_text('{"project": "00000000"}')
    other = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60)
    other.query_params["project"] = "00000000"
    assert other.run().title[0].value == "Bring your data"


def test_a_hostile_address_is_only_an_unknown_project(app: AppTest) -> None:
    app.query_params["project"] = "../../etc/passwd"
    app.query_params["run"] = "../../etc"
    app.run()
    assert not app.exception
    assert app.title[0].value == "Bring your data"


def test_an_unforeseen_error_is_shown_kindly(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a detail that nobody can use")

    monkeypatch.setattr("ui.data.ways_in.ways_in", broken)
    app.run()
    assert not app.exception
    assert "Something went wrong" in page_text(app)
    assert "ZeroDivisionError" not in page_text(app)
    assert "a detail" not in page_text(app)


def test_a_foreseen_error_is_a_sentence_and_a_hint(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise DataError("The disk went away.", "Plug it in again.")

    monkeypatch.setattr("ui.data.ways_in.ways_in", broken)
    app.run()
    assert "The disk went away." in app.error[0].value
    assert "Plug it in again." in app.error[0].value


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\flowers.zip", "flowers.zip"),
        (".hidden", "hidden"),
        ("a\x00b:c.csv", "a_b_c.csv"),
        ("...", "upload"),
        ("Блюда 图.zip", "Блюда 图.zip"),
    ],
)
def test_upload_names_cannot_leave_their_folder(name: str, safe: str) -> None:
    assert uploads.safe_name(name) == safe
