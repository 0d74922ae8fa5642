"""The backbone page: the tree, and every way to bring another network here, over a hub of tiny models."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.backbones.tiny_checkpoints import bert_files, timm_files
from tests.hub_fixture import local_hub
from tests.hub_server import Fault, Hub, Repo
from tests.pages import scripted
from tests.pages.conftest import DROPPED, PAGES, page_text, upload, zip_bytes
from tl_core import background, fetch_jobs
from tl_core.backbones import fetched, memory, name_list, trial
from tl_core.backbones.acquire import make_ready, remove
from tl_core.backbones.name_list import NameList, Network
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.speed import measure_speed
from tl_core.data.dataset import Dataset
from tl_core.errors import UsageError
from tl_core.fetch_jobs import FetchRequest, FetchState
from tl_core.runs.events import RunEnded
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json, write_value
from ui.backbone import another, branches, entries
from ui.session import Session

REPO = "timm/resnet50.a1_in1k"
RESNET, BERT, GATED = "backbone_download_resnet50", "hub:lab/bert", "llama32_1b"


@pytest.fixture(scope="module")
def repos() -> dict[str, Repo]:
    bert = bert_files()
    return {
        REPO: Repo(timm_files("test_resnet"), licence="apache-2.0"),
        "meta-llama/Llama-3.2-1B": Repo(bert, gated=True),
        "lab/bert": Repo(bert, licence="cc-by-nc-4.0"),
        "timm/test_vit.r160_in1k": Repo(timm_files("test_vit"), licence="apache-2.0"),
    }


@pytest.fixture
def hub(repos, workspace, monkeypatch, tmp_path) -> Iterator[Hub]:
    with local_hub(repos, monkeypatch, tmp_path) as server:
        yield server


def leaves(nodes: list[dict]) -> list[dict]:
    return [leaf for node in nodes for leaf in (leaves(node["children"]) if "children" in node else [node])]


def tree_of(modality: str) -> list[dict]:
    known = entries.leaves()
    return leaves(branches.branches(modality, known, entries.own(known)))


def opened(app: AppTest, dataset: Dataset, focus: str = "") -> AppTest:
    """Open the backbone page of a project with data."""
    app.query_params["project"] = scripted.project(Workspace.default(), dataset, None)
    app.run()
    if focus:
        app.session_state["backbone_focus"] = focus
    return app.switch_page(PAGES["backbone"]).run()


def button(app: AppTest, start: str):
    """Return the only button whose key begins so."""
    (found,) = [each for each in app.button if each.key.startswith(start)]
    return found


def draft(workspace: Workspace) -> Session:
    return load(Session, read_json(workspace.root / "projects" / "0123abcd.json"))


def test_without_data_it_leads_back(app: AppTest) -> None:
    app.run()
    app.switch_page(PAGES["backbone"]).run()
    assert not app.exception
    assert "No data yet" in page_text(app)
    app.button(key="empty_go_data").click().run()
    assert app.title[0].value == "Bring your data"


def test_a_ready_backbone_is_proposed_and_taken(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    assert not app.exception
    assert app.title[0].value == "Choose what to build on"
    assert app.button(key="rail_next").disabled
    app.button(key="backbone_use_efficientnet_lite0").click().run()
    assert "Chosen for this project" in page_text(app)
    assert not app.button(key="rail_next").disabled


def test_the_backbone_in_view_is_measured_once(app: AppTest, workspace: Workspace) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.run()
    assert [state.task.backbone for state in RunStore(workspace).list() if state.kind == "speed"] == [
        "efficientnet_lite0"
    ]
    assert "measuring" in page_text(app)


def test_the_tree_holds_every_backbone_once(workspace: Workspace) -> None:
    drawn = tree_of("image")
    assert sorted(leaf["id"] for leaf in drawn) == sorted([*BACKBONES, entries.ADD])
    fitting = {spec.name for spec in BACKBONES.values() if spec.modality == "image"} | {entries.ADD}
    assert {leaf["id"] for leaf in drawn if leaf["fits"]} == fitting
    states = {leaf["id"]: leaf["state"] for leaf in drawn}
    assert [states[name] for name in ("efficientnet_lite0", "resnet50", "medclip")] == ["ready", "away", "file"]
    assert {each["state"] for each in branches.legend()} >= set(states.values()) - {"add"}


def test_going_back_loses_nothing(app: AppTest) -> None:
    upload(app, "flowers.zip", zip_bytes())
    app.button(key="rail_next").click().run()
    app.session_state["backbone_focus"] = "efficientnet_lite1"
    app.run()
    app.button(key="backbone_use_efficientnet_lite1").click().run()
    app.button(key="rail_back").click().run()
    app.button(key="rail_next").click().run()
    assert "Chosen for this project" in page_text(app)


def test_a_leaf_is_downloaded_chosen_used_and_deleted(app, hub, workspace, tiny_images) -> None:
    """The whole way of a leaf: every page works with it, and says so when it is gone."""
    opened(app, tiny_images, "resnet50")
    assert "Apache-2.0" in page_text(app)
    assert button(app, RESNET).label == "Download (102 MB)"
    button(app, RESNET).click().run()
    assert not app.exception
    name = f"hub:{REPO}@{hub.models[REPO].commit}"
    assert "ResNet-50 is ready" in "\n".join(each.value for each in app.toast)
    assert fetch_jobs.fetches(workspace) == ()
    assert {leaf["id"]: leaf["state"] for leaf in tree_of("image")}["resnet50"] == "ready"
    assert "it computes the same" in page_text(app)
    app.button(key=f"backbone_use_{name}").click().run()
    assert "Chosen for this project" in page_text(app)
    app.switch_page(PAGES["plan"]).run()
    assert not app.exception
    plan = draft(workspace).plan
    assert plan is not None
    assert plan.backbone == name
    app.switch_page(PAGES["train"]).run()
    assert not app.button(key="train_start").disabled

    write_value(workspace.folder("projects") / "0123ffff.json", Session("0123ffff", dataset=tiny_images.fingerprint))
    store = RunStore(workspace)
    for state in store.list():
        store.stop(state.id)
    app.switch_page(PAGES["backbone"]).run()
    app.button(key="backbone_delete").click().run()
    said = page_text(app)
    assert "1 project built on it" in said
    assert "ResNet-50" in said.partition("1 project built on it")[2]
    assert "Finished bundles keep working" in said
    app.button(key="backbone_delete_yes").click().run()
    assert not fetched.fetched(workspace)
    for page in ("backbone", "plan", "train", "results", "try", "runs", "data"):
        app.switch_page(PAGES[page]).run()
        assert not app.exception
    for page, sentence in (("backbone", "is not on this computer"), ("plan", "It was deleted.")):
        app.switch_page(PAGES[page]).run()
        assert sentence in page_text(app)
        assert app.button(key="rail_next").disabled


def part_of_it(hub: Hub, workspace: Workspace, size: int) -> None:
    """Download `size` bytes of the weights, and fail then."""
    hub.faults += [Fault("/lfs", times=1, cut=size), Fault("/lfs", status=403)]
    fetch_jobs.start_fetch(workspace, FetchRequest("resnet50", agreed=True))
    hub.faults.clear()


def test_a_download_is_seen_in_every_tab_cancelled_and_gone_on_with(app, hub, workspace, tiny_images) -> None:
    part_of_it(hub, workspace, 800_000)
    job = fetch_jobs.fetch_of(workspace, "resnet50")
    folder = workspace.root / "fetches" / job.id
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        background.write_owner(folder, child.pid)
        state = FetchState(stage="bringing", done=801_000, total=1_512_000, speed=50_000)
        fetch_jobs.write_state(folder, state)
        opened(app, tiny_images, "resnet50")
        (bar,) = app.get("progress")
        assert bar.proto.text == "Downloading: 0.8 of 1.5 MB · 50 kB/s · about 14 s left"
        coming = next(leaf for leaf in tree_of("image") if leaf["id"] == "resnet50")
        assert (coming["state"], coming["note"]) == ("coming", "53%")
        other = opened(AppTest.from_file(app._script_path, default_timeout=60), tiny_images, "resnet50")
        button(other, "backbone_cancel").click().run()
        assert child.wait(10) != 0
    app.run()
    assert button(app, RESNET).label == "Go on downloading (0.8 of 1.5 MB are here)"
    assert {leaf["id"]: leaf["state"] for leaf in tree_of("image")}["resnet50"] == "paused"
    button(app, RESNET).click().run()
    assert hub.ranges[-1] == "bytes=800000-"
    assert button(app, "backbone_use_hub")


def test_terms_are_accepted_first_and_a_login_is_asked_for(app, hub, workspace, tiny_texts) -> None:
    opened(app, tiny_texts, GATED)
    assert "accept their licence first" in page_text(app)
    assert button(app, "backbone_download").disabled
    (agree,) = app.checkbox
    assert "Llama 3.2 Community License" in agree.label
    agree.check().run()
    button(app, "backbone_download").click().run()
    assert "only given to people who are signed in" in page_text(app)
    assert "hf auth login" in page_text(app)
    assert button(app, "backbone_download").label == "Try again"


def test_without_a_network_it_says_how_to_bring_the_files(app, workspace, tiny_images, monkeypatch, hub) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    opened(app, tiny_images, "resnet50")
    button(app, RESNET).click().run()
    assert "The hub cannot be reached" in page_text(app)
    assert "bring its folder" in page_text(app)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    button(app, RESNET).click().run()
    assert button(app, "backbone_use_hub")


def test_a_disk_without_room_is_told_first(app, workspace, tiny_images, monkeypatch) -> None:
    monkeypatch.setattr(fetched, "free_bytes", lambda folder: 600_000_000)
    opened(app, tiny_images, "resnet50")
    assert "The download needs 102 MB, but only 63 MB can be used" in page_text(app)
    assert button(app, RESNET).disabled


def test_a_model_of_the_hub_is_looked_up_accepted_and_among_yours(app, hub, workspace, tiny_texts) -> None:
    opened(app, tiny_texts)
    app.button(key="backbone_add").click().run()
    app.text_input(key="backbone_hub").set_value("lab/bert")
    app.button(key="backbone_hub_look").click().run()
    assert "cc-by-nc-4.0" in page_text(app)
    assert button(app, "backbone_download").disabled
    app.checkbox[0].check().run()
    button(app, "backbone_download").click().run()
    assert not app.exception
    name = f"{BERT}@{hub.models['lab/bert'].commit}"
    assert button(app, f"backbone_use_{name}").label == "Use lab/bert"
    yours = next(leaf for leaf in tree_of("text") if leaf["id"] == name)
    assert (yours["state"], yours["title"]) == ("ready", "lab/bert")


def test_a_network_of_the_list_is_looked_up(app, hub, workspace, tiny_images, monkeypatch) -> None:
    names = NameList((Network("timm:test_vit.r160_in1k", side=160), Network("torchvision:alexnet", 244_000_000, 224)))
    monkeypatch.setattr(another, "start_list", lambda folder: background.write_owner(folder, os.getpid()))
    opened(app, tiny_images, entries.ADD)
    assert "are being listed" in page_text(app)
    folder = workspace.folder("backbones", name_list.NAMES)
    write_value(name_list._file(folder), names)
    app.run()
    box = app.selectbox(key="backbone_network")
    assert box.options == ["timm · test_vit.r160_in1k · 160 px", "torchvision · alexnet · 224 px · 244 MB"]
    box.select_index(0).run()
    app.button(key="backbone_look").click().run()
    assert "are being measured" in page_text(app)
    button(app, "backbone_download").click().run()
    assert button(app, "backbone_use_hub").label == "Use timm/test_vit.r160_in1k"


def test_ones_own_archive_is_uploaded(app, hub, workspace, tiny_texts) -> None:
    opened(app, tiny_texts, entries.ADD)
    app.get("segmented_control")  # the hub comes first for texts
    app.session_state["backbone_way"] = "own"
    app.run()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in bert_files().items():
            archive.writestr(f"mine/{name}", data)
    ticket = app.session_state["backbone_own_ticket"]
    (workspace.folder("uploads", ticket) / "mine.zip").write_bytes(packed.getvalue())
    DROPPED[ticket] = "sent"
    app.run()
    assert not app.exception
    assert button(app, "backbone_use_folder:mine@").label == "Use mine"
    assert hub.requests == []
    assert not (workspace.root / "uploads" / ticket).exists()


def test_a_file_that_does_not_say_its_network_asks_for_it(app, workspace, tiny_images, tmp_path) -> None:
    folder = workspace.folder("backbones", name_list.NAMES)
    write_value(name_list._file(folder), NameList((Network("timm:test_vit.r160_in1k", side=160),)))
    (tmp_path / "w.safetensors").write_bytes(timm_files("test_vit")["model.safetensors"])
    opened(app, tiny_images, entries.ADD)
    app.session_state["backbone_way"] = "own"
    app.run()
    app.text_input(key="backbone_own_path").set_value(str(tmp_path / "w.safetensors"))
    app.button(key="backbone_own_open").click().run()
    assert "does not say which network" in page_text(app)
    app.selectbox[0].select_index(0).run()
    button(app, "backbone_named").click().run()
    assert button(app, "backbone_use_folder:w@").label == "Use w"


def test_a_leaf_that_needs_a_file_takes_only_its_own(app, workspace, tiny_images, tmp_path) -> None:
    (tmp_path / "w.safetensors").write_bytes(timm_files("test_vit")["model.safetensors"])
    opened(app, tiny_images, "medclip")
    assert "medclip-vit-pretrained.zip" in page_text(app).replace("\\", "")
    app.text_input(key="backbone_file_medclip_path").set_value(str(tmp_path / "w.safetensors"))
    app.button(key="backbone_file_medclip_open").click().run()
    assert "These weights are not those of MedCLIP" in page_text(app)


def test_what_failed_is_tried_again_or_dismissed(app, workspace, tiny_images) -> None:
    opened(app, tiny_images, entries.ADD)
    app.session_state["backbone_way"] = "own"
    app.run()
    app.text_input(key="backbone_own_path").set_value("/nowhere/net")
    app.button(key="backbone_own_open").click().run()
    assert "There is nothing at /nowhere/net" in page_text(app).replace("\\", "")
    button(app, "backbone_again").click().run()
    assert "There is nothing at" in page_text(app)
    button(app, "backbone_dismiss").click().run()
    assert fetch_jobs.fetches(workspace) == ()
    assert "There is nothing at" not in page_text(app)


@pytest.fixture
def tiny_resnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the leaf ResNet-50 a tiny network."""
    len(BACKBONES)
    recipe = {"library": "timm", "architecture": "test_resnet", "config": {}, "args": {}}
    known = {**BACKBONES._values, "resnet50": replace(BACKBONES["resnet50"], recipe=recipe)}
    monkeypatch.setattr(BACKBONES, "_values", known)


