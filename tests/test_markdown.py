"""Names stay as they are, whatever markup they hold. The oracle is a CommonMark parser of its own."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tl_core.markdown import code, escape

COMMONMARK = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = st.text(st.sampled_from("\\`*_{}[]<>()#+-=.!|~$:&;^ @/\n0a1w"), max_size=30)


def shown(source: str) -> str:
    """Return what a reader sees of one paragraph; anything but plain text in it fails."""
    rendered = COMMONMARK.render(source)
    if not rendered:
        return ""
    assert re.fullmatch(r"<p>[^<]*</p>\n", rendered), rendered
    return visible(rendered.removeprefix("<p>").removesuffix("</p>\n"))


def visible(rendered: str) -> str:
    return " ".join(html.unescape(rendered).replace("\u2060", "").split())


@given(st.one_of(MARKUP, st.text(st.characters(exclude_categories=["C"]), max_size=20)))
def test_text_is_shown_as_it_is(text):
    for source in (escape(text), escape(text, links=True)):
        assert shown(source) == visible(html.escape(text))
        cell = COMMONMARK.render(f"| a | b |\n|---|---|\n| {source} | c |\n")
        assert re.findall(r"<td>(.*)</td>", cell)[1:] == ["c"]


@given(MARKUP)
def test_a_code_span_holds_any_text(text):
    rendered = COMMONMARK.render(code(text))
    assert re.fullmatch(r"<p><code>[^<]*</code></p>\n", rendered)
    assert visible(rendered.removeprefix("<p><code>").removesuffix("</code></p>\n")) == visible(html.escape(text))


@pytest.mark.parametrize("text", ["cat dog", "3.14", "-5", "café", "A-1 / B-2", "what? no"])
def test_ordinary_names_are_as_readable_in_the_source(text):
    assert escape(text) == text


@pytest.mark.parametrize("address", ["http://a.example/x", "https://a.example", "www.a.example", "me@a.example"])
def test_addresses_are_interrupted_unless_links_are_allowed(address):
    assert "\u2060" in escape(address)
    assert "\u2060" not in escape(address, links=True)
