"""Tar archives with every compression: intact, cut off and malicious."""

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.files import TWO_CLASSES, picture, pictures
from tl_core.data.prediction_items import read_prediction_items
from tl_core.data.sources import import_data, preview_table
from tl_core.data.sources.local_files import display_name
from tl_core.data.unlabelled import import_unlabelled
from tl_core.errors import DataError, GraftError, ImportCancelled
from tl_core.workspace import Limits, Workspace

PACKINGS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": lambda raw: bz2.compress(raw, 1),  # level 1 packs small pieces
    ".tar.xz": lzma.compress,
}


def member(name, data=b"", kind=tarfile.REGTYPE, **more):
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def packed_tar(members, **options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def of(files, **options):
    return packed_tar([member(name, data) for name, data in files.items()], **options)


@pytest.fixture
def make_tar(tmp_path):
    def make(files, suffix=".tar.gz", pack=None, **options):
        path = tmp_path / f"data{suffix}"
        raw = files if isinstance(files, bytes) else of(files, **options)
        path.write_bytes((pack or PACKINGS[suffix])(raw))
        return str(path)

    return make


def reasons(dataset):
    return {line.item: line.reason for line in dataset.receipt_lines() if line.action == "skipped"}


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("suffix", PACKINGS)
def test_a_tar_in_any_order_is_the_same_data_set_as_the_zip(suffix, kind, make_tar, make_zip, workspace):
    files = dict(reversed(TWO_CLASSES.items()))
    source = make_tar({f"./photos/{name}": data for name, data in files.items()}, suffix, format=kind)
    before = hashlib.sha256(Path(source).read_bytes()).digest()
    dataset = import_data(source, workspace)
    assert dataset.fingerprint == import_data(make_zip(TWO_CLASSES), workspace).fingerprint
    assert dataset.items["id"].tolist() == list(TWO_CLASSES)
    assert hashlib.sha256(Path(source).read_bytes()).digest() == before
    assert not list(workspace.folder("cache").iterdir())


@pytest.mark.parametrize(
    "name", ["cloth.tar.gz", "cloth.tgz", "cloth.zip", "cloth.csv.gz", "cloth.csv", "cloth.TAR.XZ", "cloth", "cloth/"]
)
def test_a_source_is_called_by_its_name_without_its_packing(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name.endswith("/") else path.touch()
    assert display_name(path) == "cloth"


def test_a_folder_keeps_what_looks_like_a_suffix(tmp_path):
    (tmp_path / "garden 2024.05").mkdir()
    assert display_name(tmp_path / "garden 2024.05") == "garden 2024.05"


@pytest.mark.parametrize("name", ["data", "data.zip", "data.tar"])
def test_the_first_bytes_say_what_it_is_where_the_name_does_not(name, tmp_path, workspace):
    path = tmp_path / name
    path.write_bytes(gzip.compress(of(TWO_CLASSES)))
    assert len(import_data(str(path), workspace).items) == 4


def test_several_packed_pieces_after_one_another_and_padding(make_tar, workspace):
    raw = of(TWO_CLASSES)
    pieces = lambda raw: gzip.compress(raw[:700]) + gzip.compress(raw[700:]) + b"\0" * 512  # noqa: E731
    assert len(import_data(make_tar(raw, pack=pieces), workspace).items) == 4


def test_links_devices_climbing_names_junk_and_doubles_are_left_out_with_a_reason(make_tar, tmp_path, workspace):
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(99))
    odd = [
        member("cats/link.png", kind=tarfile.SYMTYPE, linkname=str(secret)),
        member("cats/hard.png", kind=tarfile.LNKTYPE, linkname="cats/1.png"),
        member("cats/pipe.png", kind=tarfile.FIFOTYPE),
        member("cats/disk.png", kind=tarfile.BLKTYPE),
        member("../outside.png", picture(7)),
        member("/etc/outside.png", picture(8)),
        member("cats/1.png", picture(9)),
        member("cats/._1.png", b"junk"),
        member("dogs/", kind=tarfile.DIRTYPE),
        member("birds", kind=tarfile.DIRTYPE),
    ]
    files = sorted(p for p in tmp_path.rglob("*") if "graft" not in p.parts)
    source = make_tar(packed_tar([*(member(n, d) for n, d in TWO_CLASSES.items()), *odd]))
    dataset = import_data(source, workspace)
    assert dataset.items["id"].tolist() == list(TWO_CLASSES)
    assert reasons(dataset) == {
        "cats/link.png": "a link, not a file",
        "cats/hard.png": "a link, not a file",
        "cats/pipe.png": "not an ordinary file",
        "cats/disk.png": "not an ordinary file",
        "../outside.png": "its path leads out of the archive",
        "/etc/outside.png": "its path leads out of the archive",
        "cats/1.png": "a second file of the same name",
        "cats/._1.png": "a file that the operating system left behind, not data",
        "birds/": "the folder holds nothing that can be read",
    }
    left = sorted(p for p in tmp_path.rglob("*") if "graft" not in p.parts)
    assert left == sorted([*files, Path(source)])


def test_names_in_any_encoding_stay_different(make_tar, workspace):
    names = [b"caf\xe9/\xe8.png", b"caf\xe9/\xe9.png", "日本/é.png".encode(), b"caf\xe9/\x81.png"]
    files = {name.decode("utf-8", "surrogateescape"): picture(i) for i, name in enumerate(names)}
    source = make_tar(files, format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape")
    dataset = import_data(source, workspace)
    assert dataset.items["id"].tolist() == ["café/\x81.png", "café/è.png", "café/é.png", "日本/é.png"]


@pytest.mark.parametrize("suffix", PACKINGS)
def test_of_an_archive_that_is_cut_off_what_could_be_read_is_taken(suffix, make_tar, workspace):
    names = [f"{label}/{i:02d}.png" for i in range(20) for label in ("cats", "dogs")]
    source = Path(make_tar({name: picture(i, (60, 60)) for i, name in enumerate(names)}, suffix))
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 3 // 4])
    dataset = import_data(str(source), workspace)
    assert 10 <= len(dataset.items) < 40
    reason = reasons(dataset)[source.name]
    assert reason.startswith("the archive is damaged or cut off after ")
    assert reason.endswith(" files; what follows could not be read")


def test_a_missing_end_mark_is_reported(make_tar, workspace):
    raw = of(TWO_CLASSES).rstrip(b"\0")
    dataset = import_data(make_tar(raw + b"\0" * (-len(raw) % 512), ".tar"), workspace)
    assert len(dataset.items) == 4
    assert reasons(dataset) == {
        "data.tar": "the archive is damaged or cut off after 4 files; what follows could not be read"
    }


def test_a_damaged_header_in_the_middle_does_not_end_the_archive_silently(make_tar, workspace):
    raw = bytearray(of({**TWO_CLASSES, **pictures("fish/1.png", "fish/2.png")}))
    at = raw.index(b"dogs/2.png")
    raw[at + 148 : at + 156] = b"garbage!"
    dataset = import_data(make_tar(bytes(raw)), workspace)
    assert len(dataset.items) == 3
    assert "after 3 files" in reasons(dataset)["data.tar.gz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a tar archive, or it is damaged"),
        (b"text, not a tar", "not a tar archive, or it is damaged"),
        (gzip.compress(b""), "not a tar archive, or it is damaged"),
        (gzip.compress(b"text, not a tar" * 100), "not a tar archive, or it is damaged"),
        (gzip.compress(of(TWO_CLASSES))[:40], "not a tar archive, or it is damaged"),
        (gzip.compress(of({})), "holds no files"),
        (gzip.compress(of({"cats/x.zip": b"PK"})), "holds another archive, cats/x.zip"),
        (gzip.compress(of({"cats/x.bin": b"..."})), "nothing in data.tar.gz that can be read"),
    ],
    ids=["empty", "text", "packed nothing", "packed text", "cut off", "no files", "archive", "unknown files"],
)
def test_what_is_no_data_is_refused_in_one_sentence(content, message, make_tar, workspace):
    with pytest.raises(DataError, match=message) as error:
        import_data(make_tar(content, pack=bytes), workspace)
    assert error.value.hint
    assert not list(workspace.folder("datasets").iterdir())