def test_time_and_memory_are_shown_before_the_download(app, workspace, tiny_images, tiny_resnet) -> None:
    opened(app, tiny_images, "resnet50")
    assert "are being measured" in page_text(app)
    measure_speed(trial.measurable(workspace, "resnet50"), workspace, seconds=0)
    said = page_text(app.run())
    assert "| **Feature extraction** | " in said
    assert "makes little sense for your data" in said
    assert "random weights, which cost the same" in said
    assert not fetched.fetched(workspace)


def test_what_is_too_large_says_what_it_takes(app, workspace, tiny_texts, monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 16 * 10**9)
    opened(app, tiny_texts, GATED)
    assert "graphics card with about 19.8 GB" in page_text(app)
    assert not [state for state in RunStore(workspace).list() if state.kind == "speed"]


def test_a_backbone_in_use_is_not_deleted(app, hub, workspace, tiny_images) -> None:
    spec = make_ready(workspace, "resnet50")
    opened(app, tiny_images, "resnet50")
    app.button(key=f"backbone_use_{spec.name}").click().run()
    assert [state.kind for state in RunStore(workspace).list() if state.active and state.kind == "probe"]
    app.button(key="backbone_delete").click().run()
    assert "is using it now" in page_text(app)
    assert not [each for each in app.button if each.key == "backbone_delete_yes"]


