"""Examples of augmented training pictures. A process of its own makes them, because the server does not load torch."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import streamlit as st

from tl_core.plan import TransferPlan
from tl_core.threads import THREAD_SETTINGS
from ui import glossary
from ui.plan.context import PlanContext

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


def draw(plan: TransferPlan, context: PlanContext) -> None:
    """Offer examples if the plan augments pictures."""
    policy = plan.augment.policy
    if policy == "none" or "image" not in context.dataset.parts:
        return
    if not st.toggle("Show examples of augmented pictures", key="plan_varied", help=glossary.tip("augmentation")):
        return
    with st.spinner("Augmenting some pictures"):
        picture = examples(str(context.dataset.folder), context.spec.name, policy)
    if picture:
        st.image(picture, width="stretch", alt="Three training pictures at the left, some variations beside each")
        st.caption("At the left the pictures as they are; beside each, what the network may see in training.")
    else:
        examples.clear()
        st.caption(":material/warning: The examples could not be made. The training itself is not affected.")


@st.cache_data(show_spinner=False, max_entries=16)
def examples(folder: str, backbone: str, policy: str) -> bytes:
    """Return a PNG of some pictures in `folder`, each with variations; b"" if it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="graft-") as scratch:
        out = Path(scratch) / "varied.png"
        command = [sys.executable, "-m", "tl_core.jobs.preview", folder, backbone, policy, str(out)]
        try:
            subprocess.run(
                command, cwd=ROOT, env=os.environ | THREAD_SETTINGS, timeout=SECONDS, check=True, capture_output=True
            )
            return out.read_bytes()
        except (OSError, subprocess.SubprocessError):
            return b""
