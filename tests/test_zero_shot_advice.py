"""What no training reaches stands beside the strategies: measured by the probe, shown by `advise` and the Plan page."""

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import scripted
from tests.pages.conftest import PAGES, ROOT, page_text
from tests.test_cli import call
from tests.test_jobs import run
from tests.tiny import TINY_TEXT
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.task import Task
from tl_core.types import Estimate
from tl_core.zero_shot.encoder import embed_texts
from tl_core.zero_shot.measured import zero_shot_accuracy
from tl_core.zero_shot.names import TEMPLATES, prompts
from tl_core.zero_shot.scoring import class_vectors, unit


@pytest.fixture
def probed(workspace, tiny_texts, tiny_backbones) -> Dataset:
    """Texts of two classes after the probe."""
    task = Task("probe", "tiny_text", tiny_texts.fingerprint, tiny_texts.split, name="probe")
    assert run(workspace, task)[1][-1].status == "done"
    return tiny_texts


def expected(dataset: Dataset, workspace) -> tuple[float, int]:
    """The accuracy on training and validation items, from the features and the names alone."""
    features = FeatureStore(workspace).features(dataset, TINY_TEXT)
    asked = prompts(dataset.classes, TEMPLATES["text"])
    vectors = class_vectors(np.stack([embed_texts(line, TINY_TEXT) for line in asked]))
    rows = dataset.rows("train", "validation")
    right = (unit(features) @ vectors.T).argmax(axis=1)[rows] == dataset.labels[rows]
    return float(right.mean()), len(rows)


def test_the_probe_measures_it_without_the_test_items(workspace, probed):
    found = zero_shot_accuracy(probed, TINY_TEXT, workspace)
    assert isinstance(found, Estimate)
    assert (found.value, found.n) == expected(probed, workspace)
    assert found.n < len(probed.items)


def test_advise_names_it(workspace, tmp_path, capsys, tiny_backbones):
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "\n".join(f"{'ab'[n % 2]} word {n} {n * n},{'xy'[n % 2]}" for n in range(40)))
    code, printed, told = call(capsys, "advise", table, "--backbone", "tiny_text", "--json")
    assert code == 0, told
    none = json.loads(printed)["zero_shot"]
    assert 0 < none["n"] < 40
    code, printed, _ = call(capsys, "advise", table, "--backbone", "tiny_text")
    assert f"No training (zero-shot, by the class names): {none['value']:.1%}" in printed


def test_the_plan_page_shows_it(workspace, probed):
    plan = TransferPlan("tiny_text", "feature_extraction", (Phase("head", 2, {"head": 1e-2}),))
    scripted.project(workspace, probed, plan)
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.switch_page(PAGES["plan"]).run()
    assert not app.exception
    value, n = expected(probed, workspace)
    assert f"only the names of the classes: **{value:.0%}**" in page_text(app)
    assert f"{n} items)" in page_text(app)