def test_pairs_that_use_a_backbone_are_named_before_it_is_deleted(app, hub, workspace, tiny_images) -> None:
    name = f"{make_ready(workspace, 'resnet50').name}+minilm_l6_h384"
    opened(app, tiny_images, "resnet50")
    other = Session("0123ffff", dataset=tiny_images.fingerprint, backbone=name)
    write_json(workspace.folder("projects") / "0123ffff.json", dump(other))
    plan = replace(scripted.PLAN, backbone=name)
    scripted.write_run(RunStore(workspace), scripted.task(tiny_images, plan), [RunEnded("done", "")])
    app.button(key="backbone_delete").click().run()
    assert "1 project built on it" in page_text(app)
    assert "1 training used it" in page_text(app)


@pytest.mark.parametrize("named", [False, True])
def test_a_backbone_that_is_being_compared_is_not_deleted(app, hub, workspace, tiny_images, named) -> None:
    spec = make_ready(workspace, "resnet50")
    opened(app, tiny_images, "resnet50")
    task = Task("rank", "", tiny_images.fingerprint, backbones=(spec.name,) if named else ())
    scripted.write_run(RunStore(workspace), task, [], alive=True)
    app.button(key="backbone_delete").click().run()
    assert "is using it now" in page_text(app)
    assert not [each for each in app.button if each.key == "backbone_delete_yes"]


def test_what_arrived_of_a_download_can_be_deleted(app, hub, workspace, tiny_images) -> None:
    part_of_it(hub, workspace, 50_000)
    assert fetched.unfinished(workspace)
    opened(app, tiny_images, "resnet50")
    assert button(app, RESNET).label.startswith("Go on downloading")
    button(app, "backbone_drop").click().run()
    assert not fetched.unfinished(workspace)
    assert button(app, RESNET).label == "Download (102 MB)"


def test_an_earlier_version_that_was_removed_is_not_found(workspace, hub) -> None:
    spec = make_ready(workspace, "resnet50")
    remove(workspace, spec.name)
    with pytest.raises(UsageError, match="not in this workspace"):
        entries.session.catalogue.find_backbone(spec.name, workspace)
    assert entries.session.find_backbone(spec.name) is None
    assert entries.session.backbone_title(spec.name) == "ResNet-50"
    assert entries.session.backbone_title("hub:lab/own@0123") == "lab/own"
