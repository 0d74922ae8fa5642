"""Data sets of the hub, read by the real client from a hub on this machine."""

import hashlib
import io
import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from math import isnan
from pathlib import Path

import datasets
import pytest

from tests.data.files import picture
from tests.hub_server import Repo, serve
from tl_core.data.options import ImportOptions
from tl_core.data.sources.hub_columns import choose_hub_columns
from tl_core.data.sources.hub_source import HubName, _picture, is_hub, parse_hub
from tl_core.data.sources.tables.cell_text import cell_text
from tl_core.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
AT_WORK = """
import json, sys
from contextlib import closing
from pathlib import Path
from tl_core.data.options import ImportOptions
from tl_core.data.sources import import_data, preview_table
from tl_core.errors import GraftError
from tl_core.types import dump
from tl_core.workspace import Limits, Workspace

for line in sys.stdin:
    source, folder, options, limits = json.loads(line)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    workspace = Workspace(Path(folder), Limits(**limits))
    try:
        if options.pop("look", False):
            print(json.dumps(dump(preview_table(source, ImportOptions(**options))) | {"left": []}), flush=True)
            continue
        dataset = import_data(source, workspace, ImportOptions(**options))
        found = dataset.items[["id", "text", "label", "given", "group", "subgroup", "digest"]].to_dict("list")
        found |= {"name": dataset.name, "modality": dataset.modality, "classes": dataset.classes}
        found |= {"targets": dataset.targets.tolist(), "text_column": dataset.text_column}
        found["skipped"] = {each.item: each.reason for each in dataset.receipt_lines() if each.action == "skipped"}
    except GraftError as error:
        found = {"error": error.message, "hint": error.hint}
    left = [path.name for name in ("cache", "datasets") for path in workspace.folder(name).iterdir()]
    found["left"] = [name for name in left if name.startswith((".", "hub-"))]
    print(json.dumps(found), flush=True)
"""


class Reader:
    """Another process, because the client reads the hub's address once."""

    def __init__(self, url: str, home: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", AT_WORK]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=home, text=True
        )

    def read(self, source: str, folder: Path, options=None, limits=None):
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([source, str(folder / "graft"), options or {}, limits or {}]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer.pop("left") == []
        return answer

    def close(self) -> None:
        self._process.communicate()


def parquet(columns, **features):
    """Return the bytes of a Parquet file as `push_to_hub` writes it: with the types of its columns."""
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features) if features else None)
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


PETS = datasets.ClassLabel(names=["cat", "dog"])
MOODS = datasets.ClassLabel(names=["neg", "pos"])


def pets(seeds, **more):
    column = [{"bytes": picture(seed), "path": f"{seed}.png"} for seed in seeds]
    return parquet({"image": column, "label": [seed % 2 for seed in seeds]}, image=datasets.Image(), label=PETS)


def moods(texts, labels=None):
    columns = {"idx": list(range(len(texts))), "sentence": texts, "label": labels or [i % 2 for i in range(len(texts))]}
    return parquet(columns, idx=datasets.Value("int32"), sentence=datasets.Value("string"), label=MOODS)


