import io
import os
import stat
import struct
import subprocess
import zipfile
from contextlib import suppress
from copy import copy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.data.files import TWO_CLASSES, encoded, picture, pictures, see_through
from tl_core.data.sources import import_data, list_datasets, open_dataset
from tl_core.data.sources.folder_source import open_tree
from tl_core.errors import DataError
from tl_core.workspace import Limits, Workspace


def reasons(dataset):
    return {line.item: line.reason for line in dataset.receipt.lines}


def assert_nothing_left(workspace):
    assert list((workspace.root / "datasets").glob("*")) == []
    assert list((workspace.root / "datasets").glob(".*")) == []


LAYOUTS = {
    "plain": "",
    "enclosed": "holiday pictures/",
    "twice enclosed": "a/b/",
}


@pytest.mark.parametrize("prefix", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_class_folders(kind, prefix, make_zip, make_folder, workspace):
    files = {prefix + name: data for name, data in TWO_CLASSES.items()}
    dataset = import_data((make_zip if kind == "zip" else make_folder)(files), workspace)
    assert dataset.classes == ("cats", "dogs")
    assert dataset.items["id"].tolist() == ["cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png"]
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert set(dataset.items["given"]) == {""}
    assert dataset.name == "data"
    assert all((dataset.folder / p).read_bytes() in TWO_CLASSES.values() for p in dataset.items["path"])


def test_order_and_enclosing_folder_do_not_change_the_fingerprint(make_zip, make_folder, workspace):
    backwards = dict(reversed([("set/" + n, d) for n, d in TWO_CLASSES.items()]))
    sources = [make_zip(TWO_CLASSES, "a.zip"), make_zip(backwards, "b.zip"), make_folder(TWO_CLASSES, "c")]
    assert len({import_data(s, workspace).fingerprint for s in sources}) == 1
    assert [d.name for d in list_datasets(workspace)] == ["c"]


@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
@pytest.mark.parametrize("prefix", ["", "set/"])
def test_given_splits(validation, prefix, make_zip, workspace):
    names = [f"{prefix}{s}/{c}/{i}.png" for s in ("train", validation, "TEST") for c in ("a", "b") for i in (1, 2)]
    dataset = import_data(make_zip(pictures(*names)), workspace)
    assert dataset.classes == ("a", "b")
    assert sorted(dataset.items["given"].value_counts().items()) == [("test", 4), ("train", 4), ("validation", 4)]
    assert dataset.splits.tolist() == dataset.items["given"].tolist()


def test_an_unlabelled_test_folder_is_left_out(make_zip, workspace):
    dataset = import_data(make_zip(pictures("train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png")), workspace)
    assert dataset.classes == ("a", "b")
    assert reasons(dataset)["test/1.png"] == "it lies in no class folder"


def test_classes_that_are_called_like_splits(make_zip, workspace):
    dataset = import_data(make_zip(pictures("train/1.png", "bus/1.png", "test/1.png")), workspace)
    assert dataset.classes == ("bus", "test", "train")


def test_an_entry_without_a_name_is_left_out(make_zip, tmp_path, workspace):
    path = tmp_path / make_zip({**TWO_CLASSES, "QQQ": b"x"})
    path.write_bytes(path.read_bytes().replace(b"QQQ", b"\0QQ"))  # the name ends at the first zero
    dataset = import_data(str(path), workspace)
    assert dataset.receipt.taken == 4
    assert "an entry without a name" in reasons(dataset)


def test_junk_is_left_out(make_zip, make_folder, workspace):
    junk = dict.fromkeys(
        ["cats/.DS_Store", "__MACOSX/cats/._1.png", "dogs/Thumbs.db", "cats/._2.png", ".git/x.png", "desktop.ini"], b"x"
    )
    for source in (make_zip({**TWO_CLASSES, **junk}), make_folder({**TWO_CLASSES, **junk})):
        dataset = import_data(source, workspace)
        assert dataset.classes == ("cats", "dogs")
        assert dataset.receipt.taken == 4
        assert [line.reason for line in dataset.receipt.lines] == [
            "a file that the operating system left behind, not data"
        ]


def test_every_odd_picture_at_once(make_zip, workspace):
    exif = Image.Exif()
    exif[0x0112] = 8
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    odd = {
        "a/cmyk.jpg": encoded(Image.new("CMYK", (8, 8)), "JPEG"),
        "a/deep.png": encoded(Image.new("I;16", (8, 8), 999)),
        "a/palette.png": encoded(see_through()),
        "b/animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "b/turned.jpg": encoded(Image.new("RGB", (8, 6)), "JPEG", exif=exif),
        "b/thin.png": encoded(Image.new("RGB", (1, 50))),
        "b/wide.jpg": encoded(Image.new("RGB", (20_000, 1500)), "JPEG"),
    }
    bad = {
        "a/cut.jpg": picture(kind="JPEG", size=(99, 99))[:-500],
        "a/zero.jpg": b"",
        "b/letter.jpg": b"Dear Sir",
        "b/notes.docx": b"x",
    }
    dataset = import_data(make_zip({**TWO_CLASSES, **odd, **bad}), workspace)
    actions = {line.item: line.action for line in dataset.receipt.lines}
    assert actions == dict.fromkeys(odd, "converted") | dict.fromkeys(bad, "skipped")
    assert reasons(dataset)["a/zero.jpg"] == "the file is empty"
    assert dataset.receipt.taken == len(dataset.items) == 4 + len(odd)
    assert dataset.items.set_index("id").loc["b/wide.jpg", ["width", "height"]].tolist() == [20_000, 1500]
    assert len(list((dataset.folder / "images").iterdir())) == 4 + len(odd)


def test_class_names_and_sizes(make_zip, workspace):
    files = pictures("grüne Äpfel/1.png", "りんご/1.png", "りんご/2.png", "big cats/1.png", "big cats/sub folder/2.png")
    files |= {"empty/": b"", "broken/1.png": b"x"}
    dataset = import_data(make_zip(files), workspace)
    assert dataset.classes == ("big cats", "grüne Äpfel", "りんご")
    assert reasons(dataset)["empty/"] == "the folder holds nothing that can be read"
    assert "not a picture" in reasons(dataset)["broken/1.png"]


def test_numbers_as_class_names_are_ordered_by_value(make_zip, workspace):
    assert import_data(make_zip(pictures("10/1.png", "9/1.png", "2/1.png")), workspace).classes == ("2", "9", "10")


def test_names_that_only_forgot_to_say_utf8(make_zip, workspace):
    path = make_zip(pictures("été/1.png", "hiver/1.png"))
    change_flags(path, lambda flags: flags & ~0x800)
    assert import_data(path, workspace).classes == ("hiver", "été")


def change_flags(path, change):
    """Rewrite the general purpose flags of every member of a zip."""
    raw = bytearray(Path(path).read_bytes())
    for signature, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = raw.find(signature)
        while start >= 0:
            (flags,) = struct.unpack_from("<H", raw, start + place)
            struct.pack_into("<H", raw, start + place, change(flags))
            start = raw.find(signature, start + 1)
    Path(path).write_bytes(raw)


def test_names_in_another_encoding(make_folder, workspace):
    folder = make_folder(TWO_CLASSES)
    Path(os.fsdecode(os.fsencode(folder) + b"/cats/caf\xe9.png")).write_bytes(picture(9))
    dataset = import_data(folder, workspace)
    assert "cats/café.png" in dataset.items["id"].tolist()
    assert open_dataset(workspace, dataset.fingerprint).receipt.taken == 5


def test_a_file_that_is_too_large(make_folder, workspace, monkeypatch):
    monkeypatch.setattr("tl_core.data.sources.file_tree.MAX_FILE", 2**20)
    dataset = import_data(make_folder({**TWO_CLASSES, "cats/large.png": bytes(2**20 + 1)}), workspace)
    assert reasons(dataset) == {"cats/large.png": "it is larger than 1 MB"}
    with pytest.raises(DataError, match=r"data\.csv cannot be read: it is larger than 1 MB"):
        import_data(make_folder({"data.csv": bytes(2**20 + 1)}, "table"), workspace)


def test_text_folders(make_folder, workspace):
    files = {"pos/1.txt": "schön", "pos/2.txt": "gut\n", "neg/1.txt": "schlecht".encode("utf-16"), "neg/2.txt": "  \n"}
    dataset = import_data(make_folder(files), workspace)
    assert (dataset.modality, dataset.classes) == ("text", ("neg", "pos"))
    assert dataset.items["text"].tolist() == ["schlecht", "schön", "gut"]
    assert reasons(dataset) == {"neg/2.txt": "the text is empty"}


@pytest.mark.parametrize("make", ["make_zip", "make_folder"])
def test_a_single_table_inside(make, request, workspace):
    files = {"set/reviews.csv": "text,label\ngood,pos\nbad,neg\n", "set/README.txt": "about"}
    dataset = import_data(request.getfixturevalue(make)(files), workspace)
    assert (dataset.modality, dataset.classes) == ("text", ("neg", "pos"))
    assert dataset.items["text"].tolist() == ["good", "bad"]


def test_importing_twice_reuses_and_renames(make_zip, workspace):
    first = import_data(make_zip(TWO_CLASSES, "old.zip"), workspace)
    first = first.change_split(type(first.split)(seed=7))
    before = (first.folder / "manifest.parquet").stat().st_mtime_ns
    second = import_data(make_zip(TWO_CLASSES, "new.zip"), workspace)
    assert (second.fingerprint, second.name, second.split.seed) == (first.fingerprint, "new", 7)
    assert (second.folder / "manifest.parquet").stat().st_mtime_ns == before
    assert [d.name for d in list_datasets(workspace)] == ["new"]
    assert open_dataset(workspace, first.fingerprint) == second


def test_other_labels_are_another_data_set(make_zip, workspace):
    swapped = {("dogs" if n.startswith("cats") else "cats") + n[4:]: d for n, d in TWO_CLASSES.items()}
    fingerprints = {import_data(make_zip(f), workspace).fingerprint for f in (TWO_CLASSES, swapped)}
    assert len(fingerprints) == 2


def test_an_unknown_data_set_is_one_sentence(workspace):
    for name in ("nothing", "", "../.."):
        with pytest.raises(DataError, match="is not in this workspace"):
            open_dataset(workspace, name)


# What cannot become a data set


@pytest.mark.parametrize("name", ["data.zip", "data.ZIP"])
def test_not_a_zip(name, make_table, workspace):
    with pytest.raises(DataError, match="is not a zip file, or it is damaged"):
        import_data(make_table("hello", name), workspace)


def test_a_cut_off_zip(make_zip, workspace, tmp_path):
    data = Path(make_zip(TWO_CLASSES)).read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="is not a zip file, or it is damaged"):
        import_data(str(tmp_path / "cut.zip"), workspace)


