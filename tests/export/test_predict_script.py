"""The bundle's own predict.py, with the packaged weights, in a process that cannot import Graft."""

import csv
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.export.made import trained_model
from tests.tiny import make_images, make_pairs, make_texts
from tl_core.backbones.spec import BACKBONES
from tl_core.data.images import open_image
from tl_core.data.prediction_items import read_prediction_items
from tl_core.export.bundle import TEMPLATE, load_bundle, write_bundle
from tl_core.plan import Head

pytestmark = pytest.mark.slow


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess:
    """Run the bundle's script elsewhere, with an isolated interpreter: no PYTHONPATH, no user site, no project."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GRAFT_HOME")}
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    command = [sys.executable, "-P", str(folder / "predict.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=240)


def table(path: Path) -> tuple[list[str], list[str], list[str], np.ndarray]:
    """Return header, items, predicted and probabilities of a written table."""
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    values = np.array([[float(cell) for cell in row[2:]] for row in rows])
    return header, [row[0] for row in rows], [row[1] for row in rows], values


def agrees(folder: Path, source: Path, out: Path, workspace) -> list[str]:
    """Run the script on `source`, compare every probability with the app's, and return the items."""
    done = run(folder, source, "--out", out)
    assert done.returncode == 0, done.stderr
    header, items, predicted, values = table(out)
    bundle = load_bundle(folder)
    columns = bundle.text_column, bundle.path_column
    inputs = read_prediction_items(str(source), bundle.spec.modality, workspace, *columns)
    expected = bundle.predict(inputs.items)
    assert header == ["item", "predicted", *bundle.classes]
    assert items == list(inputs.ids)
    assert np.abs(values - expected).max() <= 1e-4
    assert predicted == [bundle.classes[i] for i in expected.argmax(axis=1)]
    return items


def pictures() -> dict[str, bytes]:
    """Return picture files of many formats and modes, by name."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    colour = Image.fromarray(noise).resize((300, 200), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = colour.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(colour.size))
    deep = Image.fromarray(np.asarray(colour.convert("L")).astype(np.uint16) * 200)
    strip = colour.resize((2000, 40))
    kinds = {
        "plain.jpg": (colour, {}),
        "turned.jpg": (colour, {"exif": exif}),
        "print.jpg": (colour.convert("CMYK"), {}),
        "clear.png": (clear, {}),
        "palette.gif": (colour.convert("P"), {}),
        "deep.png": (deep, {}),
        "strip.jpg": (strip, {}),
        "large.jpg": (colour.resize((4400, 2600)), {}),
        "sub folder/grey.bmp": (colour.convert("L"), {}),
        "even.png": (Image.new("RGB", (300, 200), (200, 30, 90)), {}),
        "mask.tiff": (Image.fromarray((np.asarray(colour.convert("L")) > 128).astype(np.float32)), {}),
    }
    files = {}
    for name, (image, options) in kinds.items():
        buffer = io.BytesIO()
        image.save(buffer, {".jpg": "JPEG", "tiff": "TIFF"}.get(name[-4:], name[-3:].upper()), **options)
        files[name] = buffer.getvalue()
    return files


def test_images(workspace, tmp_path):
    trained = trained_model(make_images(workspace), "efficientnet_lite0", Head(tap="blocks.4", pool="mean_std"))
    folder = write_bundle(tmp_path / "bundle", trained).path
    archive, loose = tmp_path / "photos.zip", tmp_path / "photos"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in pictures().items():
            packed.writestr(f"holiday/{name}", data)
            path = loose / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        packed.writestr("holiday/.DS_Store", b"junk")
        packed.writestr("__MACOSX/holiday/._plain.jpg", b"junk")
        packed.writestr("holiday/broken.jpg", b"not an image")
    assert len(agrees(folder, archive, tmp_path / "zip.csv", workspace)) == len(pictures())
    assert len(agrees(folder, loose, tmp_path / "folder.csv", workspace)) == len(pictures())
    done = run(folder, archive)
    assert done.stderr.splitlines()[0] == "skipped broken.jpg: it is not a picture, or it is damaged"
    assert agrees(folder, loose / "turned.jpg", tmp_path / "one.csv", workspace) == ["turned.jpg"]


def test_texts(workspace, tmp_path, monkeypatch):
    spec = BACKBONES["all_minilm_l6_v2"]
    prefixed = replace(spec, name="prefixed", input=replace(spec.input, prefix="a storm of "))
    monkeypatch.setitem(BACKBONES._values, "prefixed", prefixed)
    trained = trained_model(make_texts(workspace), "prefixed", Head(tap="layer.3"))
    folder = write_bundle(tmp_path / "bundle", trained).path
    rows = tmp_path / "rows.csv"
    long = "the storm, it came with wind " * 200
    rows.write_text(f'id;text;note\n1;"a pan; and\na knife";x\n2;;\n3;"{long}";y\n\n4;Brühe für alle;\n', "utf-8-sig")
    assert agrees(folder, rows, tmp_path / "rows-out.csv", workspace) == ["row 2", "row 4", "row 6"]
    single = tmp_path / "one.txt"
    single.write_text("rain and fog over the hills", "utf-16")
    assert agrees(folder, single, tmp_path / "one-out.csv", workspace) == ["one.txt"]
    message = run(folder, single, "--out", tmp_path / "again.csv").stderr
    assert f"one.txt: {table(tmp_path / 'again.csv')[2][0]}, written to" in message, "one answer is said at once"


@pytest.mark.parametrize("tap", [None, "image.blocks.3"])
def test_pictures_with_texts(tap, workspace, tmp_path):
    """A table beside its pictures, and a zip of both: the app's answers, also where the head sits lower."""
    dataset = replace(make_pairs(workspace), path_column="photo", text_column="words")
    trained = trained_model(dataset, "efficientnet_lite0+all_minilm_l6_v2", Head(tap=tap, pool="mean_std"))
    folder = write_bundle(tmp_path / "bundle", trained).path
    source = tmp_path / "data"
    (source / "photos").mkdir(parents=True)
    for name, data in list(pictures().items())[:6]:
        (source / "photos" / Path(name).name).write_bytes(data)
    names = sorted(path.name for path in (source / "photos").iterdir())
    lines = [f"{n};photos/{name};soup in a pan {n}" for n, name in enumerate(names)]
    lines[2:2] = ["", "x;photos/none.png;rain", f"y;{lines[0].split(';')[1]};", "z;../bundle/README.md;fog"]
    (source / "items.csv").write_text("\n".join(["id;photo;words", *lines]) + "\n")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", source)
    expected = [f"row {n}" for n in (2, 3, 8, 9, 10, 11)]
    assert agrees(folder, source / "items.csv", tmp_path / "table.csv", workspace) == expected
    if tap is None:
        assert agrees(folder, Path(archive), tmp_path / "zip.csv", workspace) == expected
        skipped = run(folder, source / "items.csv").stderr.splitlines()[:3]
        assert skipped == [
            "skipped row 5: there is no picture photos/none.png",
            "skipped row 6: it has no text",
            "skipped row 7: its path leads out of the table's folder",
        ]