def test_a_compressed_file_that_is_no_archive_is_recognised(tmp_path, workspace):
    path = tmp_path / "reviews.gz"
    path.write_bytes(gzip.compress(b"text,label\n" + b"good,a\n" * 200))
    with pytest.raises(DataError, match="compressed file without a tar archive") as error:
        import_data(str(path), workspace)
    assert error.value.hint == "Decompress it, and give the file."


class Zeros(io.RawIOBase):
    """A virtual file of many zeros."""

    def __init__(self, size):
        self.left = size

    def readable(self):
        return True

    def readinto(self, buffer):
        count = min(self.left, len(buffer))
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def bomb(path: Path, size: int) -> str:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("cats/1.png")
        info.size = size
        archive.addfile(info, io.BufferedReader(Zeros(size)))
    return str(path)


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, workspace):
    source = bomb(tmp_path / "bomb.tar.gz", 300 * 2**20)
    stages = []
    with pytest.raises(DataError, match="200 times its size"):
        import_data(source, workspace, progress=lambda *step: stages.append(step))
    assert max(done for _, done, _ in stages) < 150, "it went on after the limit"
    small = Workspace(workspace.root, Limits(unpacked=50 * 2**20, ratio=1e6))
    with pytest.raises(DataError, match=r"more than 0\.0 GB"):
        import_data(source, small)