def test_an_empty_zip(make_zip, workspace):
    with pytest.raises(DataError, match="holds no files"):
        import_data(make_zip({}), workspace)
    with pytest.raises(DataError, match="holds no files"):
        import_data(make_zip({"cats/": b"", "__MACOSX/x": b""}), workspace)


@pytest.mark.parametrize(
    "name", ["../evil.png", "cats/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png"]
)
def test_a_path_that_climbs_out(name, make_zip, workspace, tmp_path):
    before = set(tmp_path.parent.rglob("*evil*"))
    dataset = import_data(make_zip({**TWO_CLASSES, name: picture(9)}), workspace)
    assert dataset.receipt.taken == 4
    assert list(reasons(dataset).values()) == ["its path leads out of the archive"]
    assert set(tmp_path.parent.rglob("*evil*")) == before


def test_links_in_a_zip(make_zip, workspace, tmp_path):
    path = make_zip(TWO_CLASSES)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("cats/link.png")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert reasons(import_data(path, workspace)) == {"cats/link.png": "a link, not a file"}


def test_links_in_a_folder(make_folder, workspace, tmp_path):
    folder = make_folder(TWO_CLASSES)
    secret = make_folder({"1.png": picture(99)}, "secret")
    os.symlink(f"{secret}/1.png", f"{folder}/cats/link.png")
    os.symlink(secret, f"{folder}/birds")
    dataset = import_data(folder, workspace)
    assert dataset.receipt.taken == 4
    assert reasons(dataset) == {"birds": "a link, not a folder", "cats/link.png": "a link, not a file"}


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        (Limits(members=3), "holds more than 3 files"),
        (Limits(unpacked=1000), "would unpack to"),
    ],
)
def test_a_bomb_of_count_or_size(limits, match, make_zip, tmp_path):
    workspace = Workspace(tmp_path / "w", limits)
    with pytest.raises(DataError, match=match):
        import_data(make_zip(TWO_CLASSES), workspace)


