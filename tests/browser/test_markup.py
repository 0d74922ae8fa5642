"""Names full of markup in a real browser: shown as they are, and no request leaves because of one."""

import os
import socket
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import ROOT
from tests.browser.markup_page import NAMES

pytestmark = pytest.mark.browser


@pytest.fixture
def page_of_names():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "tests/browser/markup_page.py", "--server.port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*command, "--server.headless", "true"], cwd=ROOT, env=environment) as process:
        yield f"http://127.0.0.1:{port}"
        process.kill()


def test_names_are_shown_as_they_are(page_of_names, browser: Browser):
    page = browser.new_page()
    left: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(page_of_names) else left.append(request.url))
    for _ in range(100):
        try:
            page.goto(page_of_names)
            break
        except Exception:  # the server is still starting
            page.wait_for_timeout(200)
    expect(page.get_by_text("The end.")).to_be_visible(timeout=60_000)
    blocks = page.get_by_test_id("stMarkdownContainer").all()
    for name, plain, styled in zip(NAMES, blocks[::2], blocks[1::2], strict=False):
        expected = " ".join(name.split())
        assert plain.inner_text().replace("\u2060", "").strip() == expected
        assert plain.locator("p > *").count() == 0, expected
        assert styled.inner_text().replace("\u2060", "").strip() == f"{expected} {expected}"
        assert styled.locator("p > *").count() == 2, expected
    assert not [url for url in left if not url.startswith(("data:", "blob:"))]
    page.close()
