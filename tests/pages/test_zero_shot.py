"""Items without labels on the data page: from the drop to a labelled data set, with nothing lost on the way."""

import io
import zipfile

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import page_text, upload
from tl_core.data.guesses.answers import answer, answers, checked, enough, random_sample
from tl_core.data.guesses.origin import guessed_labels
from tl_core.data.guesses.sorting import asked, guess, read_scores
from tl_core.data.sources import list_datasets
from tl_core.data.split import SplitSpec
from tl_core.jobs import execute
from tl_core.runs.control import MemoryControl
from tl_core.runs.record import record
from tl_core.runs.store import RunStore
from ui import session

WORDS = ("red", "blue", "green")
TABLE = "said\n" + "\n".join(f"{WORDS[n % 3]} {WORDS[n % 3]} number {n} {'x' * (n % 7)} {n * n}" for n in range(80))


@pytest.fixture
def pool(app: AppTest, tiny_backbones) -> AppTest:
    """The data page with 80 texts without labels."""
    upload(app, "said.csv", TABLE.encode())
    return app.button(key="data_unlabelled").click().run()


def loose_pictures() -> bytes:
    """A zip with pictures in no folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(4):
            picture = io.BytesIO()
            Image.new("RGB", (20, 20), (60 * number, 90, 10)).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue())
    return buffer.getvalue()


def press_sort(app: AppTest, names: str) -> AppTest:
    fingerprint = list_datasets(session.workspace())[0].fingerprint
    app.text_area(key=f"zero_{fingerprint}_names").set_value(names)
    app.selectbox(key=f"zero_{fingerprint}_backbone").set_value("tiny_text")
    return app.button(key=f"zero_{fingerprint}_go").click().run()


def work(app: AppTest) -> AppTest:
    """Do the queued run, and run the page again."""
    store = RunStore(session.workspace())
    state = next(state for state in store.list() if state.kind == "zeroshot" and state.status == "queued")
    events = execute(store.task(state.id), store.workspace, store.folder(state.id), MemoryControl())
    list(record(events, store.folder(state.id)))
    return app.run()


@pytest.fixture
def sorted_(pool: AppTest) -> AppTest:
    press_sort(pool, "red\nblue\ngreen\n\n")
    return work(pool)


def test_items_without_labels_ask_for_names_of_classes(pool: AppTest) -> None:
    assert not pool.exception
    assert "80 texts without labels" in page_text(pool)
    assert pool.button(key="rail_next").disabled
    press_sort(pool, "red\nRed")
    assert "same name" in pool.error[0].value
    assert not RunStore(session.workspace()).list()


def test_the_run_is_shown_and_the_least_certain_come_first(pool: AppTest) -> None:
    press_sort(pool, "red\nblue\ngreen")
    assert "Waiting" in page_text(pool) or pool.get("progress")
    work(pool)
    dataset = list_datasets(session.workspace())[0]
    margin, sample = guess(read_scores(dataset, asked(dataset))).margin, set(random_sample(dataset).tolist())
    shown = []
    for page in range(1, 4):
        pool.session_state["zero_page_margin"] = page
        keys = [str(button.key) for button in pool.run().button]
        shown += [int(key.removeprefix("zero_right_")) for key in keys if "zero_right_" in key]
    assert shown == [row for row in margin.argsort(kind="stable").tolist() if row not in sample][:24]
    assert sum(pool.dataframe[0].value["Items"]) == 80


def test_answers_are_kept_by_another_tab_and_can_be_undone(sorted_: AppTest, app: AppTest) -> None:
    dataset = list_datasets(session.workspace())[0]
    guesses = guess(read_scores(dataset, asked(dataset)))
    row = next(row for row in guesses.margin.argsort(kind="stable").tolist() if row not in random_sample(dataset))
    other = (guesses.label[row] + 1) % 3
    pick = next(box for box in sorted_.selectbox if str(box.key).startswith(f"zero_pick_{row}_"))
    pick.select(WORDS[other]).run()
    assert answers(dataset).labels == {row: WORDS[other]}
    second = AppTest.from_file(sorted_._script_path, default_timeout=60).run()
    assert f"checked, guessed {WORDS[guesses.label[row]]}" in page_text(second)
    second.button(key="zero_undo").click().run()
    assert answers(dataset).labels == {}
    assert "checked, guessed" not in page_text(second)


def test_only_checked_items_of_the_random_sample_become_test_items(sorted_: AppTest) -> None:
    app, dataset = sorted_, list_datasets(session.workspace())[0]
    assert app.button(key="zero_use").disabled
    sample = random_sample(dataset)
    app.segmented_control(key="zero_order").set_value("sample").run()
    while app.button(key="zero_use").disabled:
        app.button(key="zero_all").click().run()
    done = len(checked(sample, answers(dataset).labels))
    assert done >= enough(sample, answers(dataset).labels)
    app.segmented_control(key="zero_order").set_value("random").run()
    assert not {int(str(button.key).removeprefix("zero_right_")) for button in app.button
                if "zero_right_" in str(button.key)} & set(map(int, sample))  # fmt: skip
    app.button(key="zero_use").click().run()
    assert not app.exception
    labelled = session.open_dataset(session.current().dataset)
    assert set(labelled.classes) <= set(WORDS)
    ids = dataset.items["id"].iloc[checked(sample, answers(dataset).labels)]
    assert set(labelled.items["id"].iloc[labelled.rows("test")]) == set(ids)
    assert guessed_labels(labelled).sum() == len(labelled.items) - len(ids)
    assert any("a person has checked" in line.reason for line in labelled.receipt.lines)
    assert "labels to learn from are guesses" in page_text(app)
    labelled.change_split(SplitSpec(honour_given=False))
    app.run()
    assert "test labels are guesses of zero-shot that nobody has checked" in page_text(app)
    app.button(key="zero_back").click().run()
    assert session.current().dataset == dataset.fingerprint
    assert (
        f"{done} checked, at least {enough(sample, answers(dataset).labels)} needed"
        in app.get("progress")[0].proto.text
    )


def test_an_item_of_the_sample_that_was_passed_over_holds_up_those_after_it(sorted_: AppTest) -> None:
    app, dataset = sorted_, list_datasets(session.workspace())[0]
    sample = random_sample(dataset).tolist()
    answer(dataset, dict.fromkeys(sample[1:], "red"))
    assert app.run().button(key="zero_use").disabled
    assert f"{len(sample) - 1} more do not count yet" in page_text(app)
    answer(dataset, {sample[0]: "blue"})
    assert not app.run().button(key="zero_use").disabled
    assert "do not count yet" not in page_text(app)


def test_pictures_say_what_they_need(app: AppTest) -> None:
    upload(app, "loose.zip", loose_pictures())
    app.button(key="data_unlabelled").click().run()
    assert not app.exception
    assert "reads pictures and texts alike" in app.error[0].value