def test_a_bomb_of_ratio(make_zip, workspace):
    with pytest.raises(DataError, match="times its size, as harmful archives do"):
        import_data(make_zip({**TWO_CLASSES, "cats/3.png": bytes(40 * 2**20)}), workspace)


def test_a_member_that_lies_about_its_size(make_zip, workspace):
    path = make_zip({**TWO_CLASSES, "dogs/liar.png": bytes(5_000_000)})
    raw = bytearray(Path(path).read_bytes())
    start = raw.rfind(b"PK\x01\x02")
    struct.pack_into("<I", raw, start + 24, 100)
    Path(path).write_bytes(raw)
    assert reasons(import_data(path, workspace)) == {"dogs/liar.png": "it is damaged inside the zip file"}


def test_a_folder_of_too_many_files(make_folder, tmp_path):
    with pytest.raises(DataError, match="holds more than 3 files"):
        import_data(make_folder(TWO_CLASSES), Workspace(tmp_path / "w", Limits(members=3)))


def test_a_password(make_zip, workspace):
    path = make_zip(TWO_CLASSES)
    change_flags(path, lambda flags: flags | 1)
    with pytest.raises(DataError, match="protected by a password"):
        import_data(path, workspace)


def test_a_member_that_is_damaged(make_zip, workspace):
    path = make_zip(TWO_CLASSES)
    raw = bytearray(Path(path).read_bytes())
    place = raw.find(b"cats/2.png") + 60
    raw[place] ^= 0xFF
    Path(path).write_bytes(raw)
    assert reasons(import_data(path, workspace)) == {"cats/2.png": "it is damaged inside the zip file"}


