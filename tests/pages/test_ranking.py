"""The comparison of all backbones that are ready, on the Backbone page."""

import time
from dataclasses import replace

from streamlit.testing.v1 import AppTest

from tests.pages.conftest import page_text, upload, zip_bytes
from tl_core.advice.probe_report import split_key
from tl_core.advice.ranking import Ranked, Ranking, write_ranking
from tl_core.data.sources import open_dataset
from tl_core.runs.store import RunStore
from tl_core.types import Estimate, load
from tl_core.workspace import Workspace, read_json
from ui.session import Session


def test_all_that_are_ready_are_compared_and_the_advised_one_is_taken(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    assert "Which backbone suits your images?" in page_text(app)
    app.button(key="rank_start").click().run()
    [state] = [state for state in RunStore(workspace).list() if state.kind == "rank"]
    assert app.button(key="rank_stop")
    RunStore(workspace).stop(state.id)
    near = Estimate(0.9, 0.8, 0.95, 60, "")
    row = Ranked("efficientnet_lite2", "EfficientNet-Lite2", near, near, None, near, 0.1, 30.0, 4_869_168)
    other = replace(
        row, backbone="efficientnet_lite0", title="EfficientNet-Lite0", seconds=10.0,
        behind=Estimate(-0.01, -0.05, 0.03, 60, ""),
    )  # fmt: skip
    task = state.task
    dataset = open_dataset(workspace, task.fingerprint).with_split(task.split)
    ranking = Ranking(
        task.fingerprint,
        split_key(dataset),
        "image",
        "accuracy",
        0.5,
        5,
        (row, other),
        "efficientnet_lite0",
        ("X: no.",),
    )
    write_ranking(workspace, ranking)
    deadline = time.monotonic() + 60
    while RunStore(workspace).state(state.id).active and time.monotonic() < deadline:
        time.sleep(0.1)
    app.run()
    assert not app.exception
    assert "not clearly worse than EfficientNet-Lite2 (-1.0 points" in page_text(app)
    assert "Left out: X: no." in page_text(app)
    assert app.button(key="rank_start").label == "Measure 1 new one too"
    app.button(key="rank_use").click().run()
    assert session_of(workspace).backbone == "efficientnet_lite0"
    assert app.button(key="rank_use").disabled


def session_of(workspace: Workspace) -> Session:
    [file] = workspace.folder("projects").glob("*.json")
    return load(Session, read_json(file))
