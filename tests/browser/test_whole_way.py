"""The whole way in a real browser: from the data to a model that answers the same outside the app."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle, shot
from tl_core.data.samples import package_folder

pytestmark = pytest.mark.browser
MINUTES = 60_000
TEXTILES = ("conformal_clip_data", "data", "textile_images", "simulated")


def press(page: Page, key: str, minutes: float = 0.5) -> None:
    """Click the button of a keyed widget once it is there."""
    page.locator(f".st-key-{key} button").first.click(timeout=minutes * MINUTES)


def continue_to(page: Page, step: str, minutes: float = 1) -> None:
    """Press Continue once the page allows it, and wait for the next page."""
    # by its words: until a page is drawn whole, the button of the page before stands there, which may be pressed
    button = page.locator(".st-key-rail_next").get_by_role("button", name=re.compile(f"Continue to {step}"))
    expect(button).to_be_enabled(timeout=minutes * MINUTES)
    button.click()
    expect(page).to_have_url(re.compile(rf"/{step}\b"))
    settle(page)


def new_project(page: Page, server: str) -> None:
    """Open the app, leave the current project, and wait for the drop zone."""
    page.goto(server)
    upload = "[class*=st-key-data_upload] input[type=file]"
    page.locator(f".st-key-data_new button, {upload}").first.wait_for(state="attached")
    if page.locator(".st-key-data_new button").count():
        press(page, "data_new")
    page.locator(upload).first.wait_for(state="attached")


def textile_zip(path: Path, per_class: int) -> Path:
    """Pack real textile pictures as a person would: one enclosing folder, with junk of an operating system."""
    root = package_folder(*TEXTILES)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("nominal", "local", "global"):
            for picture in sorted((root / name).glob("*.jpg"))[:per_class]:
                archive.write(picture, f"my textiles/{name}/{picture.name}")
        archive.writestr("my textiles/.DS_Store", b"junk")
        archive.writestr("__MACOSX/my textiles/._x.jpg", b"junk")
        archive.writestr("my textiles/local/broken.jpg", b"not a picture")
    return path


def save_download(page: Page, key: str, path: Path) -> Path:
    with page.expect_download(timeout=2 * MINUTES) as download:
        press(page, key)
    download.value.save_as(path)
    return path


def outside(bundle_zip: Path, source: Path, folder: Path) -> pd.DataFrame:
    """Unpack a bundle elsewhere and run its predict.py in a clean process."""
    with zipfile.ZipFile(bundle_zip) as archive:
        archive.extractall(folder)
    script = next(folder.rglob("predict.py"))
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(source), "--out", str(folder / "out.csv")],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "out.csv")


def same_answers(app: pd.DataFrame, elsewhere: pd.DataFrame) -> None:
    """Assert that two tables of predictions agree to 1e-4."""
    assert list(app.columns) == list(elsewhere.columns)
    assert app["predicted"].tolist() == elsewhere["predicted"].tolist()
    np.testing.assert_allclose(app.iloc[:, 2:].to_numpy(float), elsewhere.iloc[:, 2:].to_numpy(float), atol=1e-4)


def take_away(page: Page, batch: Path, tmp_path: Path) -> None:
    """Classify a batch in the app, download table and bundle, and compare with the bundle's own program."""
    page.get_by_role("tab", name="Many at once").click()
    page.locator(
        ".st-key-try_batch input[type=file], [class*=st-key-try_batch] input[type=file]"
    ).first.set_input_files(batch)
    expect(page.locator(".st-key-try_table_download button")).to_be_visible(timeout=3 * MINUTES)
    table = pd.read_csv(save_download(page, "try_table_download", tmp_path / "table.csv"))
    bundle = save_download(page, "try_download", tmp_path / "bundle.zip")
    same_answers(table, outside(bundle, batch, tmp_path / "elsewhere"))


def wait_for_the_model(page: Page, minutes: float) -> None:
    expect(page.get_by_text(re.compile("The model is ready"))).to_be_visible(timeout=minutes * MINUTES)


def expect_both_comparisons(page: Page) -> None:
    """Wait until the gain over the classical model and over the same network from scratch are both shown."""
    expect(page.get_by_text("Gain in points")).to_have_count(2, timeout=6 * MINUTES)
    expect(page.get_by_text(re.compile("Against: the same network"))).to_be_visible()


def test_texts_from_a_ready_sample(tab, server, tmp_path):
    new_project(tab, server)
    press(tab, "data_sample_bbc_news")
    expect(tab.locator(".st-key-data_metrics")).to_be_visible(timeout=2 * MINUTES)
    settle(tab)
    shot(tab, "1-data")
    continue_to(tab, "backbone")
    press(tab, "backbone_use_all_minilm_l6_v2")
    settle(tab)
    shot(tab, "2-backbone")
    continue_to(tab, "plan")
    expect(tab.locator("[class*=st-key-plan_grid]").first).to_be_visible()
    continue_to(tab, "train", minutes=8)
    tab.locator(".st-key-train_budget input").fill("10")
    tab.locator(".st-key-train_budget input").press("Enter")
    settle(tab)
    press(tab, "train_start")
    expect(tab).to_have_url(re.compile("run="))
    wait_for_the_model(tab, 6)
    press(tab, "train_results")
    expect(tab).to_have_url(re.compile("/results"))
    expect_both_comparisons(tab)
    expect(tab.get_by_text("Transfer helps").first).to_be_visible()
    settle(tab)
    shot(tab, "5-results")
    continue_to(tab, "try")
    tab.locator(".st-key-try_text textarea").fill("The striker scored twice in the final and lifted the cup.")
    tab.locator(".st-key-try_text textarea").press("Control+Enter")
    press(tab, "try_go")
    expect(tab.get_by_role("heading", name="sports")).to_be_visible(timeout=2 * MINUTES)
    shot(tab, "6-try")
    batch = tmp_path / "batch.csv"
    texts = ["The bank raised its rates again.", "A new phone with a faster chip.", "The minister resigned on Monday."]
    pd.DataFrame({"text": texts}).to_csv(batch, index=False)
    take_away(tab, batch, tmp_path)