def test_pictures_without_class_folders(make_zip, workspace):
    with pytest.raises(DataError, match="not sorted into classes"):
        import_data(make_zip(pictures("1.png", "2.png")), workspace)


def test_nothing_readable(make_zip, workspace):
    with pytest.raises(DataError, match=r"nothing in data\.zip that can be read"):
        import_data(make_zip({"a/1.docx": b"x", "b/2.pdf": b"y"}), workspace)
    with pytest.raises(DataError, match=r"Nothing in data.zip can be read. For example a/1.png"):
        import_data(make_zip({"a/1.png": b"x", "b/2.png": b""}), workspace)
    assert_nothing_left(workspace)


def test_a_failure_in_the_middle_leaves_nothing(make_zip, workspace):
    def fail(stage, done, total):
        if total and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_data(make_zip(TWO_CLASSES), workspace, progress=fail)
    assert_nothing_left(workspace)


@pytest.mark.parametrize("source", ["/no/such/place", "", "  "])
def test_a_missing_path(source, workspace):
    with pytest.raises(DataError, match="There is nothing at"):
        import_data(source, workspace)


def test_no_permission(make_folder, workspace, monkeypatch):
    folder = make_folder(TWO_CLASSES)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot be opened \(Permission denied\)"):
        import_data(folder, workspace)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("photo.jpg", "is a single picture"),
        ("data.ods", "is a spreadsheet in another format; save it as XLSX or CSV"),
        ("data.7z", "neither zip nor tar"),
        ("data.bin", "is neither an archive nor a table"),
    ],
)
def test_other_files(name, match, make_table, workspace):
    with pytest.raises(DataError, match=match):
        import_data(make_table(b"\x01\x02", name), workspace)


