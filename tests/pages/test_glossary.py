"""The glossary: every term of a tooltip comes from it, the page shows all of it, and no page repeats a definition."""

import ast
import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PAGES, ROOT, page_text
from ui import glossary, rail

FILES = sorted([*(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py")])
SHARED = 6
"""So many words in a row are a repeated definition."""


def used_terms() -> Iterator[tuple[str, str]]:
    """Yield the file and the term of every literal `glossary.tip(...)` and `glossary.TERMS[...]`."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "glossary.tip":
                names = [argument for argument in node.args if isinstance(argument, ast.Constant)]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "glossary.TERMS":
                names = [node.slice] if isinstance(node.slice, ast.Constant) else []
            else:
                continue
            yield from ((path.relative_to(ROOT).as_posix(), name.value) for name in names)


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w'-]+", text.lower())
    return {tuple(words[at : at + SHARED]) for at in range(len(words) - SHARED + 1)}


def test_every_term_of_a_tooltip_is_in_the_glossary() -> None:
    used = list(used_terms())
    assert len({term for _, term in used}) > 20
    assert not [(path, term) for path, term in used if term not in glossary.TERMS]


def test_no_page_repeats_a_definition() -> None:
    definitions = set().union(*(runs_of_words(text) for text in glossary.TERMS.values()))
    for path in FILES:
        if path.name == "glossary.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not runs_of_words(node.value) & definitions, f"{path.name}: {node.value}"


def test_definitions_are_short_and_are_given_once() -> None:
    assert sum(map(len, glossary.SECTIONS.values())) == len(glossary.TERMS)
    for term, text in glossary.TERMS.items():
        assert text.endswith("."), term
        assert len(re.findall(r"[.!?](?:\s|$)", text)) <= 3, term


def test_the_page_shows_every_term_and_is_no_step(app: AppTest) -> None:
    app.run()
    app.switch_page(PAGES["glossary"]).run()
    assert not app.exception
    for term, text in glossary.TERMS.items():
        assert f"**{glossary.name(term)}**  \n{text}" in page_text(app)
    assert not [button for button in app.button if button.key in ("rail_next", "rail_back")]
    assert {step.name for step in rail.steps(rail.Session("0123abcd")) if step.state == "aside"} == set(rail.ASIDE)


@pytest.mark.parametrize(
    ("label", "term"), [("Learning rate, times the usual", "learning rate"), ("Patience", "patience"), ("Rank", None)]
)
def test_a_form_field_gets_the_meaning_of_its_term(label: str, term: str | None) -> None:
    expected = glossary.tip(term, note="A note.") if term else "A note."
    assert glossary.tip_for(label, "A note.") == expected


def test_an_unknown_term_is_an_error() -> None:
    with pytest.raises(KeyError):
        glossary.tip("backbones")
