"""A second data set, a teacher, and what the plan page says below its grid."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import scripted
from tests.pages.conftest import PAGES, page_text
from tests.tiny import make_multilabel, make_texts, write_dataset
from tl_core.data.dataset import Dataset
from tl_core.data.split import SplitSpec
from tl_core.plan import Adapter, Augment, Loss, Penalty, Phase
from tl_core.runs.events import RunEnded
from tl_core.runs.store import RunStore
from tl_core.strategies import STRATEGIES
from tl_core.types import load
from tl_core.workspace import Workspace, read_json
from ui import extra_data
from ui.plan import description
from ui.session import Session

pytestmark = pytest.mark.usefixtures("tiny_backbones")
ROLES = ("target", "source", "teacher")


@pytest.fixture
def store(workspace: Workspace) -> RunStore:
    return RunStore(workspace)


@pytest.fixture
def second(workspace: Workspace, tiny_images: Dataset) -> Dataset:
    """Another data set of pictures, with other classes."""
    rows = tiny_images.items.iloc[:6].to_dict("records")
    for number, row in enumerate(rows):
        row["label"] = number % 2
    return write_dataset(workspace, "others", "image", rows, 2)


def draft(workspace: Workspace) -> Session:
    return load(Session, read_json(next(workspace.folder("projects").glob("*.json"))))


def open_page(app: AppTest, page: str, workspace: Workspace, dataset: Dataset, **fields: object) -> AppTest:
    plan = replace(scripted.PLAN, **fields)  # type: ignore[arg-type]
    app.query_params["project"] = scripted.project(workspace, dataset, plan)
    app.run()
    app.switch_page(PAGES[page]).run()
    assert not app.exception
    return app


def box(app: AppTest, role: str, dataset: Dataset):  # type: ignore[no-untyped-def]
    return app.selectbox(key=f"plan_extra_data_{role}_{dataset.fingerprint}")


def test_nothing_is_chosen_at_first_and_only_what_fits_is_listed(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, second: Dataset, store: RunStore
) -> None:
    make_texts(workspace)
    scripted.finished(store, second)  # of other classes
    scripted.write_run(store, scripted.task(tiny_images), [RunEnded("failed", "No.")])
    good = scripted.finished(store, tiny_images)
    open_page(app, "plan", workspace, tiny_images)
    for role in ROLES:
        assert box(app, role, tiny_images).value == ""
        assert len(box(app, role, tiny_images).options) == 2
    assert box(app, "target", tiny_images).options[1].startswith("others · 6 images")
    assert store.state(good).name in box(app, "teacher", tiny_images).options[1]


def test_a_multilabel_source_is_not_offered(app: AppTest, workspace: Workspace) -> None:
    texts, multilabel = make_texts(workspace), make_multilabel(workspace)
    open_page(app, "plan", workspace, texts)
    assert "topics" in " ".join(box(app, "target", texts).options)
    assert box(app, "source", texts).options == ["None"]
    app.switch_page(PAGES["data"]).run()
    assert app.selectbox(key="second_target_known").options == [multilabel.name]
    app.get("button_group")[0].set_value("source").run()
    assert app.selectbox(key="second_source_known").options == []


def test_without_other_data_it_says_where_to_import_some(
    app: AppTest, workspace: Workspace, tiny_images: Dataset
) -> None:
    open_page(app, "plan", workspace, tiny_images)
    assert all(box(app, role, tiny_images).disabled for role in ROLES)
    assert "on the Data page" in page_text(app)


def test_a_choice_enables_its_penalties_lasts_and_reaches_the_training(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, second: Dataset, store: RunStore
) -> None:
    open_page(app, "plan", workspace, tiny_images)
    app.button(key="plan_choose_full").click().run()
    assert app.toggle(key="plan_penalty_mmd_False").disabled
    box(app, "target", tiny_images).set_value(second.fingerprint).run()
    assert draft(workspace).target == second.fingerprint
    assert "Nothing in this plan uses it yet" in page_text(app)
    assert not app.toggle(key="plan_penalty_mmd_False").disabled
    assert app.toggle(key="plan_penalty_replay_False").disabled
    app.toggle(key="plan_penalty_mmd_False").set_value(True).run()
    app.switch_page(PAGES["train"]).run()
    app.switch_page(PAGES["plan"]).run()
    assert box(app, "target", tiny_images).value == second.fingerprint
    again = AppTest.from_file(app._script_path, default_timeout=60)  # a reload: nothing but the address is left
    again.query_params["project"] = "0123abcd"
    again.run()
    again.switch_page(PAGES["train"]).run()
    assert "Make source and target alike (MMD), strength 1." in page_text(again)
    again.toggle(key="train_scratch").set_value(False).run()
    again.button(key="train_start").click().run()
    task = store.list()[0].task
    assert (task.target, task.source, task.teacher) == (second.fingerprint, "", "")


def test_optional_extra_data_reaches_its_penalty_if_chosen(
    workspace: Workspace, tiny_images: Dataset, second: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        extra_data, "chosen", lambda dataset: extra_data.ExtraData(second.fingerprint, second.fingerprint)
    )
    plan = replace(scripted.PLAN, penalties=(Penalty("ewc", 1.0),))
    task = extra_data.with_extra_data(replace(scripted.task(tiny_images), plan=plan), tiny_images)
    assert (task.source, task.target) == (second.fingerprint, "")


def test_extra_data_that_the_plan_does_not_use_is_not_given_to_the_training(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, second: Dataset, store: RunStore
) -> None:
    open_page(app, "plan", workspace, tiny_images)
    box(app, "source", tiny_images).set_value(second.fingerprint).run()
    app.switch_page(PAGES["train"]).run()
    app.button(key="train_start").click().run()
    assert draft(workspace).source == second.fingerprint
    assert {state.task.source for state in store.list()} == {""}


def test_a_plan_that_lacks_its_teacher_cannot_start(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, store: RunStore
) -> None:
    run = scripted.finished(store, tiny_images)
    open_page(app, "plan", workspace, tiny_images)
    app.button(key="plan_choose_distil").click().run()
    assert "needs a trained teacher" in app.error[0].value
    assert "Choose it below" in page_text(app)
    assert app.button(key="rail_next").disabled
    app.switch_page(PAGES["train"]).run()
    assert app.button(key="train_start").disabled
    app.switch_page(PAGES["plan"]).run()
    box(app, "teacher", tiny_images).set_value(run).run()
    assert not app.error
    assert "Choose it below" not in page_text(app)
    app.switch_page(PAGES["train"]).run()
    app.button(key="train_start").click().run()
    baseline, training = store.list()[:2]
    assert training.task.teacher == run
    assert (baseline.task.compare_to, baseline.task.teacher) == (training.id, "")


def test_the_users_of_a_teacher_include_strategies(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, store: RunStore
) -> None:
    scripted.finished(store, tiny_images)
    open_page(app, "plan", workspace, tiny_images)
    (teacher,) = (
        line.value for line in app.caption if "Used by" in line.value and "Learn from a teacher" in line.value
    )
    assert STRATEGIES["distil"].title in teacher
    (target,) = (line.value for line in app.caption if "Used by" in line.value and "(MMD)" in line.value)
    assert STRATEGIES["domain_adaptive"].title in target
    assert STRATEGIES["distil"].title not in target


def test_a_teacher_that_learned_test_items_gives_a_warning_and_may_teach(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, store: RunStore
) -> None:
    other_split = tiny_images.with_split(SplitSpec(seed=5))
    independent, leaking = (scripted.finished(store, data) for data in (tiny_images, other_split))
    open_page(app, "plan", workspace, tiny_images)
    app.button(key="plan_choose_distil").click().run()
    assert len(set(box(app, "teacher", tiny_images).options)) == 3, "runs of one name can be told apart"
    box(app, "teacher", tiny_images).set_value(independent).run()
    assert not any("The teacher learned" in line.value for line in app.warning)
    box(app, "teacher", tiny_images).set_value(leaking).run()
    (warning,) = (line.value for line in app.warning if "The teacher learned" in line.value)
    tested = tiny_images.rows("test")
    leaked = len(set(tested) & set(other_split.rows("train")))
    assert leaked
    assert f"from {leaked} of the {len(tested)} test items" in warning
    assert not app.button(key="rail_next").disabled


def test_start_again_keeps_the_extra_data(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, second: Dataset, store: RunStore
) -> None:
    run_task = scripted.task(tiny_images, target=second.fingerprint)
    run = scripted.write_run(store, run_task, [RunEnded("failed", "The memory was not enough.")])
    app.query_params["project"] = scripted.project(workspace, tiny_images, run=run)
    app.run()
    app.switch_page(PAGES["train"]).run()
    app.button(key="train_again").click().run()
    assert store.list()[0].task == run_task


def test_another_data_set_starts_without_extra_data(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, second: Dataset
) -> None:
    open_page(app, "plan", workspace, tiny_images)
    box(app, "target", tiny_images).set_value(second.fingerprint).run()
    app.session_state["data_choosing"] = True
    app.switch_page(PAGES["data"]).run()
    app.button(key=f"data_open_{second.fingerprint}").click().run()
    now = draft(workspace)
    assert (now.dataset, now.target) == (second.fingerprint, "")


def test_the_caveats_about_a_strategy_depend_on_the_extra_data(
    app: AppTest, workspace: Workspace, tiny_images: Dataset, second: Dataset
) -> None:
    open_page(app, "plan", workspace, tiny_images)
    app.button(key="plan_choose_domain_adaptive").click().run()
    before = page_text(app)
    box(app, "target", tiny_images).set_value(second.fingerprint).run()
    assert "The plan uses it" in page_text(app)
    caveats = [text for text in before.splitlines() if "unlabelled" in text and text not in page_text(app)]
    assert caveats


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"adapter": Adapter("dora", 4)}, "Adapters (DoRA, rank 4)"),
        ({"adapter": Adapter("ia3")}, "Adapters (IA3)"),
        ({"augment": Augment("strong")}, "varied strongly, differently in every epoch"),
        ({"augment": Augment("light", 3)}, "slightly, in 3 fixed versions each"),
        ({"phases": (replace(scripted.PLAN.phases[-1], recalibrate_norm=True),)}, "first estimated on your items"),
        ({"loss": Loss("balanced")}, "rare classes"),
        ({"loss": Loss(label_smoothing=0.1)}, "Label smoothing of 10%"),
        ({"loss": Loss(mixup=0.2)}, "(alpha 0.2)"),
        ({"precision": "bfloat16"}, "16 bits"),
        ({"penalties": (Penalty("l2_sp", 0.5),)}, "strength 0.5"),
        ({"phases": (Phase("fill in", 2, {"top": 1e-4}, objective="masked"),)}, "hidden"),
        ({"phases": (Phase("pairs", 2, {"top": 1e-4}, objective="contrastive", draws=64),)}, "draws 64 items"),
        ({"phases": (Phase("all", 2, {"top": 1e-4}, interpolate_weights=True),)}, "are averaged, in the proportion"),
    ],
)
def test_the_plan_describes_what_its_grid_does_not_show(fields: dict, words: str) -> None:
    assert not list(description.lines(scripted.PLAN))
    assert words in " ".join(description.lines(replace(scripted.PLAN, **fields)))