def test_an_empty_folder(tmp_path, workspace):
    with pytest.raises(DataError, match=r"nothing in .* that can be read"):
        import_data(str(tmp_path), workspace)


def test_progress_ends_at_the_total(make_zip, workspace):
    seen = []
    import_data(make_zip(TWO_CLASSES), workspace, progress=lambda *a: seen.append(a))
    assert ("Reading pictures", 4, 4) in seen
    assert seen[-1][1:] == (4, 4)


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_of_any_packing_is_one_line_of_the_receipt(how, tmp_path, workspace):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in TWO_CLASSES.items():
            archive.writestr(name, data)
        info = archive.getinfo("cats/2.png")
    data = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len("cats/2.png")
    for place in range(start + 12, start + info.compress_size):
        data[place] ^= 0xFF
    path.write_bytes(data)
    assert reasons(import_data(str(path), workspace)) == {"cats/2.png": "it is damaged inside the zip file"}


@pytest.mark.parametrize("kind", ["zip", "folder", "table"])
def test_the_source_stays_as_it_was(kind, make_zip, make_folder, make_table, workspace):
    table = "text,label\n" + "".join(f"some words {i},{'ab'[i % 2]}\n" for i in range(30))
    odd = {**TWO_CLASSES, "cats/cmyk.jpg": picture(5, kind="JPEG", mode="CMYK"), "cats/no.png": b"not a picture"}
    source = Path({"zip": make_zip(odd), "folder": make_folder(odd), "table": make_table(table)}[kind])

    def state():
        files = [source, *source.rglob("*")] if source.is_dir() else [source]
        return {f: (f.stat().st_mtime_ns, f.read_bytes() if f.is_file() else b"") for f in files}

    before = state()
    assert import_data(str(source), workspace).receipt.taken in (5, 30)
    assert state() == before


def test_more_members_than_an_old_zip_can_count(tmp_path, workspace):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("z/last.txt", "the last text")
        last = archive.getinfo("z/last.txt")
        for number in range(65_999):  # listed alone: writing them takes long
            other = copy(last)
            other.filename = f"a/{number:05d}.txt"
            archive.filelist.append(other)
        archive.comment = b"a comment"
    with open_tree(path, workspace.limits) as tree:
        assert len(tree.entries) == 66_000
        assert tree.entries[-1].read() == b"the last text"
    with (
        pytest.raises(DataError, match="more than 65,999 files"),
        open_tree(path, Limits(members=65_999)),
    ):
        pass


def test_members_marked_as_larger_than_four_gigabytes(tmp_path, workspace):
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in TWO_CLASSES.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    assert import_data(str(path), workspace).items["id"].tolist() == list(TWO_CLASSES)