def pairs_script(tmp_path, monkeypatch):
    """Import the script for pictures with texts, as it lies in a bundle."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    shutil.copyfile(TEMPLATE, folder / "predict_single.py")
    shutil.copyfile(TEMPLATE.with_name("predict_pairs.py"), folder / "predict.py")
    monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location("bundle_pairs", folder / "predict.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.parametrize("packed", [False, True])
def test_pairs_are_found_by_the_names_that_the_import_knows(packed, tmp_path, monkeypatch, workspace, capsys):
    script = pairs_script(tmp_path, monkeypatch)
    source = tmp_path / "data"
    (source / "images").mkdir(parents=True)
    for n in range(1, 9):
        Image.new("RGB", (8, 8), (20 * n, 0, 0)).save(source / "images" / f"{n:02d}.png")
    cells = ["1", "02", "3.0", "04.png", "/data/upload/1/05.png", "C:\\me\\06.PNG", "images/07.png", "../images/08.png"]
    rows = [f"{cell},words {n}" for n, cell in enumerate([*cells, "77"])]
    (source / "items.csv").write_text("\n".join(["id,text", *rows]) + "\n")
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", source)) if packed else source
    found = list(script.read_pairs(path, "id", "text"))
    assert [row for row, _ in found] == [f"row {n}" for n in range(2, 10)]
    assert [image.getpixel((0, 0))[0] // 20 for _, (image, _) in found] == list(range(1, 9))
    assert capsys.readouterr().err == "skipped row 10: there is no picture 77\n"
    expected = read_prediction_items(str(path), "multimodal", workspace, "text", "id")
    assert list(expected.ids) == [row for row, _ in found]


def test_pairs_never_get_the_picture_of_another_row(tmp_path, monkeypatch, capsys):
    script = pairs_script(tmp_path, monkeypatch)
    source = tmp_path / "data"
    (source / "train").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(source / "train" / "1.png")
    (source / "train.csv").write_text("path,text\ntrain/1.png,a\ntest/1.png,b\n")
    (source / "test.csv").write_text("path,text\ntrain/1.png,c\n")
    (source / "other.csv").write_text("name,size\nx,1\n")
    found = [(row, text) for row, (_, text) in script.read_pairs(source, "path", "text")]
    assert found == [("row 2 of test.csv", "c"), ("row 2 of train.csv", "a")]
    assert capsys.readouterr().err == "skipped row 3: there is no picture test/1.png\n"


def test_user_mistakes_are_readable_errors(workspace, tmp_path):
    folder = write_bundle(tmp_path / "bundle", trained_model(make_texts(workspace), "all_minilm_l6_v2")).path
    for argument in (tmp_path / "nothing.csv", tmp_path / "elsewhere"):
        done = run(folder, argument)
        assert done.returncode == 1
        assert "There is no" in done.stderr
        assert "Traceback" not in done.stderr
    table = tmp_path / "mine.csv"
    table.write_text("text\nrain and fog over the hills\n")
    done = run(folder, table, "--out", table)
    assert done.returncode == 1
    assert "is the input file" in done.stderr
    assert "in the input folder" in run(folder, table.parent, "--out", table).stderr
    assert table.read_text() == "text\nrain and fog over the hills\n", "what was there is not lost"


def test_pictures_are_opened_as_the_app_opens_them(tmp_path):
    spec = importlib.util.spec_from_file_location("bundle_predict", TEMPLATE)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, data in pictures().items():
        path = tmp_path / Path(name).name
        path.write_bytes(data)
        if path.suffix != ".jpg":  # a photograph that was changed is stored again first; the tests above cover it
            assert (np.asarray(script.open_image(path)) == np.asarray(open_image(path))).all()


def test_the_script_imports_nothing_of_graft():
    assert "tl_core" not in "".join(line for line in TEMPLATE.read_text().splitlines() if "import" in line)


def test_the_first_of_two_zip_entries_with_one_name_is_read_as_in_the_app(tmp_path, workspace):
    archive = tmp_path / "twice.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "the first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.txt", "the second")
        file.writestr("b.txt", "another")
    spec = importlib.util.spec_from_file_location("bundle_predict", TEMPLATE)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    items = read_prediction_items(str(archive), "text", workspace)
    assert list(script.read_items(archive, "text", "")) == list(zip(items.ids, items.texts, strict=True))
    assert "the first" in items.texts
