"""The profile of a data set, computed once and shared by the pages."""

import streamlit as st

from tl_core.advice.defaults import default_backbone
from tl_core.backbones.reading import profile_for
from tl_core.data.dataset import Dataset
from tl_core.data.profile import Profile
from ui import session


def profile_of(dataset: Dataset) -> Profile:
    """Return the profile of a data set, computed once for each content, split and set of decisions.

    Tokens are those of the chosen backbone, or of the one that would be recommended.
    """
    spec = session.backbone() if "text" in dataset.parts else None
    receipt = dataset.receipt
    source = (dataset.name, receipt.source, len(receipt.lines))
    return _profile(dataset, dataset.version, source, spec.name if spec else "")


@st.cache_data(show_spinner="Looking through your data", max_entries=16)
def _profile(_dataset: Dataset, version: str, source: tuple[str, str, int], backbone: str) -> Profile:
    return profile_for(_dataset, session.find_backbone(backbone or default_backbone(_dataset)[0]))
