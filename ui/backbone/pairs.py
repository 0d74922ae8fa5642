"""For items with a picture and a text: the choice of two backbones, one for each part."""

import streamlit as st

from tl_core.backbones.catalogue import ready_for
from tl_core.backbones.pair import pair, tower
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.types import Part
from ui import session
from ui.backbone import card, costs

TITLES: dict[Part, str] = {"image": "Reads the pictures", "text": "Reads the texts"}
REFRESH = 1.5


def section() -> None:
    """Draw the choice, where the project's items have both parts; it follows a measurement by itself."""
    dataset = session.dataset()
    if dataset is None or dataset.modality != "multimodal":
        return
    st.write(
        "Your items have a picture and a text, so two backbones work side by side: one reads the picture, the other "
        "the text, and one new head learns from both."
    )
    measuring = st.session_state.get("backbone_pair_measuring", False)
    st.fragment(_body, run_every=REFRESH if measuring else None, key="backbone_pair_live")(dataset)
    st.subheader("More backbones", anchor=False)
    st.caption("Any of them, once it is on this computer, can be one of the two.")


def _body(dataset: Dataset) -> None:
    chosen = session.backbone()
    with st.container(border=True, key="backbone_pair"):
        with st.grid(2, min_column_width=240, key="backbone_pair_choice"):
            image, text = (_pick(part, dataset, chosen) for part in ("image", "text"))
        spec = pair(image, text)
        card.about(spec, "multimodal", "backbone_pair_facts")
        measuring = costs.is_measuring(spec.name)
        costs.draw(spec.name, spec)
        card.measure_again(spec)
        card.choose_button(spec)
    if st.session_state.get("backbone_pair_measuring", False) != measuring:
        st.session_state["backbone_pair_measuring"] = measuring
        st.rerun()


def _pick(part: Part, dataset: Dataset, chosen: BackboneSpec | None) -> BackboneSpec:
    """Ask for the backbone of a part, among those that are ready; the one that is used already comes first."""
    specs = {spec.name: spec for spec in ready_for(part, session.workspace())}
    now = tower(chosen, part).name if chosen and chosen.towers else card.recommended(dataset, part).name
    names = list(specs)
    name = st.selectbox(
        TITLES[part],
        names,
        index=names.index(now) if now in names else 0,
        format_func=lambda name: specs[name].title,
        key=f"backbone_pair_{part}",
    )
    return specs[name]
