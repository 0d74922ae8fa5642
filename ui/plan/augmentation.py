"""How training pictures vary under a plan, to look at; made by a process of its own, as the server holds no torch."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import streamlit as st

from tl_core.plan import TransferPlan
from tl_core.threads import THREAD_SETTINGS
from ui.plan.context import PlanContext

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120


def draw(plan: TransferPlan, known: PlanContext) -> None:
    """Offer examples where the plan varies pictures."""
    policy = plan.augment.policy
    if policy == "none" or known.dataset.modality != "image":
        return
    if not st.toggle("Show examples of varied pictures", key="plan_varied"):
        return
    with st.spinner("Varying some pictures"):
        found = examples(str(known.dataset.folder), known.spec.name, policy)
    if found:
        st.image(found, width="stretch", alt="On the left three training pictures, beside each some variations of it")
        st.caption("On the left, pictures as they are; beside each, what training may see instead.")
    else:
        examples.clear()
        st.caption(":material/warning: The examples could not be made. The training itself is not affected.")


@st.cache_data(show_spinner=False, max_entries=16)
def examples(folder: str, backbone: str, policy: str) -> bytes:
    """Return a PNG of pictures of the data set in `folder` with their variations, b"" where it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="graft-") as scratch:
        out = Path(scratch) / "varied.png"
        line = [sys.executable, "-m", "tl_core.jobs.preview", folder, backbone, policy, str(out)]
        try:
            subprocess.run(
                line, cwd=ROOT, env=os.environ | THREAD_SETTINGS, timeout=SECONDS, check=True, capture_output=True
            )
            return out.read_bytes()
        except (OSError, subprocess.SubprocessError):
            return b""
