"""The check job: what it saves, stopping and restarting it, and the command."""

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tests.test_jobs import run
from tests.tiny import write_dataset
from tl_core.cli import main
from tl_core.data.decisions import Decision
from tl_core.data.picture_stats import measure_picture_files, picture_stats_cache
from tl_core.data.quality.quality_report import latest_quality, read_quality
from tl_core.features import FeatureStore
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Progress, RunEnded
from tl_core.runs.task import Task
from tl_core.types import dump, load
from tl_core.workspace import write_bytes


@pytest.fixture
def doubled(tiny_texts, workspace):
    """The tiny texts, three of them twice."""
    rows = tiny_texts.items[["id", "text", "label", "digest"]].to_dict("records")
    rows += [{**row, "id": f"again {row['id']}"} for row in rows[:3]]
    return write_dataset(workspace, "doubled", "text", rows, 2)


def test_without_a_model_only_checks_that_need_none_are_made(workspace, doubled):
    _, events = run(workspace, Task("check", "", doubled.fingerprint))
    assert events[-1].status == "done", events[-1]
    report = read_quality(workspace, doubled)
    assert report.suspicion("duplicates").groups == ((0, 40), (1, 41), (2, 42))
    assert {"copies", "near", "names", "texts", "language", "sizes"} == set(report.made)
    assert read_quality(workspace, doubled, "tiny_text") is None
    assert not (workspace.root / "features").exists()
    assert load(type(report), json.loads(json.dumps(dump(report)))) == report


def test_with_a_model_every_check_that_fits_is_made(workspace, doubled, tiny_images, tiny_backbones):
    for dataset, backbone, own in ((doubled, tiny_backbones[1], "texts"), (tiny_images, tiny_backbones[0], "pictures")):
        _, events = run(workspace, Task("check", backbone, dataset.fingerprint))
        assert events[-1].status == "done", events[-1]
        report = read_quality(workspace, dataset, backbone)
        assert {"copies", "near", "sizes", "alike", "outliers", "labels", own} <= set(report.made)
        stages = {event.stage for event in events if isinstance(event, Progress)}
        assert {"features", "comparing items", "looking for wrong labels"} <= stages


def test_a_planted_wrong_label_is_found_through_the_whole_job(workspace, tiny_backbones):
    random = np.random.default_rng(0)
    words = (["pan", "oven", "salt", "bread", "soup"], ["rain", "cloud", "storm", "wind", "snow"])
    rows = []
    for n in range(120):
        text = " ".join(random.choice(words[n % 2], 12))
        rows.append(
            {"id": f"{n}", "text": text, "label": n % 2, "digest": f"{n:04d}", "given": ["train", "test"][n > 99]}
        )
    for n in (4, 17, 50):
        rows[n]["label"] = 1 - rows[n]["label"]
    dataset = write_dataset(workspace, "words", "text", rows, 2)
    run(workspace, Task("check", tiny_backbones[1], dataset.fingerprint))
    suspicion = read_quality(workspace, dataset, tiny_backbones[1]).suspicion("label-suspect")
    assert set(suspicion.rows) == {4, 17, 50}
    assert dict(zip(suspicion.rows, suspicion.suggested, strict=True)) == {4: "a", 17: "b", 50: "a"}


def test_a_stopped_check_keeps_measurements_and_writes_no_report(workspace, tiny_images, monkeypatch):
    from tl_core.jobs import check

    monkeypatch.setattr(check, "BLOCK", 8)
    control = MemoryControl()
    measured = []

    @contextmanager
    def stop_after_two(dataset):
        def measure(rows, progress):
            measured.extend(rows.tolist())
            if len(measured) == 16:
                control.stop()
            return look_at(rows, progress)

        with picture_stats_cache(dataset) as look_at:
            yield measure

    monkeypatch.setattr(check, "picture_stats_cache", stop_after_two)
    task = Task("check", "", tiny_images.fingerprint)
    _, events = run(workspace, task, control)
    assert events[-1].status == "stopped"
    assert sum(isinstance(event, RunEnded) for event in events) == 1
    assert measured == list(range(16))
    assert read_quality(workspace, tiny_images) is None
    with np.load(tiny_images.folder / "looks.npz") as kept:
        assert kept["known"].sum() == 16
    _, events = run(workspace, task)
    assert events[-1].status == "done"
    assert read_quality(workspace, tiny_images)


@pytest.mark.parametrize(("seconds", "most"), [(30.0, 1), (-1.0, 99)])
def test_the_measurement_cache_is_not_rewritten_for_every_block(
    seconds, most, workspace, doubled, tiny_images, monkeypatch
):
    from tl_core.data import measurement_cache
    from tl_core.jobs import check

    monkeypatch.setattr(check, "BLOCK", 4)
    monkeypatch.setattr(measurement_cache, "EVERY", seconds)
    times = []

    def counted(path, data):
        times.append(path.name)
        write_bytes(path, data)

    monkeypatch.setattr(measurement_cache, "write_bytes", counted)
    for dataset in (tiny_images, doubled):
        run(workspace, Task("check", "", dataset.fingerprint))
    assert set(times) == {"looks.npz", "languages.npz"}
    blocks = [-(-len(dataset.items) // 4) for dataset in (tiny_images, doubled)]
    assert [times.count(name) for name in ("looks.npz", "languages.npz")] == [min(most, n) for n in blocks]
    with np.load(tiny_images.folder / "looks.npz") as kept:
        values = measure_picture_files(tiny_images.folder / path for path in tiny_images.items["path"])
        assert np.array_equal(kept["values"], values)


def test_results_belong_to_one_version_and_older_ones_are_marked(workspace, doubled):
    run(workspace, Task("check", "", doubled.fingerprint))
    changed = replace(doubled, decisions=(Decision("drop", (int(doubled.rows("train")[0]),)),))
    assert read_quality(workspace, changed) is None
    assert latest_quality(workspace, changed).version == doubled.version != changed.version
    assert latest_quality(workspace, changed, "tiny_text") is None


def test_too_few_items_are_a_note_and_no_failure(workspace, tiny_backbones):
    rows = [{"id": f"{n}", "text": f"text {n}", "label": n % 2, "digest": f"{n}"} for n in range(6)]
    dataset = write_dataset(workspace, "few", "text", rows, 2)
    _, events = run(workspace, Task("check", tiny_backbones[1], dataset.fingerprint))
    assert events[-1].status == "done", events[-1]
    report = read_quality(workspace, dataset, tiny_backbones[1])
    assert "labels" not in report.made
    assert any("too few items" in note for note in report.notes)


def test_the_command_prints_findings_items_and_proposals(workspace, tmp_path, capsys):
    lines = [f"some words about topic {n % 2} and number {n},{'ab'[n % 2]}" for n in range(60)]
    (tmp_path / "data.csv").write_text("text,label\n" + "\n".join([*lines, lines[3], lines[3]]) + "\n")
    assert main(["check", str(tmp_path / "data.csv"), "--quick"]) == 0
    out = capsys.readouterr().out
    assert "2 items are exact copies" in out
    assert "proposed: drop" in out
    assert main(["check", str(tmp_path / "data.csv"), "--quick", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "duplicates" in [suspicion["finding"]["code"] for suspicion in report["suspicions"]]


def test_the_forward_pass_is_made_once(workspace, doubled, tiny_backbones, monkeypatch):
    task = Task("check", tiny_backbones[1], doubled.fingerprint)
    run(workspace, task)
    monkeypatch.setattr(FeatureStore, "_pass", lambda *_: pytest.fail("the backbone ran again"))
    _, events = run(workspace, task)
    assert events[-1].status == "done"
