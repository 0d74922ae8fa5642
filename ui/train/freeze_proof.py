"""The freeze proof: how far each layer group moved in the last epoch. A frozen group must not have moved."""

import pandas as pd
import streamlit as st

from tl_core.runs.events import LayerStats
from ui import glossary
from ui.words import layer_names

HELP = {
    "Layer group": glossary.tip("layer group", note="Listed from the head down to the input."),
    "State": "Whether the group was frozen in this phase.",
    "Changed": "Whether any bit of its weights changed in this phase.",
    "Drift": glossary.tip("drift"),
    "Statistics' drift": glossary.tip(
        "normalisation statistics", note="This is how far they have moved, relative to their size."
    ),
    "Gradient": glossary.tip("gradient", note="Its size at the last step of the epoch."),
    "Update": "The size of the last step, relative to the size of the weights. About 0.001 is usual.",
}


def rows(stats: LayerStats, backbone: str) -> pd.DataFrame:
    """Return one row a layer group, head first."""
    titles = layer_names(backbone, stats.groups)
    table = [
        (
            titles[name],
            "Frozen" if group.frozen else "Learns",
            "yes" if group.moved else "no",
            *(group.drift, group.norm_drift, group.gradient, group.update),
        )
        for name, group in reversed(list(stats.groups.items()))
    ]
    return pd.DataFrame(table, columns=list(HELP))


def verdict(stats: LayerStats) -> tuple[bool, str]:
    """Return whether every frozen group is unchanged, and a sentence that says so."""
    frozen = [name for name, group in stats.groups.items() if group.frozen]
    moved = [name for name in frozen if stats.groups[name].moved]
    if moved:
        return (
            False,
            f"These groups were frozen but changed: {', '.join(moved)}. This must not happen; please report it.",
        )
    if not frozen:
        return True, "Nothing is frozen in this phase."
    return True, "Every frozen layer group is bit for bit the same as at the start of this phase."


def freeze_proof(stats: LayerStats | None, backbone: str) -> None:
    """Draw the proof; nothing before the first epoch has ended."""
    if stats is None or not stats.groups:
        return
    with st.expander("Freeze proof", icon=":material/lock:", key="train_proof"):
        unchanged, sentence = verdict(stats)
        (st.markdown if unchanged else st.error)(sentence)
        numbers = list(HELP)[3:]
        columns = {name: st.column_config.Column(help=HELP[name]) for name in list(HELP)[:3]}
        columns |= {name: st.column_config.NumberColumn(help=HELP[name], format="%.2g") for name in numbers}
        st.dataframe(rows(stats, backbone), hide_index=True, column_config=columns, key="train_proof_table")
        st.caption(f"Measured at the end of epoch {stats.epoch + 1} of phase {stats.phase + 1}.")