def card(**configs):
    """Return a README that says which files are which split of which configuration."""
    lines = ["---", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        lines += [f"  - split: {split}\n    path: {name}/{split}.parquet" for split in splits]
    return "\n".join([*lines, "---", "# A data set", ""]).encode()


NOTES = {
    "title": [f"note {i}" for i in range(12)],
    "story": [f"the quick brown fox {i} jumps over the lazy dog" for i in range(12)],
    "verdict": ["good", "bad"] * 6,
    "fine": [True, False] * 6,
    "old": [False, False, True] * 4,
    "who": ["ann", "bob"] * 6,
    "tags": ["a;b", "b"] * 6,
}
ROWS = [dict(zip(NOTES, row, strict=True)) for row in zip(*NOTES.values(), strict=True)]
SECRET = "/etc/hostname"
REPOS = {
    "lab/pets": Repo({"data/train-0-of-1.parquet": pets(range(8)), "data/test-0-of-1.parquet": pets(range(8, 12))}),
    "lab/moods": Repo(
        {
            "README.md": card(plain=("train", "validation", "unsupervised"), small=("train",)),
            "plain/train.parquet": moods([f"text {i}" for i in range(10)], [0, 1, -1, 1, 0, 1, 0, 1, 0, 1]),
            "plain/validation.parquet": moods([f"other {i}" for i in range(4)]),
            "plain/unsupervised.parquet": moods(["nobody knows"]),
            "small/train.parquet": moods(["one", "two", "three"]),
        },
        sizes={"small/train.parquet": 5 * 2**30},
    ),
    "lab/notes": Repo({"notes.jsonl": "\n".join(map(json.dumps, ROWS)).encode()}),
    "lab/photos": Repo({f"{kind}/{seed}.png": picture(seed) for seed, kind in enumerate(["rose", "oak"] * 3)}),
    "lab/hostile": Repo(
        {
            "train.parquet": parquet(
                {"image": [{"bytes": picture(1), "path": "a.png"}, {"bytes": None, "path": SECRET}], "label": [0, 1]},
                image=datasets.Image(), label=PETS,
            )
        }
    ),
    "lab/letters": Repo({"train.csv": b"".join(b"%d,%d\n" % (i, i * i) for i in range(30))}),
    "lab/broken": Repo({"train.parquet": moods([f"text {i}" for i in range(10)])[:-200]}),
    "lab/gated": Repo({"train.csv": b"text,label\na,b\n"}, gated=True),
    "lab/program": Repo({"program.py": b"open('/tmp/graft-ran-it', 'w')", "README.md": b"# hello"}),
    "lab/empty": Repo({"README.md": b"# hello"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def hub():
    with serve(REPOS) as server:
        yield server


@pytest.fixture(scope="module")
def run(hub, tmp_path_factory):
    with closing(Reader(hub.url, tmp_path_factory.mktemp("home"))) as reader:
        yield reader.read


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hub:lab/moods", HubName("lab/moods")),
        (" hub:lab/moods:plain ", HubName("lab/moods", "plain")),
        ("hub:lab/moods:plain@v1.0", HubName("lab/moods", "plain", "v1.0")),
        ("hub:lab/my.moods_2@refs/convert/parquet", HubName("lab/my.moods_2", "", "refs/convert/parquet")),
        ("https://huggingface.co/datasets/lab/moods", HubName("lab/moods")),
        ("https://huggingface.co/datasets/lab/moods/viewer/plain/train", HubName("lab/moods", "plain")),
    ],
)
def test_the_name_of_a_data_set(source, name):
    assert is_hub(source)
    assert parse_hub(source) == name


@pytest.mark.parametrize("source", ["hub:", "hub:moods", "hub:../secret", "hub:a/b/c", "hub:/etc/passwd", "hub:a/b:"])
def test_what_is_no_name(source):
    with pytest.raises(DataError, match="does not name a data set of the hub"):
        parse_hub(source)


def test_pictures_with_their_labels_and_splits(run, tmp_path):
    answer = run("hub:lab/pets", tmp_path)
    assert (answer["modality"], answer["classes"], answer["name"]) == ("image", ["cat", "dog"], "pets")
    assert answer["label"] == [seed % 2 for seed in range(12)]
    assert answer["given"] == ["train"] * 8 + ["test"] * 4
    assert answer["id"][7:9] == ["train row 8", "test row 1"]
    assert answer["digest"] == [hashlib.sha256(picture(seed)).hexdigest() for seed in range(12)]


def test_texts_of_one_configuration(run, tmp_path):
    answer = run("hub:lab/moods:plain", tmp_path)
    assert answer["classes"] == ["neg", "pos"]
    assert answer["text_column"] == "sentence"
    assert answer["text"] == [*(f"text {i}" for i in range(10) if i != 2), *(f"other {i}" for i in range(4))]
    assert answer["given"] == ["train"] * 9 + ["validation"] * 4
    assert answer["skipped"] == {
        "train row 3": "it has no label",
        "unsupervised": "a part with another name than train, validation and test",
    }


def test_columns_are_found_without_declared_types_and_can_be_corrected(run, tmp_path):
    corrected = {"label_column": "verdict"}
    answer = run("hub:lab/notes", tmp_path, corrected)
    assert answer["text"] == NOTES["story"]
    assert answer["classes"] == ["bad", "good"]
    assert answer["id"][0] == "row 1"
    assert set(answer["given"]) == {""}
    options = {
        "text_column": "title",
        "label_columns": ["fine", "old"],
        "group_column": "who",
        "subgroup_column": "verdict",
    }
    answer = run("hub:lab/notes", tmp_path, options)
    assert answer["text"] == NOTES["title"]
    assert answer["targets"] == [[fine, old] for fine, old in zip(NOTES["fine"], NOTES["old"], strict=True)]
    assert (answer["group"], answer["subgroup"]) == (NOTES["who"], NOTES["verdict"])
    answer = run("hub:lab/notes", tmp_path, {"label_column": "tags", "separator": ";"})
    assert answer["classes"] == ["a", "b"]
    assert answer["targets"] == [[1, 1], [0, 1]] * 6


def test_the_columns_are_shown_before_the_import(run, tmp_path):
    answer = run("hub:lab/pets", tmp_path, {"look": True})
    assert (answer["path_column"], answer["text_column"], answer["label_column"]) == ("image", "", "label")
    assert answer["rows"][:2] == [["0.png", "cat"], ["1.png", "dog"]]
    assert answer["declared"]
    answer = run("hub:lab/notes", tmp_path, {"look": True})
    assert (answer["columns"], answer["rows"][0]) == (list(NOTES), [str(cell_text(NOTES[name][0])) for name in NOTES])
    assert [request["code"] for request in answer["findings"]] == ["hub-columns"]
    assert (answer["text_column"], answer["label_column"]) == ("story", "")
    answer = run("hub:lab/notes", tmp_path, {"look": True, "label_column": "verdict"})
    assert (answer["text_column"], answer["label_column"], answer["findings"]) == ("story", "verdict", [])


def columns_of(rows, **options):
    return choose_hub_columns(None, lambda: rows, ImportOptions(text_column="text", **options), "lab/rows")


@pytest.mark.parametrize(
    ("yes", "no"), [(1, 0), (True, False), ("yes", "no"), ("1.0", "0.0"), ("TRUE", "false"), (1.0, float("nan"))]
)
def test_a_column_of_a_label_says_yes_and_no_as_in_any_table(yes, no):
    rows = [{"text": "a", "sour": yes, "sweet": no}, {"text": "b", "sour": no, "sweet": yes}]
    columns = columns_of(rows, label_columns=("sour", "sweet"))
    assert [columns.labels(row) for row in rows] == [("sour",), ("sweet",)]
    with pytest.raises(ValueError, match="'maybe' in the column 'sour' is neither 0 nor 1"):
        columns.labels({"sour": "maybe", "sweet": no})


def test_labels_are_parted_and_missing_as_in_any_table():
    columns = columns_of([{"text": "a", "label": "['x', 'y']"}], label_column="label", separator="[]")
    assert columns.labels({"label": "['x', 'y', 'x']"}) == ("x", "y")
    numbers = columns_of([{"text": "a", "label": 1234567.0}], label_column="label")
    assert [numbers.labels({"label": value}) for value in (1234567.0, 1234568.0, 0.5)] == ["1234567", "1234568", "0.5"]
    for nothing in (None, float("nan"), "null", " "):
        with pytest.raises(ValueError, match="it has no label"):
            numbers.labels({"label": nothing})


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (2001, datetime(2001, 1, 1, tzinfo=UTC)),
        (978307200, datetime(2001, 1, 1, tzinfo=UTC)),
        (978307200000, datetime(2001, 1, 1, tzinfo=UTC)),
        ("31.12.2000", datetime(2000, 12, 31, tzinfo=UTC)),
        ("2000-12-31T12:00", datetime(2000, 12, 31, 12, tzinfo=UTC)),
        (date(2000, 12, 31), datetime(2000, 12, 31, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_in_any_table(value, when):
    columns = columns_of([{"text": "a", "label": "x", "day": value}], label_column="label", time_column="day")
    assert columns.seconds({"day": value}) == when.timestamp()
    assert isnan(columns.seconds({"day": None}))


@pytest.mark.parametrize("tail", ["x.png::file:///etc/hostname", "../x.png"])
def test_a_path_that_leads_to_another_place_is_not_read(tail):
    with pytest.raises(DataError, match="not part of the data set"):
        _picture({"path": f"hf://datasets/lab/pets@main/{tail}"}, HubName("lab/pets"))


def test_pictures_that_lie_in_folders(run, tmp_path):
    answer = run("hub:lab/photos", tmp_path)
    assert sorted(answer["classes"]) == ["oak", "rose"]
    assert len(answer["id"]) == 6


def test_a_picture_elsewhere_on_this_machine_is_not_read(run, tmp_path):
    answer = run("hub:lab/hostile", tmp_path)
    assert answer["id"] == ["row 1"]
    assert answer["skipped"] == {"row 2": "its picture is not part of the data set"}


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("hub:lab/moods", "lab/moods has several configurations: plain, small.", "for example hub:lab/moods:plain"),
        ("hub:lab/moods:large", "lab/moods has no configuration large.", "Choose one of plain, small"),
        ("hub:lab/moods:small", "5.0 GB of files in its configuration small; at most 4.0 GB are read.", "smaller"),
        ("hub:lab/gated", "lab/gated is restricted to people whom its owner has approved.", "Ask for access"),
        ("hub:lab/nothing", "There is no data set lab/nothing on the hub, or it is private.", "owner/name"),
        ("hub:lab/pets@v9", "lab/pets has no revision v9.", "newest"),
        ("hub:lab/program", "code from the hub is never run.", "refs/convert/parquet"),
        ("hub:lab/empty", "lab/empty holds no files that can be read as pictures or a table.", "page"),
        ("hub:lab/letters", "No column of lab/letters holds pictures or texts.", "It has "),
        ("hub:lab/broken", "lab/broken could not be read from the hub.", "client says"),
        ("hub:lab/notes", "No column of lab/notes looks like a label.", "title, story, verdict"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_sentence_and_a_hint(source, message, hint, run, hub, tmp_path):
    n_requests = len(hub.requests)
    answer = run(source, tmp_path)
    assert answer["error"].endswith(message)
    assert hint in answer["hint"]
    assert not any(".parquet" in request for request in hub.requests[n_requests:] if source.endswith("small")), (
        "it was downloaded"
    )
    assert not Path("/tmp/graft-ran-it").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_column": "taste"}, "lab/notes has no column taste."),
        ({"text_column": "(none)"}, "lab/notes has no column (none)."),
        ({"label_column": "story", "text_column": "story"}, "The column story cannot be both the text and the label."),
        ({"path_column": "story"}, "The column story of lab/notes holds no pictures."),
    ],
)
def test_a_wrong_column_is_refused_with_a_reason(options, message, run, tmp_path):
    assert run("hub:lab/notes", tmp_path, options)["error"] == message


def test_what_unpacks_to_too_much_ends_the_import(run, tmp_path):
    assert "more than can be kept" in run("hub:lab/pets", tmp_path, limits={"unpacked": 1500})["error"]


def test_without_a_hub(tmp_path):
    with closing(Reader("http://127.0.0.1:9", tmp_path)) as reader:
        assert reader.read("hub:lab/pets", tmp_path)["error"] == "The hub could not be reached to read lab/pets."
