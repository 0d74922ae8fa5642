"""Any other network that a person names: of timm, of torchvision, of the hub, or their own files."""

from pathlib import Path

import streamlit as st

from tl_core import background, fetch_jobs
from tl_core.backbones import name_list
from tl_core.backbones.hub.names import HUB_PREFIX, is_hub_model
from tl_core.backbones.name_list import Network
from tl_core.fetch_jobs import FetchJob, FetchRequest
from ui import session, uploads, words
from ui.backbone import bring

WAYS = {
    "list": ("From a list", ":material/list:"),
    "hub": ("From the Hugging Face Hub", ":material/cloud_download:"),
    "own": ("Your own weights", ":material/folder_open:"),
}
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")
_BEGUN = "backbone_list_begun"
LAYOUT = (
    "A folder or an archive in the layout of transformers or timm: `config.json`, the weights "
    "(`model.safetensors` or `pytorch_model.bin`), and the tokenizer files of a text network. Or one file of weights "
    "of a network that timm or torchvision knows. Weights are read as data; no code is run."
)


def draw(modality: str) -> None:
    """Draw the three ways to add a network."""
    with st.container(border=True, key="backbone_another"):
        st.subheader("Another network", anchor=False)
        st.write(
            "Any network that timm, torchvision or transformers can build can be tried. It is cut into layer groups "
            "and checked: cut, it must compute the same as whole."
        )
        way = st.segmented_control(
            "Where from", list(WAYS), default="hub" if modality == "text" else "list", required=True,
            format_func=lambda name: f"{WAYS[name][1]} {WAYS[name][0]}", label_visibility="collapsed",
            key="backbone_way",
        )  # fmt: skip
        if way == "list":
            from_a_list(modality)
        elif way == "hub":
            from_the_hub()
        else:
            own_files("backbone_own")


def from_a_list(modality: str) -> None:
    """Offer the networks of timm and torchvision that have weights; type to search."""
    if modality == "text":
        st.caption("The networks of this list read pictures; your data are texts.")
    chosen = choose_network("Network", "backbone_network")
    if st.button("Look it up", icon=":material/search:", disabled=chosen is None, key="backbone_look") and chosen:
        bring.start(FetchRequest(chosen))


def choose_network(label: str, key: str) -> str | None:
    """Draw the list of networks by name; return the chosen one. It is made once, in a process of its own."""
    folder = _list_folder()
    networks = name_list.read_names(folder)
    if not networks:
        _wait_for_list(folder)
        return None
    sizes = {network.name: network for network in networks}

    return st.selectbox(
        label, list(sizes), index=None, format_func=lambda name: _described(sizes[name]), key=key,
        placeholder=f"Type to search {len(sizes):,} networks, such as resnet50",
    )  # fmt: skip


def _described(network: Network) -> str:
    size = f" · {words.size(network.bytes)}" if network.bytes else ""
    return f"{network.name.replace(':', ' · ', 1)} · {network.side} px{size}"


def is_listing() -> bool:
    """Return whether the list of networks is being made."""
    folder = _list_folder()
    return background.is_alive(folder) and not name_list.read_names(folder)


def _list_folder() -> Path:
    return session.workspace().folder("backbones", name_list.NAMES)


def _wait_for_list(folder: Path) -> None:
    """Say that the list is being made, in a process that is started once by each tab; it is done in some seconds."""
    if not background.is_alive(folder):
        if st.session_state.get(_BEGUN):
            st.warning("The list of networks could not be made. Name the network under **From the Hugging Face Hub**.")
            return
        st.session_state[_BEGUN] = True
        start_list(folder)
    st.caption(":material/hourglass_top: The names of all networks are being listed, once. This takes some seconds.")


def start_list(folder: Path) -> None:
    """Start the process that writes the list of networks."""
    background.start_process("tl_core.backbones.name_list", folder)


def from_the_hub() -> None:
    """Ask for a model of the hub by its name or the address of its page."""
    with st.form("backbone_hub_form", border=False):
        name = st.text_input(
            "Name or address", placeholder="owner/name, or https://huggingface.co/owner/name", key="backbone_hub",
            help="A version can be added: owner/name@revision. The hub is asked first; then you decide.",
        ).strip()  # fmt: skip
        if st.form_submit_button("Look it up", icon=":material/search:", key="backbone_hub_look") and name:
            bring.start(FetchRequest(name if is_hub_model(name) else HUB_PREFIX + name))


def own_files(key: str, architecture: str = "") -> None:
    """Take a person's own weights: an upload, or a path on this computer. `architecture` says what they are of."""
    st.caption(LAYOUT)
    lead = "Drop an archive, a folder, or one file of weights here"
    if path := uploads.drop(lead, key, small=True):
        bring.start(_request(path, architecture))
    with st.form(f"{key}_form", border=False):
        typed = st.text_input("Folder or file on this computer", placeholder="/home/me/my-network", key=f"{key}_path")
        if st.form_submit_button("Open", icon=":material/folder_open:", key=f"{key}_open") and typed.strip():
            place = Path(typed.strip().strip("'\"")).expanduser()
            bring.start(_request(place.absolute(), architecture))


def _request(path: Path, architecture: str) -> FetchRequest:
    """Return the fetch of one's own weights; a folder or an archive says itself what it holds."""
    return FetchRequest(str(path), architecture if path.suffix.lower() in WEIGHTS else "")


def unnamed(job: FetchJob) -> None:
    """Ask which network one's own weights belong to, where they do not say it."""
    st.info(
        f"**{words.escape(job.state.message)}** Which network is it? Or bring its folder with config.json.",
        icon=":material/help:",
    )
    network = choose_network("Which network is it?", f"backbone_as_{job.id}")
    with st.container(horizontal=True):
        pressed = st.button("Go on", type="primary", disabled=network is None, key=f"backbone_named_{job.id}")
        if pressed and network:
            library, _, name = network.partition(":")
            bare = name.partition(".")[0] if library == "timm" else name
            bring.start(FetchRequest(job.request.what, f"{library}:{bare}"))
        if st.button("Dismiss", type="tertiary", key=f"backbone_dismiss_{job.id}"):
            fetch_jobs.dismiss_fetch(session.workspace(), job.id)
            st.rerun()