def test_a_header_that_asks_for_gigabytes_is_damage(make_tar, workspace):
    raw = bytearray(of(TWO_CLASSES))
    at = raw.index(b"cats/2.png")
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**33
    raw[at : at + 512] = info.tobuf(tarfile.GNU_FORMAT)
    dataset = import_data(make_tar(bytes(raw)), workspace)
    assert dataset.items["id"].tolist() == ["cats/1.png"]


@pytest.mark.parametrize("size", ["99999999999999", "-5000"])
def test_a_member_that_claims_a_size_that_cannot_be_is_not_waited_for(size, make_tar, workspace):
    liar = member("cats/3.png", b"", pax_headers={"size": size})
    raw = packed_tar([member("cats/1.png", picture(1)), liar, member("dogs/1.png", picture(2))])
    with pytest.raises(DataError, match=r"more than 8\.0 GB"):
        import_data(make_tar(raw), workspace)


def test_too_many_members_are_too_many(make_tar, workspace):
    few = Workspace(workspace.root, Limits(members=3))
    with pytest.raises(DataError, match="more than 3 files"):
        import_data(make_tar(TWO_CLASSES), few)


def test_an_import_can_be_stopped_while_it_unpacks(make_tar, workspace):
    def stop(stage, done, total):
        if stage.startswith("Unpacking"):
            raise ImportCancelled

    with pytest.raises(ImportCancelled):
        import_data(make_tar(TWO_CLASSES), workspace, progress=stop)
    assert not list(workspace.folder("datasets").iterdir())


def test_a_table_in_a_tar_is_shown_and_imported(make_tar, workspace):
    table = b"text,label\n" + b"".join(b"some words %d,%s\n" % (i, b"ab"[i % 2 :][:1]) for i in range(30))
    source = make_tar({"reviews/all.csv": table, "reviews/readme.md": b"hello"})
    preview = preview_table(source)
    assert preview is not None
    assert (preview.text_column, preview.label_column, preview.n_rows) == ("text", "label", 30)
    dataset = import_data(source, workspace)
    assert len(dataset.items) == 30
    assert preview_table(make_tar(TWO_CLASSES)) is None


def test_a_tar_is_a_pool_and_something_to_predict(make_tar, workspace):
    source = make_tar(TWO_CLASSES)
    assert len(import_unlabelled(source, "image", workspace).items) == 4
    assert read_prediction_items(source, "image", workspace).ids == tuple(TWO_CLASSES)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from([".tar", ".tar.gz", ".tar.bz2", ".tar.xz"]))
def test_any_damage_ends_in_a_data_set_or_in_a_sentence(data, suffix, make_tar, workspace):
    raw = bytearray(of({**TWO_CLASSES, "notes.txt": b"hello", "x" * 120 + "/1.png": picture(5)}))
    inside = data.draw(st.booleans())
    whole = raw if inside else bytearray(PACKINGS[suffix](bytes(raw)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)):
        whole[at] = value
    del whole[data.draw(st.integers(1, len(whole))) :]
    source = make_tar(bytes(whole), suffix, pack=PACKINGS[suffix] if inside else bytes)
    try:
        dataset = import_data(source, workspace)
    except GraftError as error:
        assert str(error).count("\n") == 0  # noqa: PT017
    else:
        assert dataset.receipt.taken == len(dataset.items) > 0
    assert not list(workspace.folder("cache").iterdir())
    assert not list(workspace.folder("datasets").glob(".*"))


def holed(name, size):
    """Return the header of an entirely sparse file (GNU's old sparse format)."""
    header = bytearray(member(name)[0].tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = f"{size:011o}".encode() + b" "
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}".encode() + b"\0 "
    return bytes(header)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_files_of_holes_count_as_what_they_unpack_to(suffix, make_tar, workspace):
    end = bytes(1024)
    few = make_tar(holed("a/hole.txt", 2**20) + of(TWO_CLASSES), suffix)
    assert len(import_data(few, workspace).items) == len(TWO_CLASSES)
    many = b"".join(holed(f"a/{i}.png", 2**30) for i in range(9))
    with pytest.raises(DataError, match="unpacks to more than"):
        import_data(make_tar(many + end, suffix), workspace)
    assert not list(workspace.folder("cache").iterdir())


def test_a_path_that_is_far_too_long_is_left_out(make_tar, workspace):
    long = "a/" * 30_000 + "x.png"
    dataset = import_data(make_tar({**TWO_CLASSES, long: picture(9)}, format=tarfile.PAX_FORMAT), workspace)
    assert len(dataset.items) == len(TWO_CLASSES)
    (name,) = [item for item, why in reasons(dataset).items() if why == "its path is too long"]
    assert len(name) < 200