@pytest.mark.parametrize("before", [b"", b"a program that unpacks itself " * 9])
@pytest.mark.parametrize("comment", [b"", b"x" * 3000])
def test_members_are_counted_before_any_is_listed(before, comment, tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
        for name, data in TWO_CLASSES.items():
            archive.writestr(name, data)
    for most, message in ((3, "more than 3"), (2, "more than 2")):
        with pytest.raises(DataError, match=message), open_tree(path, Limits(members=most)):
            pass
    with open_tree(path, Limits(members=4)) as tree:
        assert len(tree.entries) == 4


def test_a_zip_in_a_zip_is_named(make_zip, workspace):
    inner = Path(make_zip(TWO_CLASSES, "inner.zip")).read_bytes()
    with pytest.raises(DataError, match=r"outer\.zip holds another archive, photos/inner\.zip") as error:
        import_data(make_zip({"photos/inner.zip": inner, "readme.md": "hello"}, "outer.zip"), workspace)
    assert error.value.hint == "Unpack outer.zip, and give inner.zip itself."
    dataset = import_data(make_zip({**TWO_CLASSES, "more.zip": inner}), workspace)
    assert reasons(dataset) == {"more.zip": "an archive inside; unpack it first"}


def zip_of_bytes(names: list[bytes]) -> bytes:
    """Return a zip of pictures whose names have an undeclared encoding."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"{number:02}".ljust(len(name), "~"), picture(number))
    data = buffer.getvalue()
    for number, name in enumerate(names):
        data = data.replace(f"{number:02}".ljust(len(name), "~").encode(), name)
    return data


@pytest.mark.parametrize(
    ("encoding", "folders", "files"),
    [
        ("cp932", ["猫", "犬"], ["一枚目", "表ソ"]),
        ("cp932", ["ねこ", "いぬ"], ["a1", "テスト"]),
        ("cp437", ["Äpfel", "Birnen"], ["grün", "süß"]),
        ("cp437", ["château", "fenêtre"], ["été", "1"]),
        ("cp437", ["MÜNCHEN", "KÖLN"], ["1", "ÄÖÜ"]),
        ("utf-8", ["猫", "Äpfel"], ["1", "été"]),
        ("ascii", ["cats", "dogs"], ["1", "2"]),
    ],
)
def test_names_of_which_a_zip_does_not_say_the_encoding(encoding, folders, files, tmp_path, workspace):
    names = [f"{folder}/{file}.png" for folder in folders for file in files] + [f"{folders[0]}/x-{files[1]}.bin"]
    (tmp_path / "x.zip").write_bytes(zip_of_bytes([name.encode(encoding) for name in names]))
    dataset = import_data(str(tmp_path / "x.zip"), workspace)
    assert set(dataset.items["id"]) == set(names[:-1])
    assert set(dataset.classes) == set(folders)
    assert names[-1] in {line.item for line in dataset.receipt.lines}


@given(names=st.lists(st.binary(min_size=3, max_size=9).filter(lambda name: 0 not in name), min_size=1, max_size=5))
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_of_a_zip_is_a_failure(names, tmp_path):
    (tmp_path / "x.zip").write_bytes(zip_of_bytes(names))
    with suppress(DataError), open_tree(tmp_path / "x.zip", Limits()) as tree:
        assert all(entry.name.encode() for entry in tree.entries)


def test_two_names_that_look_equal_do_not_become_one_item_twice(make_folder, workspace):
    source = make_folder({**TWO_CLASSES, "cats/\u00e9.png": picture(8), "cats/e\u0301.png": picture(9)})
    dataset = import_data(source, workspace)
    assert dataset.items["id"].tolist().count("cats/\u00e9.png") == 1
    assert reasons(dataset) == {"cats/\u00e9.png": "a second file of the same name"}


@pytest.mark.parametrize("name", ["data.zip", "data.csv", "data"])
def test_a_pipe_is_one_sentence_and_no_wait(name, tmp_path, workspace):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="neither a file nor a folder"):
        import_data(str(tmp_path / name), workspace)


def test_folders_in_folders_without_end(make_folder, workspace):
    source = make_folder(TWO_CLASSES)
    plain = import_data(source, workspace).fingerprint
    descriptor = os.open(Path(source, "cats"), os.O_RDONLY)
    opened = [descriptor]
    for _ in range(1200):
        os.mkdir("d", dir_fd=opened[-1])
        opened.append(os.open("d", os.O_RDONLY, dir_fd=opened[-1]))
        os.close(opened.pop(-2))
    os.close(opened.pop())
    dataset = import_data(source, workspace)
    subprocess.run(["rm", "-rf", source], check=True)  # deeper than shutil and pytest can clear away
    assert dataset.fingerprint == plain
    assert [line.reason for line in dataset.receipt.lines if "deep" in line.reason] == [
        "the folder lies more than 200 folders deep"
    ]
