"""The freeze proof: what each layer group did in the last epoch, as measured, folded away until somebody looks."""

import pandas as pd
import streamlit as st

from tl_core.runs.events import LayerStats
from ui.words import layer_names

HELP = {
    "Layer group": "From the head down to the input.",
    "State": "Whether it could learn in this phase.",
    "Changed": "Whether a single bit of it changed in this phase.",
    "Drift": "How far its weights are from where the run began, over the size of those weights.",
    "Statistics' drift": "The same for the running means and deviations of its normalisation layers.",
    "Gradient": "Size of its gradient at the epoch's last step.",
    "Update": "Size of the last step, over the size of the weights. About 0.001 is usual.",
}


def rows(stats: LayerStats, backbone: str) -> pd.DataFrame:
    """Return the measures as a table, head first."""
    told = layer_names(backbone, stats.groups)
    made = [
        (
            told[name],
            "Frozen" if group.frozen else "Learns",
            "yes" if group.moved else "no",
            *(group.drift, group.norm_drift, group.gradient, group.update),
        )
        for name, group in reversed(list(stats.groups.items()))
    ]
    return pd.DataFrame(made, columns=list(HELP))


def verdict(stats: LayerStats) -> tuple[bool, str]:
    """Return whether what is frozen stayed as it was, and a sentence that says so."""
    frozen = [name for name, group in stats.groups.items() if group.frozen]
    moved = [name for name in frozen if stats.groups[name].moved]
    if moved:
        return False, f"Frozen, and changed all the same: {', '.join(moved)}. This must not happen."
    if not frozen:
        return True, "Nothing is frozen in this phase."
    return True, "Every frozen layer group is the same, bit for bit, as when this phase began."


def freeze_proof(stats: LayerStats | None, backbone: str) -> None:
    """Draw the proof, or nothing before the first epoch has ended."""
    if stats is None or not stats.groups:
        return
    with st.expander("Freeze proof", icon=":material/lock:", key="train_proof"):
        good, sentence = verdict(stats)
        (st.markdown if good else st.error)(sentence)
        numbers = list(HELP)[3:]
        columns = {name: st.column_config.Column(help=HELP[name]) for name in list(HELP)[:3]}
        columns |= {name: st.column_config.NumberColumn(help=HELP[name], format="%.2g") for name in numbers}
        st.dataframe(rows(stats, backbone), hide_index=True, column_config=columns, key="train_proof_table")
        st.caption(f"Measured at the end of epoch {stats.epoch + 1} of phase {stats.phase + 1}.")
