"""Near-duplicates against brute force, and invariance to order and copies."""

import string
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tests.data.files import encoded
from tests.data.test_perceptual_hash import scene
from tl_core.data.groups import components, number_groups
from tl_core.data.near import find_near_groups, near_groups_file, picture_pairs
from tl_core.data.near.hamming import Bands
from tl_core.data.near.picture_pairs import ALIKE as SAME
from tl_core.data.near.picture_pairs import BITS, near_pictures
from tl_core.data.near.text_pairs import ALIKE, NGRAM, near_texts, similarities, words
from tl_core.data.sources import import_data

WORDS = [a + b for a in string.ascii_lowercase for b in string.ascii_lowercase]


def groups_of(texts: list[str]) -> list[int]:
    return number_groups(components(len(texts), near_texts(np.array([*texts, ""], dtype=object)[:-1]))).tolist()


def runs(text: str) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[i : i + NGRAM]) for i in range(max(1, len(tokens) - NGRAM + 1))}


def jaccard(one: str, other: str) -> float:
    a, b = runs(one), runs(other)
    return len(a & b) / len(a | b)


def brute_force(texts: list[str], threshold: float) -> list[int]:
    near = [pair for pair in combinations(range(len(texts)), 2) if jaccard(*(texts[i] for i in pair)) >= threshold]
    return number_groups(components(len(texts), np.array(near, dtype=np.int64).reshape(-1, 2))).tolist()


def edited(count: int, seed: int) -> list[str]:
    """Return texts of 5 to 80 words, many of which are another one with a few words changed, moved or cut off."""
    draw = np.random.default_rng(seed)
    texts = [[WORDS[i] for i in draw.integers(0, len(WORDS), draw.integers(5, 80))] for _ in range(count // 3)]
    while len(texts) < count:
        text = list(texts[draw.integers(len(texts))])
        for _ in range(draw.integers(0, 3)):
            text[draw.integers(len(text))] = WORDS[draw.integers(len(WORDS))]
        texts.append(text[draw.integers(0, 3) :])
    return [" ".join(texts[i]) for i in draw.permutation(count)]


@pytest.mark.parametrize("seed", range(4))
def test_texts_are_found_as_by_brute_force(seed):
    texts = edited(150, seed)
    assert groups_of(texts) == brute_force(texts, ALIKE)
    assert len(set(groups_of(texts))) > 15


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), min_size=2, max_size=12))
@settings(deadline=None, max_examples=60)
def test_similarities_are_jaccards(drawn):
    texts = [" ".join(letters) for letters in drawn]
    pairs = np.array(list(combinations(range(len(texts)), 2)))
    expected = [jaccard(texts[i], texts[j]) for i, j in pairs]
    np.testing.assert_allclose(similarities(np.array(texts, dtype=object), pairs), expected)


@given(
    texts=st.lists(st.text(st.sampled_from("abcdeé 你好. ") | st.characters(codec="utf-8"), max_size=40), max_size=12),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_case_spaces_and_order_do_not_matter(texts, data):
    groups = groups_of(texts)
    spaced = ["  " + "\n ".join(text.split()) + "\t!" if words(text)[0].isalnum() else text for text in texts]
    assert groups_of(spaced) == groups
    assert groups_of([text.upper() if text.isascii() else text for text in texts]) == groups
    order = data.draw(st.permutations(range(len(texts))))
    again = groups_of([texts[i] for i in order])
    same = {
        (order[i], order[j])
        for i in range(len(texts))
        for j in range(len(texts))
        if i == j or again[i] == again[j] >= 0
    }
    assert same == {
        (i, j) for i in range(len(texts)) for j in range(len(texts)) if i == j or groups[i] == groups[j] >= 0
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Good film!", "good   FILM", True),
        ("ｆｕｌｌ width", "full width", True),
        ("STRASSE", "straße", True),
        ("Good film!", "good films", False),
        ("", "", False),
        ("!!!", "???", False),
        ("!!!", "! ! !", True),
        ("这部电影很好看", "这部电影很好看。", True),
        (
            "这部电影很好看我还想再看一遍因为它真的很感人很有意思",
            "这部电影很好看我还想再看一遍因为它真的很感人很有意思呢",
            True,
        ),
        ("这部电影很好看", "这部电影很难看", False),
    ],
)
def test_what_counts_as_the_same_text(one, other, same):
    assert groups_of([one, "something else", other]) == ([0, -1, 0] if same else [-1, -1, -1])