def test_pictures_from_an_uploaded_zip(tab, browser, server, tmp_path):
    new_project(tab, server)
    upload = textile_zip(tmp_path / "my textiles.zip", 30)
    tab.locator("[class*=st-key-data_upload] input[type=file]").first.set_input_files(upload)
    expect(tab.locator(".st-key-data_metrics")).to_be_visible(timeout=2 * MINUTES)
    expect(tab.get_by_text(re.compile("broken.jpg|skipped", re.I)).first).to_be_visible()
    settle(tab)
    shot(tab, "1-data-pictures")
    continue_to(tab, "backbone")
    press(tab, "backbone_use_efficientnet_lite0")
    settle(tab)
    shot(tab, "2-backbone-pictures")
    continue_to(tab, "plan")
    expect(tab.locator(".st-key-rail_next button")).to_be_enabled(timeout=6 * MINUTES)
    tab.get_by_text("Other strategies").click()
    press(tab, "plan_choose_partial")
    settle(tab)
    shot(tab, "3-plan")
    continue_to(tab, "train", minutes=5)
    tab.locator(".st-key-train_budget input").fill("20")
    tab.locator(".st-key-train_budget input").press("Enter")
    settle(tab)
    press(tab, "train_start")
    press(tab, "train_pause", 2)
    paused = "Paused. Everything learned so far is kept"
    expect(tab.get_by_text(paused)).to_be_visible(timeout=2 * MINUTES)
    second = browser.new_context().new_page()
    second.goto(tab.url)
    expect(second.get_by_text(paused)).to_be_visible(timeout=MINUTES)
    tab.reload()
    expect(tab.get_by_text(paused)).to_be_visible(timeout=MINUTES)
    shot(tab, "4-train")
    press(second, "train_pause_end")
    expect(second.get_by_text(paused)).to_be_hidden(timeout=MINUTES)
    second.close()
    wait_for_the_model(tab, 8)
    press(tab, "train_results")
    expect(tab.locator(".st-key-results_confusion")).to_be_visible(timeout=MINUTES)
    expect_both_comparisons(tab)
    settle(tab)
    shot(tab, "5-results-pictures")
    continue_to(tab, "try")
    press(tab, "try_pick")
    expect(tab.get_by_text(re.compile("confident; the true label is"))).to_be_visible(timeout=2 * MINUTES)
    shot(tab, "6-try-pictures")
    take_away(tab, batch_zip(tmp_path / "batch.zip"), tmp_path)
    tab.goto(f"{server}/runs")
    expect(tab.locator("[class*=st-key-runs_card]").first).to_be_visible()
    settle(tab)
    shot(tab, "7-runs")


def batch_zip(path: Path) -> Path:
    """Pack three pictures without labels, one of them in an odd mode."""
    pictures = sorted((package_folder(*TEXTILES) / "local").glob("*.jpg"))[-3:]
    with zipfile.ZipFile(path, "w") as archive:
        for picture in pictures[:2]:
            archive.write(picture, picture.name)
        buffer = io.BytesIO()
        Image.open(pictures[2]).convert("CMYK").save(buffer, "JPEG")
        archive.writestr("odd.jpg", buffer.getvalue())
    return path


def test_a_deep_link_on_a_fresh_page_reaches_the_right_page(tab, server):
    tab.goto(f"{server}/runs")
    expect(tab).to_have_title(re.compile("Graft"))
    expect(tab.get_by_role("heading", name=re.compile("runs", re.I)).first).to_be_visible()
    tab.goto(f"{server}/data")
    expect(tab.locator(".st-key-rail_next").get_by_role("button", name="Continue to backbone")).to_be_visible()
    expect(tab.get_by_text("Page not found")).to_have_count(0)
    tab.goto(f"{server}/train?run=no-such-run")
    settle(tab)
    expect(tab.get_by_text(re.compile("Traceback|Error:"))).to_have_count(0)


def test_a_broken_zip_gets_one_sentence_and_the_drop_zone_again(tab, server):
    new_project(tab, server)
    upload = tab.locator("[class*=st-key-data_upload] input[type=file]").first
    upload.set_input_files({"name": "pictures.zip", "mimeType": "application/zip", "buffer": b"this is no zip"})
    expect(tab.get_by_test_id("stAlert").first).to_contain_text(re.compile("zip", re.I), timeout=MINUTES)
    expect(tab.locator("[class*=st-key-data_upload] input[type=file]").first).to_be_attached()
