"""Activations in memory or on disk: the same bits, within the budget, and no file left behind."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.helpers import SOLVED, descent, make_job, same_bits
from tests.training.test_resume import PausesAt, attempt, epoch_results, weights, whole
from tl_core.backbones import prepared
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Progress, RunEnded, RunPaused, RunResumed
from tl_core.training import activation_cache
from tl_core.training.activation_cache import CacheBudget, InMemory, StateFile, make_cache, pad
from tl_core.training.input_provider import InputProvider
from tl_core.training.inputs import CachedInputs
from tl_core.training.loop import train
from tl_core.training.lr_finder import find_rate

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool)
Usage = namedtuple("Usage", "total used free")


def draw(shape, dtype, generator):
    """Any bits but those of booleans, NaN and infinity among them."""
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    width = torch.empty(0, dtype=dtype).element_size()
    return torch.randint(0, 256, (*shape, width), dtype=torch.uint8, generator=generator).view(dtype)[..., 0]


def bits(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from(DTYPES), st.sampled_from([(), (1,), (3,), (2, 5)])), min_size=1, max_size=3),
    st.integers(0, 2**16),
)
def test_texts_of_any_lengths_come_back_as_they_were(lengths, parts, seed):
    generator = torch.Generator().manual_seed(seed)
    items = [tuple(draw((n, *inner), dtype, generator) for dtype, inner in parts) for n in lengths]
    like = tuple(pad(tensors) for tensors in zip(*items, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        file = StateFile(Path(folder), like, [sum(lengths)] * len(like), [True] * len(like))
        order = torch.randperm(len(items), generator=generator).tolist()
        for row in order:
            file.put(row + 100, items[row])
        for row, item in enumerate(items):
            for cached, expected in zip(file.get(row + 100), item, strict=True):
                assert (cached.dtype, cached.shape) == (expected.dtype, expected.shape)
                assert bits(cached) == bits(expected)
        assert file.get(99) is None
        taken = sum(tensor.nbytes for item in items for tensor in item)
        assert taken <= file.on_disk < taken + activation_cache.ALIGN * len(parts)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_keep_their_bits_and_their_layout(layout, dtype, tmp_path):
    like = torch.randn(5, 6, 4, 3).to(dtype).contiguous(memory_format=layout)
    memory, file = InMemory(), StateFile(tmp_path, (like,), [5], [False])
    for row in range(5):
        memory.put(row, (like[row],))
        file.put(row, (like[row],))
        assert bits(file.get(row)[0]) == bits(like[row])
        assert file.get(row)[0].stride() == memory.get(row)[0].stride(), "kernels choose their way by the layout"
    one, other = (pad([store.get(row)[0] for row in (3, 0, 4)]) for store in (memory, file))
    assert one.stride() == other.stride()
    assert bits(one) == bits(other)


def tasks(dataset, *names, **fields):
    """The same run of a head and then of the last group, in folders of their own."""
    phases = [SOLVED, descent(["top" if dataset.modality == "image" else "layer.1", "head"], 3)]
    return [make_job(dataset, phases, folder=name, publish=0.0, **fields) for name in names]


def watch(monkeypatch):
    """Note where each batch was read from, and the bytes of disk behind it."""
    seen, take = [], CachedInputs.state

    def state(inputs, *args, **more):
        seen.append((type(inputs._cache), inputs.on_disk))
        return take(inputs, *args, **more)

    monkeypatch.setattr(CachedInputs, "state", state)
    return seen


def held(workspace):
    """Files of the cache that this process still has mapped, with a name or without one."""
    folder = workspace.root / "cache"
    assert not folder.exists() or not list(folder.iterdir())
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line]


needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list what is mapped")


@needs_proc
@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
def test_memory_disk_and_resuming_give_the_same_bits(data, request, workspace, monkeypatch):
    dataset = request.getfixturevalue(data)
    memory, disk, dropped = tasks(dataset, "memory", "disk", "dropped")
    disk, dropped = replace(disk, cache=1), replace(dropped, cache=1)
    seen = watch(monkeypatch)
    expected = whole(memory)
    assert {kind for kind, _ in seen} == {InMemory}
    seen.clear()
    from_disk = whole(disk)
    assert {kind for kind, _ in seen} == {StateFile}
    seen.clear()
    events = attempt(dropped, PausesAt(9), lambda event, _: isinstance(event, RunPaused))
    assert isinstance(events[-1], RunPaused)
    assert not held(workspace)
    assert {kind for kind, _ in seen} == {StateFile}
    events += whole(replace(dropped, resume=True))
    assert any(isinstance(event, RunResumed) for event in events)
    assert epoch_results(expected) == epoch_results(from_disk) == epoch_results(events)
    assert weights(memory) == weights(disk) == weights(dropped)
    assert not held(workspace)


def test_memory_then_disk_then_neither(tiny_images, workspace, monkeypatch):
    (job,) = tasks(tiny_images, "run")
    seen = watch(monkeypatch)
    whole(replace(job, cache=1))
    size = seen[0][1]
    items = len(tiny_images.rows("train", "validation"))
    assert size == items * 16 * 8 * 8 * 4, "each picture's activations before the last group"
    rooms = [(size, 0), (size - 1, size + activation_cache.ALIGN), (size - 1, size - 1), (1, 0), (0, 2**40)]
    expected = [{InMemory}, {StateFile}, set(), set(), set()]
    for (cache, disk), kinds in zip(rooms, expected, strict=True):
        seen.clear()
        whole(replace(job, cache=cache, disk=disk))
        assert {kind for kind, _ in seen} == kinds, (cache, disk)


def room(folder, memory=1, disk=2**20):
    return CacheBudget(memory, disk, folder)


def test_the_last_bytes_of_free_disk_are_never_touched(tmp_path, monkeypatch):
    like, rows = (torch.zeros(4, 64, 64),), np.arange(4)
    need = like[0].nbytes + activation_cache.ALIGN
    for free, fits in ((prepared.SPARE + need, True), (prepared.SPARE + need - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Usage(2**50, 0, free))
        assert (make_cache(room(tmp_path), like, rows, None, [False]) is not None) == fits


def test_no_memory_means_no_file_either(tmp_path):
    like, rows = (torch.zeros(4, 64, 64),), np.arange(4)
    assert isinstance(make_cache(room(tmp_path), like, rows, None, [False]), StateFile)
    assert make_cache(room(tmp_path, memory=0), like, rows, None, [False]) is None


def test_what_an_earlier_cache_still_takes_counts(tiny_images, monkeypatch):
    (job,) = tasks(tiny_images, "run", cache=1)
    rooms, made = [], activation_cache.make_cache

    def keeping(room, *args):
        rooms.append(room.disk)
        return made(room, *args)

    monkeypatch.setattr("tl_core.training.inputs.make_cache", keeping)
    stages, old = [], InputProvider.staged

    def twice(feed, model, start, rows, room):
        first = yield from old(feed, model, start, rows, room)
        stages.append(first)  # somebody holds it
        feed.changed(0)
        return (yield from old(feed, model, start, rows, room))

    monkeypatch.setattr(InputProvider, "staged", twice)
    events = list(train(job, MemoryControl()))
    assert events[-1].status == "done", events[-1]
    assert rooms[0] == job.disk
    taken = len(tiny_images.rows("train", "validation")) * 16 * 8 * 8 * 4
    assert rooms[1] == job.disk - taken
    assert stages[0].on_disk == 0, "closed with the run, though somebody holds it"


def test_a_full_disk_leaves_the_run_without_a_cache(tiny_images, workspace, monkeypatch):
    plain, full, broken = tasks(tiny_images, "plain", "full", "broken")
    seen = watch(monkeypatch)
    expected = whole(replace(plain, cache=0))

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", refuse, raising=False)
        events = whole(replace(full, cache=1))
    shutil.rmtree(workspace.root / "cache", ignore_errors=True)
    (workspace.root / "cache").write_text("in the way")
    whole(replace(broken, cache=1))
    assert not seen
    assert epoch_results(events) == epoch_results(expected)
    assert weights(plain) == weights(full) == weights(broken)


def test_where_the_system_reserves_no_space_it_is_written(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(activation_cache, "CHUNK", 1000)
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        activation_cache._reserve(file, 4321)
        assert os.fstat(file.fileno()).st_size == 4321
        assert os.fstat(file.fileno()).st_blocks * 512 >= 4321
    like = (torch.randn(3, 50),)
    file = StateFile(tmp_path, like, [3], [False])
    file.put(0, (like[0][1],))
    assert same_bits(file.get(0)[0], like[0][1])


@needs_proc
@pytest.mark.parametrize("way", ["stopped", "dropped", "failed"])
def test_the_space_is_free_again_however_the_run_ends(way, tiny_images, workspace, monkeypatch):
    (job,) = tasks(tiny_images, "run", cache=1)
    control, events, mapped = MemoryControl(), [], []
    if way == "failed":
        take = CachedInputs.forward
        fail = iter([False] * 5 + [True] * 99)

        def learn(*args):
            if next(fail):
                mapped.extend(held(workspace))
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return take(*args)

        monkeypatch.setattr(CachedInputs, "forward", learn)
    running = train(job, control)
    for event in running:
        events.append(event)
        if way != "failed" and getattr(event, "step", 0) > 5:
            mapped += held(workspace)
            if way == "dropped":
                break
            control.stop()
    running.close()
    assert mapped
    assert not held(workspace)
    if way != "dropped":
        assert isinstance(events[-1], RunEnded)
        assert events[-1].status == way


@needs_proc
def test_the_rate_finder_leaves_nothing_behind(tiny_images, workspace, monkeypatch):
    (job,) = tasks(tiny_images, "run", cache=1)
    seen = watch(monkeypatch)
    *_, curve = find_rate(job, MemoryControl(), steps=10)
    assert not isinstance(curve, Progress)
    assert {kind for kind, _ in seen} == {StateFile}
    assert not held(workspace)


def test_a_killed_process_leaves_nothing_behind(tmp_path):
    code = (
        "import sys, torch, pathlib\n"
        "from tl_core.training.activation_cache import StateFile\n"
        "file = StateFile(pathlib.Path(sys.argv[1]), (torch.ones(2, 64, 64),), [2], [False])\n"
        "file.put(0, (torch.ones(64, 64),))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], **pipes) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


def test_inputs_that_were_closed_cannot_be_read(tiny_images):
    inputs = CachedInputs(1, None, InMemory(), (False,))
    inputs.put(np.array([3]), (torch.ones(1, 2),))
    assert inputs.holds(np.array([3]))
    inputs.close()
    assert not inputs.holds(np.array([3]))
