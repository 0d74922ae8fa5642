"""Ranking backbones as a run and by the command line, with tiny networks."""

import json
from dataclasses import replace

import pytest

from tests.test_jobs import run
from tests.tiny import TINY_IMAGE, make_images
from tl_core.advice.ranking import advice, read_ranking
from tl_core.backbones import speed
from tl_core.backbones.spec import BACKBONES
from tl_core.cli import main
from tl_core.data.holdout_log import holdout_uses
from tl_core.errors import BackboneError
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted, Progress, RunEnded
from tl_core.runs.task import Task


def broken(pretrained):
    raise BackboneError("Its weights are damaged.", "Fetch it again.")


@pytest.fixture
def two(monkeypatch, tiny_backbones):
    """A registry with two tiny networks of which one cannot be loaded."""
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    known = {
        "tiny_image": TINY_IMAGE,
        "second": replace(TINY_IMAGE, name="second", title="Second"),
        "broken": replace(TINY_IMAGE, name="broken", title="Broken", load=broken),
    }
    monkeypatch.setattr(BACKBONES, "_values", known)


def test_every_ready_backbone_is_measured_and_a_broken_one_is_left_out(workspace, tiny_images, two):
    _, events = run(workspace, Task("rank", "", tiny_images.fingerprint, name="all"))
    assert events[-1] == RunEnded("done", "2 backbones are ranked.", at=events[-1].at)
    ranking = read_ranking(workspace, tiny_images)
    assert {row.backbone for row in ranking.rows} == {"tiny_image", "second"}
    assert ranking.rows[0].accuracy == ranking.rows[1].accuracy, "the same network twice"
    assert ranking.rows[1].behind.value == 0
    assert ranking.failed == ("Broken: Its weights are damaged. Fetch it again.",)
    assert [event.finding.code for event in events if isinstance(event, Noted)] == ["backbone-left-out"]
    shares = [event.done / event.total for event in events if isinstance(event, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] <= 1
    assert not holdout_uses(tiny_images)
    assert advice(ranking)


def test_without_any_that_works_it_says_so(workspace, tiny_images, two):
    _, events = run(workspace, Task("rank", "", tiny_images.fingerprint, name="all", backbones=("broken",)))
    assert events[-1].status == "failed"
    assert "No backbone for images could be measured" in events[-1].reason


def test_a_stopped_ranking_keeps_what_was_read(workspace, tiny_images, two):
    class StopsLater(MemoryControl):
        asked = 0

        @property
        def stopped(self):
            self.asked += 1
            return self.asked > 3

    _, events = run(workspace, Task("rank", "", tiny_images.fingerprint, name="all"), StopsLater())
    assert events[-1].status == "stopped"
    assert read_ranking(workspace, tiny_images) is None


def test_the_command_prints_a_table_and_a_sentence(workspace, two, capsys, monkeypatch):
    made = make_images(workspace, per_class=10)
    monkeypatch.setattr("tl_core.cli.data.default_backbone", lambda dataset: ("tiny_image", None))
    monkeypatch.setattr("tl_core.cli.rank.open_data", lambda *arguments: made)
    assert main(["rank", "ignored", "--backbone", "tiny_image", "--backbone", "second"]) == 0
    printed = capsys.readouterr().out
    assert "behind the best" in printed
    assert printed.count("Take ") == 1
    assert "test items take no part" in printed
    monkeypatch.setattr("tl_core.cli.rank.run_to_end", lambda *arguments: 1 / 0)
    assert main(["rank", "ignored", "--backbone", "second", "--backbone", "tiny_image", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["backbone"] for row in document["rows"]} == {"tiny_image", "second"}
    assert document["advised"] in ("tiny_image", "second")


def test_a_ranking_is_reused_though_one_failed_and_one_of_few_leaves_it_alone(workspace, two, capsys, monkeypatch):
    made = make_images(workspace, per_class=10)
    monkeypatch.setattr("tl_core.cli.rank.open_data", lambda *arguments: made)
    monkeypatch.setattr("tl_core.cli.data.default_backbone", lambda dataset: ("tiny_image", None))
    assert main(["rank", "ignored"]) == 0
    assert main(["rank", "ignored", "--backbone", "second", "--json"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("tl_core.cli.rank.run_to_end", lambda *arguments: 1 / 0)
    assert main(["rank", "ignored"]) == 0
    assert "Left out: Broken" in capsys.readouterr().out
    assert read_ranking(workspace, made).compared == {"tiny_image", "second", "broken"}
    assert main(["rank", "ignored", "--backbone", "second"]) == 0