def test_a_shared_beginning_does_not_glue_texts():
    opening = "please answer the following question as well as you can in a few words of plain english "
    texts = [opening + " ".join(WORDS[i * 20 : i * 20 + 20]) for i in range(30)]
    assert groups_of(texts) == [-1] * 30


def test_many_copies_of_one_text_are_one_group():
    assert groups_of(["The same.", "THE SAME"] * 5000) == [0] * 10_000


def saved(folder, images) -> list:
    for number, image in enumerate(images):
        (folder / f"{number}.png").write_bytes(encoded(image))
    return [folder / f"{number}.png" for number in range(len(images))]


def grouped(paths, hashes=None):
    return number_groups(components(len(paths), near_pictures(paths, hashes))).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_pictures_that_were_changed_a_little_are_found(seed, tmp_path):
    image = scene(seed)
    (tmp_path / "again.jpg").write_bytes(encoded(image, "JPEG", quality=50))
    half, third = (image.resize((160 // n, 120 // n), Image.Resampling.LANCZOS) for n in (2, 3))
    others = [half, third, ImageEnhance.Brightness(image).enhance(1.1), *(scene(100 + 10 * seed + n) for n in range(6))]
    paths = [*saved(tmp_path, [image, *others]), tmp_path / "again.jpg"]
    assert grouped(paths) == [0] * 4 + [-1] * 6 + [0]


def test_pictures_are_found_as_by_brute_force(tmp_path):
    draw = np.random.default_rng(0)
    images = [scene(seed) for seed in range(100)]
    images += [
        scene(int(s)).resize((int(w), 90))
        for s, w in zip(draw.integers(0, 40, 40), draw.integers(90, 160, 40), strict=True)
    ]
    by_seed = [*range(100), *np.random.default_rng(0).integers(0, 40, 40).tolist()]
    assert grouped(saved(tmp_path, images)) == number_groups(np.array(by_seed)).tolist()


@st.composite
def alike_codes(draw):
    """Codes many of which differ in few bits: a few codes, each in several versions, some equal."""
    seeds = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    changed = st.lists(st.integers(0, 63), max_size=10, unique=True)
    versions = draw(st.lists(st.tuples(st.sampled_from(seeds), changed), min_size=1, max_size=30))
    return np.array([code ^ sum(1 << bit for bit in bits) for code, bits in versions], dtype=np.uint64)


@given(codes=alike_codes(), bits=st.integers(0, 11))
@settings(deadline=None, max_examples=100)
def test_all_codes_that_differ_in_few_bits_are_found_once(codes, bits):
    distance = [
        (i, j) for i, j in combinations(range(len(codes)), 2) if (codes[i] ^ codes[j]).item().bit_count() <= bits
    ]
    pairs_found = [tuple(pair) for _, pairs in Bands(codes, bits).pairs() for pair in pairs.tolist()]
    assert sorted(pairs_found) == distance
    reached = np.bincount(np.array(pairs_found, dtype=np.int64).ravel(), minlength=len(codes))
    assert (Bands(codes, bits).count_comparisons() > reached).all(), "it counts itself and whom it is compared with"


@given(codes=alike_codes(), few=st.sampled_from([0, 3000, 99_999]), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_close_hashes_with_agreeing_pixels_are_found_as_by_brute_force(codes, few, seed, monkeypatch):
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(3, 256))[draw.integers(0, 3, len(codes))] + draw.normal(0, 0.1, (len(codes), 256))
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    monkeypatch.setattr(picture_pairs, "_thumbnail", lambda path: values[int(path.stem)])
    monkeypatch.setattr(picture_pairs, "_FEW", few)
    monkeypatch.setattr(picture_pairs, "_BLOCK", 4)
    monkeypatch.setattr(picture_pairs, "_STRIP", 8)
    monkeypatch.setattr(picture_pairs, "_KEPT_EDGES", 5)
    paths = [Path(f"{row}.png") for row in range(len(codes))]
    agreement = values.astype(np.float16).astype(np.float32) @ values.astype(np.float16).astype(np.float32).T
    distance = np.bitwise_count(codes[:, None] ^ codes)
    expected = number_groups(components(len(codes), np.argwhere((distance <= BITS) & (agreement >= SAME))))
    assert grouped(paths, [f"{code:016x}" for code in codes.tolist()]) == expected.tolist()


def test_a_crowd_of_versions_of_one_picture_is_not_compared_each_with_each(monkeypatch):
    n, compared = 6_000, []

    class Counted(picture_pairs._PictureComparer):
        def _compare_all(self, left, right):
            compared.append(len(left) * len(right))
            super()._compare_all(left, right)

    monkeypatch.setattr(picture_pairs, "_PictureComparer", Counted)
    monkeypatch.setattr(picture_pairs, "_thumbnail", lambda path: np.eye(256, dtype=np.float32)[0])
    assert grouped([Path(f"{row}.png") for row in range(n)], ["00ff00ff00ff00ff"] * n) == [0] * n
    assert 0 < sum(compared) < 300 * n, "of all pairs there are 18 million"


def test_an_equal_hash_alone_ties_nothing(tmp_path):
    paths = saved(tmp_path, [scene(seed) for seed in range(5)])
    assert grouped(paths, ["00ff00ff00ff00ff"] * 5) == [-1] * 5
    assert grouped([*paths, paths[2]], ["00ff00ff00ff00ff"] * 6) == [-1, -1, 0, -1, -1, 0]
    assert grouped([*paths, paths[2]], [""] * 6) == [-1] * 6


def test_blank_pictures_are_not_one_group(tmp_path):
    shades = [Image.new("RGB", (40, 40), (n, n, n)) for n in range(0, 250, 10)]
    assert grouped(saved(tmp_path, shades)) == [-1] * len(shades)


def test_a_picture_that_is_gone_is_alone(tmp_path):
    paths = saved(tmp_path, [scene(0), scene(0), scene(0)])
    hashes = ["00ff00ff00ff00ff"] * 3
    paths[1].unlink()
    assert grouped(paths, hashes) == [0, -1, 0]
    assert grouped(paths) == [0, -1, 0]


@pytest.fixture
def dataset(make_folder, workspace):
    copy = encoded(scene(1), "JPEG", quality=90)
    files = {f"cats/{n}.png": encoded(scene(n)) for n in range(4)} | {
        "dogs/1.jpg": copy,
        "dogs/3.png": encoded(scene(3)),
    }
    return import_data(make_folder(files), workspace)


def test_groups_are_stored_beside_the_manifest(dataset):
    names = dict(zip(dataset.items["id"], dataset.near_groups().tolist(), strict=True))
    assert names == {
        "cats/0.png": -1,
        "cats/1.png": 0,
        "cats/2.png": -1,
        "cats/3.png": 1,
        "dogs/1.jpg": 0,
        "dogs/3.png": 1,
    }
    np.save(near_groups_file(dataset.folder, dataset.fingerprint), np.array([5, 5, -1, -1, -1, -1]))
    assert dataset.near_groups().tolist() == [5, 5, -1, -1, -1, -1]
    near_groups_file(dataset.folder, dataset.fingerprint).write_bytes(b"cut off")
    assert dataset.near_groups().tolist() == list(names.values())
    assert [path.name for path in dataset.folder.glob("*near*")] == [
        near_groups_file(dataset.folder, dataset.fingerprint).name
    ]


def found_anew(dataset):
    return find_near_groups(dataset.items, dataset.folder, dataset.modality).tolist()


def test_pictures_of_a_manifest_without_perceptual_hashes_are_read_again(dataset):
    groups = found_anew(dataset)
    dataset.items.drop(columns=["perceptual_hash", "subgroup", "time"]).to_parquet(dataset.folder / "manifest.parquet")
    reopened = type(dataset).open(dataset.folder)
    assert "perceptual_hash" not in reopened.items
    assert reopened.near_ties == ()
    assert found_anew(reopened) == groups != [-1] * 6


def test_a_manifest_with_the_columns_of_an_older_version_is_read(dataset):
    hashes = dataset.items["perceptual_hash"].tolist()
    older = dataset.items.rename(columns={"perceptual_hash": "look"}).drop(columns=["subgroup", "time"])
    older.to_parquet(dataset.folder / "manifest.parquet")
    reopened = type(dataset).open(dataset.folder)
    assert reopened.items["perceptual_hash"].tolist() == hashes
    assert reopened.near_groups().tolist() == dataset.near_groups().tolist()
