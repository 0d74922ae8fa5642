"""The probe runs a frozen backbone once, and the store returns its features."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY_IMAGE, TINY_TEXT, TinyImage, write_dataset
from tl_core.backbones import prepared as prepared_module
from tl_core.backbones.prepared import RecordFile, open_cache
from tl_core.backbones.preprocess import ImagePreprocessor, preprocessor
from tl_core.backbones.shift import ShiftMeter
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import BackboneError, DataError, WorkspaceError
from tl_core.features import FeatureStore
from tl_core.workspace import Workspace

CPU = torch.device("cpu")


def direct(dataset: Dataset, spec: BackboneSpec, stage: int) -> np.ndarray:
    """Mean and standard deviation at the end of a stage, item by item."""
    network, prepare = spec.load(True).eval(), preprocessor(spec)
    sources = (
        dataset.items["text"] if dataset.modality == "text" else [dataset.folder / p for p in dataset.items["path"]]
    )
    rows = []
    with torch.inference_mode():
        for source in sources:
            state = prepare.collate([prepare.prepare(source)], CPU)
            rows.append(torch.cat(network.pool(network.run(state, stop=stage + 1)), dim=1))
    return torch.cat(rows).numpy()


def run(store: FeatureStore, dataset: Dataset, spec: BackboneSpec) -> list[tuple[int, int]]:
    return list(store.probe(dataset, spec))


def counting(spec: BackboneSpec, seen: list[int]) -> BackboneSpec:
    """The same backbone, which records the number of items in each call of its first stage."""

    def load(pretrained: bool):
        network = spec.load(pretrained)
        plain = network.stage

        def stage(index, state):
            if index == 0:
                seen.append(len(state[0]))
            return plain(index, state)

        network.stage = stage
        return network

    return replace(spec, load=load)


@pytest.fixture(params=["image", "text"])
def case(request: pytest.FixtureRequest) -> tuple[Dataset, BackboneSpec]:
    name = "tiny_images" if request.param == "image" else "tiny_texts"
    return request.getfixturevalue(name), TINY_IMAGE if request.param == "image" else TINY_TEXT


def test_features_are_those_of_a_direct_pass(workspace: Workspace, case: tuple[Dataset, BackboneSpec]):
    dataset, spec = case
    store = FeatureStore(workspace)
    run(store, dataset, spec)
    for stage, group in enumerate(spec.groups):
        stored = store.features(dataset, spec, group.name, "mean_std")
        assert stored.dtype == np.float32
        np.testing.assert_allclose(stored, direct(dataset, spec, stage), rtol=1e-4, atol=1e-5)
        mean = store.features(dataset, spec, group.name)
        assert np.array_equal(mean, stored[:, : stored.shape[1] // 2])
    assert np.array_equal(store.features(dataset, spec), mean)
    assert mean.shape == (len(dataset.items), spec.features)


def test_the_backbone_runs_once(workspace: Workspace, case: tuple[Dataset, BackboneSpec]):
    dataset, spec = case
    seen: list[int] = []
    counted = counting(spec, seen)
    store = FeatureStore(workspace)
    progress = run(store, dataset, counted)
    assert sum(seen) == len(dataset.items)
    assert progress[0] == (0, len(dataset.items))
    assert progress[-1] == (len(dataset.items),) * 2
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    for group in spec.groups:
        store.features(dataset, counted, group.name)
    store.shift(dataset, counted)
    assert run(FeatureStore(workspace), dataset, counted) == []
    assert sum(seen) == len(dataset.items)


def test_identical_items_run_once(workspace: Workspace):
    texts = ["rain and storm", "butter", "rain and storm", "snow", "butter", "rain and storm"]
    rows = [
        {"id": str(i), "text": t, "label": i % 2, "digest": hashlib.sha256(t.encode()).hexdigest()}
        for i, t in enumerate(texts)
    ]
    dataset = write_dataset(workspace, "twins", "text", rows, 2)
    seen: list[int] = []
    store = FeatureStore(workspace)
    run(store, dataset, counting(TINY_TEXT, seen))
    assert sum(seen) == 3
    features = store.features(dataset, TINY_TEXT)
    assert np.array_equal(features[0], features[2])
    np.testing.assert_allclose(features, direct(dataset, TINY_TEXT, 2)[:, :16], rtol=1e-4, atol=1e-5)


def test_stopping_leaves_nothing_behind(workspace: Workspace, tiny_images: Dataset):
    store = FeatureStore(workspace)
    steps = store.probe(tiny_images, TINY_IMAGE)
    assert next(steps) == (0, 24)
    done, total = next(steps)
    assert 0 < done < total
    steps.close()
    assert not store.has(tiny_images, TINY_IMAGE)
    left = [p.name for p in (workspace.root / "features" / tiny_images.fingerprint).iterdir()]
    assert [name for name in left if not name.startswith("inputs-")] == []
    assert run(store, tiny_images, TINY_IMAGE)[-1] == (24, 24)


def test_what_a_killed_probe_left_is_swept_away(workspace: Workspace, tiny_images: Dataset):
    store = FeatureStore(workspace)
    dead, alive = (workspace.folder("features", tiny_images.fingerprint, f".{name}.part") for name in ("dead", "alive"))
    (dead / "stem.npy").write_bytes(b"half")
    os.utime(dead, (0, 0))
    run(store, tiny_images, TINY_IMAGE)
    assert not dead.exists()
    assert alive.exists()


def test_the_last_step_is_reported_when_the_features_exist(workspace: Workspace, tiny_images: Dataset):
    store = FeatureStore(workspace)
    for done, total in store.probe(tiny_images, TINY_IMAGE):
        assert store.has(tiny_images, TINY_IMAGE) == (done == total)


def test_another_preprocessing_is_another_probe(workspace: Workspace, tiny_images: Dataset):
    store = FeatureStore(workspace)
    run(store, tiny_images, TINY_IMAGE)
    closer = replace(TINY_IMAGE, input=replace(TINY_IMAGE.input, crop=0.5))
    assert not store.has(tiny_images, closer)
    run(store, tiny_images, closer)
    assert not np.array_equal(store.features(tiny_images, closer), store.features(tiny_images, TINY_IMAGE))


def test_missing_features_are_reported(workspace: Workspace, tiny_texts: Dataset):
    store = FeatureStore(workspace)
    with pytest.raises(DataError, match="not there yet"):
        store.features(tiny_texts, TINY_TEXT)
    with pytest.raises(BackboneError, match="not ready"):
        run(store, tiny_texts, replace(TINY_TEXT, load=None))
    run(store, tiny_texts, TINY_TEXT)
    with pytest.raises(BackboneError, match=r"no layer group 'layer\.7'.*embeddings"):
        store.features(tiny_texts, TINY_TEXT, "layer.7")
    assert store.shift(tiny_texts, TINY_TEXT) == {}


def test_a_damaged_picture_is_named_and_nothing_is_kept(workspace: Workspace, tiny_images: Dataset):
    (tiny_images.folder / "images" / "b_3.png").write_bytes(b"no picture")
    store = FeatureStore(workspace)
    with pytest.raises(DataError, match=r"b_3\.png cannot be read"):
        run(store, tiny_images, TINY_IMAGE)
    assert not store.has(tiny_images, TINY_IMAGE)


def test_a_full_disk_is_reported(workspace: Workspace, tiny_images: Dataset, monkeypatch: pytest.MonkeyPatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tl_core.features.np.lib.format.open_memmap", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        run(FeatureStore(workspace), tiny_images, TINY_IMAGE)


class TestShift:
    def test_it_is_the_formula(self, workspace: Workspace, tiny_images: Dataset):
        """The first layer of the tiny backbone sees maps of 16 x 16, which are read whole."""
        store = FeatureStore(workspace)
        run(store, tiny_images, TINY_IMAGE)
        network, prepare = TINY_IMAGE.load(True).eval(), preprocessor(TINY_IMAGE)
        state = prepare.collate([prepare.prepare(tiny_images.folder / p) for p in tiny_images.items["path"]], CPU)
        conv, norm, _ = network.net["stem"]
        with torch.inference_mode():
            maps = conv(state[0]).double()
        mean, std = maps.mean(dim=(0, 2, 3)), maps.std(dim=(0, 2, 3), correction=0)
        expected = ((mean - norm.running_mean) ** 2 + (std - norm.running_var.sqrt()) ** 2) / norm.running_var
        shift = store.shift(tiny_images, TINY_IMAGE)
        assert list(shift) == ["stem", "middle", "top"]
        assert shift["stem"] == pytest.approx(expected.mean().item(), rel=1e-3)

    def test_data_like_the_source_shift_little_and_dead_channels_do_not_count(self):
        torch.manual_seed(0)
        network = TinyImage().train()
        source = torch.rand(64, 3, 32, 32)
        for _ in range(100):
            network.run((source,))
        network.eval()
        values = []
        for maps in (source, source * 3):
            with torch.inference_mode(), ShiftMeter(network) as meter:
                network.run((maps,))
            values.append(meter.by_group(TINY_IMAGE.groups))
        assert max(values[0].values()) < 0.01
        assert min(values[1].values()) > 0.3
        network.net["stem"][1].running_var[2] = 0
        with torch.inference_mode(), ShiftMeter(network) as meter:
            network.net["stem"](source)
            network.net["middle"](network.net["stem"](source))
            network.run((source,))
        assert np.isfinite(list(meter.by_group(TINY_IMAGE.groups).values())).all()

    def test_the_hooks_are_gone_afterwards(self):
        network = TinyImage()
        with ShiftMeter(network):
            assert any(m._forward_pre_hooks for m in network.modules())
        assert not any(m._forward_pre_hooks for m in network.modules())


class TestPrepared:
    def test_items_are_what_the_preprocessor_makes(self, workspace: Workspace, case: tuple[Dataset, BackboneSpec]):
        dataset, spec = case
        items, prepare = FeatureStore(workspace).prepared(dataset, spec), preprocessor(spec)
        column = "text" if dataset.modality == "text" else "path"
        assert len(items) == len(dataset.items)
        for row, source in enumerate(dataset.items[column]):
            expected = prepare.prepare(source if column == "text" else dataset.folder / source)
            assert torch.equal(items[row], expected)
            assert torch.equal(items[row], expected)
            assert items[row].dtype == expected.dtype

    def test_a_picture_is_decoded_once(
        self, workspace: Workspace, tiny_images: Dataset, monkeypatch: pytest.MonkeyPatch
    ):
        decoded: list[Path] = []
        plain = ImagePreprocessor.prepare
        monkeypatch.setattr(ImagePreprocessor, "prepare", lambda self, item: decoded.append(item) or plain(self, item))
        run(FeatureStore(workspace), tiny_images, TINY_IMAGE)
        for _ in range(2):
            items = FeatureStore(workspace).prepared(tiny_images, TINY_IMAGE)
            for row in range(len(items)):
                items[row]
        assert len(decoded) == 24

    def test_without_room_everything_still_works(self, workspace: Workspace, tiny_images: Dataset):
        cached, uncached = (FeatureStore(workspace, budget).prepared(tiny_images, TINY_IMAGE) for budget in (2**30, 10))
        assert all(torch.equal(cached[row], uncached[row]) for row in range(24))
        poor = FeatureStore(Workspace(workspace.root / "poor"), input_budget=10)
        run(poor, tiny_images, TINY_IMAGE)
        assert poor.has(tiny_images, TINY_IMAGE)
        assert list((workspace.root / "poor").rglob("*.records")) == []

    def test_a_torn_record_is_made_again(self, tmp_path: Path):
        file = RecordFile(tmp_path / "some.records", 3, 8)
        body = np.arange(8, dtype=np.uint8)
        assert file.read(1) is None
        file.write(1, body)
        assert np.array_equal(RecordFile(tmp_path / "some.records", 3, 8).read(1), body)
        cut_off = bytearray((tmp_path / "some.records").read_bytes())
        cut_off[14] ^= 1
        (tmp_path / "some.records").write_bytes(cut_off)
        assert file.read(1) is None
        assert file.read(0) is None

    def test_the_oldest_cache_makes_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(prepared_module, "SPARE", 0)
        paths = [tmp_path / name / "inputs-x.records" for name in "abc"]
        for path in paths:
            file = open_cache(tmp_path, path, 2, 96, budget=450)
            assert file is not None
            file.write(0, np.zeros(96, dtype=np.uint8))
        assert [path.exists() for path in paths] == [False, True, True]
        assert open_cache(tmp_path, paths[0], 5, 96, budget=450) is None


@pytest.mark.slow
def test_a_real_backbone_separates_classes_it_never_saw(workspace: Workspace, tiny_images: Dataset):
    from sklearn.linear_model import LogisticRegression

    store, spec = FeatureStore(workspace), BACKBONES["efficientnet_lite0"]
    run(store, tiny_images, spec)
    features = store.features(tiny_images, spec, "blocks.3", "mean_std")
    head = LogisticRegression(max_iter=500).fit(features[:15], tiny_images.labels[:15])
    assert head.score(features[15:], tiny_images.labels[15:]) > 0.8
    assert all(value > 0 for value in store.shift(tiny_images, spec).values())
