"""What only a browser shows of the looks: a narrow screen."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.pages import scripted
from tests.tiny import make_images
from tl_core.backbones.spec import BACKBONES
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.workspace import Workspace

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def project(home) -> str:
    """A project with data and a plan of five phases, as it lies on disk."""
    workspace = Workspace(home)
    groups = tuple(group.name for group in BACKBONES["efficientnet_lite0"].groups)
    plan = STRATEGIES["gradual"].make(TaskInfo("efficientnet_lite0", "image", groups, 18, 3, 6), {})
    assert len(plan.phases) > 3
    return scripted.project(workspace, make_images(workspace), plan)


def test_the_names_in_the_tree_are_whole_on_a_telephone(tab: Page, server: str, project: str):
    tab.set_viewport_size({"width": 390, "height": 900})
    tab.goto(f"{server}/backbone?project={project}")
    settle(tab)
    names = tab.locator(".leaf .title")
    expect(names.first).to_be_visible()
    assert all(names.evaluate_all("nodes => nodes.map(node => node.scrollWidth <= node.clientWidth)"))
    tab.locator(".leaf").first.focus()  # the arrow keys lead through the tree
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        tab.keyboard.press(key)
    second = names.nth(2).inner_text()
    expect(tab.locator(".st-key-backbone_card").get_by_role("heading", name=second)).to_be_visible()


def test_a_plan_of_many_phases_fits_a_telephone(tab: Page, server: str, project: str):
    tab.set_viewport_size({"width": 480, "height": 900})
    tab.goto(f"{server}/train?project={project}")
    settle(tab)
    grid = tab.locator(".st-key-train_plan .grid")
    expect(grid.get_by_text("block 7 of 7")).to_be_visible()
    wide, shown = grid.evaluate("node => [node.scrollWidth, node.clientWidth]")
    assert wide <= shown
