"""The memory that is estimated before a run, against the peak of real runs in processes of their own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.advice.test_rules import IMAGE, TEXT, speed_of
from tl_core.advice.cost import CACHE_LIMIT, RUN_BYTES, estimate
from tl_core.backbones.footprint import Footprint
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.speed import Speed, read_speed
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.process import peak_memory
from tl_core.types import load
from tl_core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20


def child(*arguments: object) -> str:
    command = [sys.executable, "-m", "tests.advice.trained", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


CASES = {
    "efficientnet_lite0": ("textile_defects", 40, [(0, 16), (2, 16), (9, 16)]),
    "all_minilm_l6_v2": ("bbc_news", 16, [(2, 8), (7, 8), (7, 16)]),
}
"""A sample, how many of its items, and how many layer groups learn (all of them last) at which batch size."""


@pytest.mark.slow
@pytest.mark.parametrize("backbone", CASES)
def test_the_estimate_is_within_30_percent_of_the_peak(backbone, tmp_path):
    sample, count, reaches = CASES[backbone]
    workspace, spec = Workspace(tmp_path), BACKBONES[backbone]
    child(tmp_path, backbone)
    speed = read_speed(workspace, backbone)
    assert reaches[-1][0] == len(spec.groups)
    peaks = []
    for reach, batch in reaches:
        measured = json.loads(child(tmp_path, sample, backbone, reach, count, batch))
        plan = load(TransferPlan, measured["plan"])
        estimated = estimate(plan, spec, speed, measured["train"], measured["classes"], measured["tokens"])[1]
        assert 0.7 <= estimated.value / measured["peak"] <= 1.3, (
            f"{estimated.value / MIB:.0f} estimated, {measured['peak'] / MIB:.0f} MiB measured"
        )
        assert estimated.low < estimated.value < estimated.high
        peaks.append(measured["peak"])
    assert peaks[-1] > 1.3 * peaks[0]  # so that one number could not pass for all


def speed_with_footprint(spec, **fields) -> Speed:
    names = [group.name for group in spec.groups]
    per_group = {name: dict.fromkeys(names, value) for name, value in fields.items() if name != "passing"}
    return dataclasses.replace(speed_of(spec), footprint=Footprint(**per_group, passing=fields.get("passing", 0.0)))


def estimated(spec, speed, groups, n_train=100, batch=8, tokens=0.0):
    plan = TransferPlan(spec.name, "x", (Phase("p", 1, dict.fromkeys([*groups, "head"], 1e-4)),), batch_size=batch)
    return estimate(plan, spec, speed, n_train, 3, tokens)[1].value


def test_the_parts_by_hand():
    names = [group.name for group in IMAGE.groups]
    head = 1281 * 3
    states = 4 * (IMAGE.parameters + head) + RUN_BYTES
    speed = speed_with_footprint(IMAGE, kept=float(MIB), output=1000.0)
    whole = estimated(IMAGE, speed, names)
    learning = 4 * (IMAGE.parameters + head) * (1 + 2 + 2)
    assert whole == pytest.approx(states + learning + 1.15 * 8 * len(names) * MIB)
    top = estimated(IMAGE, speed, names[-2:])
    learning = 4 * (605_440 + 412_160 + head) * (1 + 2 + 2)
    assert top == pytest.approx(
        states + learning + 100 * 1.2 * 1000 + max(1.15 * 8 * 2 * MIB, states - RUN_BYTES + 2 * learning / 5)
    )


def test_a_prefix_that_is_too_large_to_keep_takes_no_memory():
    names = [group.name for group in IMAGE.groups]
    speed = speed_with_footprint(IMAGE, output=float(MIB))
    fits = estimated(IMAGE, speed, names[-1:], n_train=1000)
    assert fits - estimated(IMAGE, speed_with_footprint(IMAGE), names[-1:], n_train=1000) == pytest.approx(1200 * MIB)
    assert estimated(IMAGE, speed, names[-1:], n_train=10_000) < CACHE_LIMIT


def test_texts_count_their_longest_batch_with_its_square():
    names = [group.name for group in TEXT.groups]
    speed = speed_with_footprint(TEXT, kept=1000.0, kept_square=100.0)
    tokens = TEXT.input.max_tokens
    more = estimated(TEXT, speed, names, batch=64, tokens=5) - estimated(TEXT, speed, names, batch=32, tokens=5)
    assert more == pytest.approx(1.15 * 32 * len(names) * tokens * (1000 + 100 * tokens))


def test_a_batch_holds_no_more_items_than_there_are():
    names = [group.name for group in IMAGE.groups]
    speed = speed_with_footprint(IMAGE, kept=float(MIB))
    assert estimated(IMAGE, speed, names, n_train=10, batch=64) == estimated(IMAGE, speed, names, n_train=10, batch=12)
    assert estimated(IMAGE, speed, names, n_train=10, batch=12) > estimated(IMAGE, speed, names, n_train=10, batch=8)


def test_the_peak_is_that_of_this_process_and_not_of_the_one_that_started_it():
    code = "from tl_core.runs.process import peak_memory as p; a = p(); b = b'x' * (300 << 20); print(a, p())"
    ballast = b"x" * (500 << 20)
    lines = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    before, after = map(int, lines.stdout.split())
    assert len(ballast) < peak_memory()
    assert before < 200 << 20
    assert 250 << 20 < after - before < 350 << 20
