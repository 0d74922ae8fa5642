"""Deciding about copies in a real browser: seen, looked at, left out, taken back."""

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import settle, shot
from tests.browser.test_whole_way import press
from tests.pages import scripted
from tl_core.data.dataset import Dataset
from tl_core.data.sources import import_data
from tl_core.workspace import Workspace

pytestmark = pytest.mark.browser


@pytest.fixture
def copies(home, tmp_path) -> Dataset:
    """40 pictures in two class folders, five of them twice."""
    draw = np.random.default_rng(5)
    for number, label in enumerate(("oak", "pine")):
        (tmp_path / "trees" / label).mkdir(parents=True)
        for index in range(20):
            coarse = draw.integers(0, 255, (6, 6, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)
            picture.save(tmp_path / "trees" / label / f"{index:02d}.png")
            if index < 2 + number:
                picture.save(tmp_path / "trees" / label / f"{index:02d} (1).png")
    return import_data(str(tmp_path / "trees"), Workspace(home))


def test_copies_are_left_out_and_brought_back(tab, server, home, copies):
    project = scripted.project(Workspace(home), copies, None)
    tab.goto(f"{server}/?project={project}")
    settle(tab)
    card = tab.locator(".st-key-decide_card_duplicates")
    expect(card).to_contain_text("exact copies")
    press(tab, "decide_look_duplicates")
    expect(card.locator("img").first).to_be_visible()
    settle(tab)
    assert card.locator("img").count() == 10
    shot(tab, "decide-copies")
    press(tab, "decide_all_duplicates")
    expect(tab.locator(".st-key-decide_so_far")).to_contain_text("Decisions so far: 1")
    settle(tab)
    after = Dataset.open(copies.folder)
    learned = after.items["digest"][np.isin(after.splits, ("train", "validation"))]
    assert not learned.duplicated().any()
    assert after.included.sum() < len(after.items)
    tab.locator(".st-key-decide_so_far summary").click()
    shot(tab, "decide-so-far")
    press(tab, "decide_undo_0")
    expect(card).to_contain_text("exact copies")
    assert Dataset.open(copies.folder).included.all()
