"""Importing data in a real browser: upload, correction, cancelling, the receipt."""

import base64
import io
import json
import re
import uuid
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SHOTS, settle, shot

pytestmark = pytest.mark.browser
MINUTES = 60_000
DROP = """async ([zone, files]) => {
    const carried = new DataTransfer();
    for (const [name, base64] of files) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        carried.items.add(new File([bytes], name));
    }
    zone.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


def picture(shade: int, mode: str = "RGB", kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    pixels = np.full((24, 24, 3), shade % 251, dtype=np.uint8)
    pixels[0, 0] = shade // 251
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def pictures(path: Path, per_class: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(2 * per_class):
            archive.writestr(f"{('daisy', 'tulip')[index % 2]}/{index:05d}.png", picture(index))
        archive.writestr("tulip/print.jpg", picture(9, "CMYK", "JPEG"))
        archive.writestr("tulip/broken.jpg", b"not a picture")
    return path


def zone(page: Page) -> Locator:
    return page.locator(".st-key-data_upload_zone")


def ways_in(page: Page, server: str, home: Path) -> None:
    """Open the app on an empty project."""
    name = uuid.uuid4().hex[:8]
    (home / "projects").mkdir(exist_ok=True)
    (home / "projects" / f"{name}.json").write_text(json.dumps({"project": name}))
    page.goto(f"{server}/?project={name}")
    expect(zone(page).locator(".zone")).to_be_visible(timeout=MINUTES)
    settle(page)


def metric(page: Page, label: str) -> Locator:
    return page.locator("[data-testid=stMetric]").filter(has_text=label).locator("[data-testid=stMetricValue]")


def uploads(home: Path) -> list[str]:
    """Return what lies in the uploads, tickets aside."""
    return [path.name for path in (home / "uploads").rglob("*") if path.is_file() and path.name != ".ticket"]


def drop(page: Page, files: list[tuple[str, bytes]]) -> None:
    packed = [[name, base64.b64encode(data).decode()] for name, data in files]
    handle = zone(page).locator(".zone").element_handle()
    page.evaluate(DROP, [handle, packed])


def test_a_dropped_zip_becomes_a_data_set_with_a_receipt(tab, server, home, tmp_path):
    ways_in(tab, server, home)
    expect(zone(tab).get_by_text("Up to 8 GB")).to_be_visible()
    shot(tab, "intake-1-ways")
    drop(tab, [("flowers.zip", pictures(tmp_path / "flowers.zip", 20).read_bytes())])
    expect(metric(tab, "Images").first).to_have_text("41", timeout=MINUTES)
    assert uploads(home) == []
    tab.get_by_text("Receipt: 41 images taken, 1 of them converted, 1 skipped").click()
    shot(tab, "intake-2-data")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the receipt").click()
    download.value.save_as(tmp_path / "receipt.csv")
    lines = pd.read_csv(tmp_path / "receipt.csv").set_index("Item")
    assert len(lines) == 42
    assert lines["What"]["tulip/broken.jpg"] == "skipped"
    assert "CMYK" in lines["Why"]["tulip/print.jpg"]
    assert lines["What"]["daisy/00000.png"] == "taken unchanged"


def test_a_folder_is_sent_file_by_file_without_junk(tab, server, home, tmp_path):
    for index in range(30):
        folder = tmp_path / "my garden" / ("rose", "lily & co")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index} #1?.png").write_bytes(picture(300 + index))
    (tmp_path / "my garden" / ".DS_Store").write_bytes(b"junk")
    (tmp_path / "my garden" / "Thumbs.db").write_bytes(b"junk")
    ways_in(tab, server, home)
    zone(tab).locator("input.folder").set_input_files(tmp_path / "my garden")
    expect(metric(tab, "Images").first).to_have_text("30", timeout=MINUTES)
    expect(tab.get_by_role("heading", name="my garden")).to_be_visible()
    assert uploads(home) == []


def test_what_is_too_large_is_said_before_anything_is_sent(tab, server, home):
    ways_in(tab, server, home)
    sent = []
    tab.on("request", lambda request: sent.append(request.url) if "/api/upload/" in request.url else None)
    zone(tab).locator(".zone").evaluate(
        """(zone) => {
            const file = new File(["x"], "huge.zip");
            Object.defineProperty(file, "size", { value: 9e9 });
            const event = new Event("drop", { bubbles: true });
            Object.defineProperty(event, "dataTransfer", { value: { items: [], files: [file] } });
            zone.dispatchEvent(event);
        }"""
    )
    expect(zone(tab).get_by_role("alert")).to_contain_text("path on this computer")
    assert sent == []


def test_sending_can_be_cancelled_and_nothing_stays(tab, server, home):
    ways_in(tab, server, home)
    tab.context.new_cdp_session(tab).send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000},
    )
    zone(tab).locator("input.files").set_input_files(
        {"name": "slow.zip", "mimeType": "application/zip", "buffer": b"x" * 8_000_000}
    )
    expect(zone(tab).get_by_text(re.compile(r"of 8 MB"))).to_be_visible()
    shot(tab, "intake-3-sending")
    zone(tab).get_by_role("button", name="Cancel").click()
    expect(zone(tab).locator(".zone")).to_be_visible()
    settle(tab)
    tab.wait_for_timeout(500)
    assert uploads(home) == []


def test_columns_of_a_table_can_be_corrected(tab, server, home):
    rows = "".join(
        f"{index};a letter about the weather, number {index};{'ab'[index % 2]};{'xyz'[index % 3]}\n"
        for index in range(60)
    )
    ways_in(tab, server, home)
    zone(tab).locator("input.files").set_input_files(
        {"name": "letters.csv", "mimeType": "text/csv", "buffer": ("nr;body;kind;topic\n" + rows).encode()}
    )
    labels = tab.get_by_role("combobox", name=re.compile("Labels are in"))
    expect(labels).to_be_visible(timeout=MINUTES)
    settle(tab)
    shot(tab, "intake-4-table")
    before = tab.url
    tab.reload()
    expect(labels).to_be_visible(timeout=MINUTES)
    assert tab.url == before
    labels.click()
    tab.get_by_role("option", name="topic" if "kind" in labels.get_attribute("aria-label") else "kind").click()
    expect(tab.get_by_text(re.compile("Labels in these rows: (a, b|x, y, z)$"))).to_be_visible(timeout=MINUTES)
    settle(tab)
    tab.wait_for_timeout(1_000)  # the notes above the button come and go with the choice, and move it
    tab.locator(".st-key-data_import button").click()
    expect(metric(tab, "Texts").first).to_have_text("60", timeout=MINUTES)


def test_an_import_goes_on_through_a_reload_and_can_be_cancelled(tab, browser, server, home, tmp_path):
    source = pictures(tmp_path / "many.zip", 15_000)
    ways_in(tab, server, home)
    before = sorted(path.name for path in (home / "datasets").glob("*"))
    tab.get_by_role("tab", name="A path on this computer").click()
    tab.get_by_role("textbox", name="Folder or file").fill(str(source))
    tab.locator(".st-key-data_path_open button").click()
    progress = tab.get_by_text(re.compile(r"Reading pictures: [\d,]+ of"))
    expect(progress).to_be_visible(timeout=MINUTES)
    shot(tab, "intake-5-progress")
    tab.reload()
    expect(progress).to_be_visible(timeout=MINUTES)
    second = browser.new_context().new_page()
    second.goto(tab.url)
    expect(second.get_by_text(re.compile(r"Reading pictures: [\d,]+ of"))).to_be_visible(timeout=MINUTES)
    second.context.close()
    tab.get_by_role("button", name="Cancel").click()
    expect(zone(tab).locator(".zone")).to_be_visible(timeout=MINUTES)
    assert sorted(path.name for path in (home / "datasets").glob("*")) == before
    assert list((home / "imports").iterdir()) == []
    assert source.exists()


def test_the_drop_zone_works_by_keyboard_and_on_a_narrow_screen(tab, server, home):
    tab.set_viewport_size({"width": 480, "height": 900})
    ways_in(tab, server, home)
    button = zone(tab).get_by_role("button", name="Choose files")
    settle(tab)  # a page that is still being drawn takes the focus away
    with tab.expect_file_chooser() as chooser:
        button.press("Enter")
    assert chooser.value.is_multiple()
    tab.keyboard.press("Tab")
    expect(zone(tab).get_by_role("button", name="Choose a folder")).to_be_focused()
    width = tab.evaluate("document.documentElement.scrollWidth")
    assert width <= 480
    tab.screenshot(path=SHOTS / "intake-6-narrow.png")
