"""The plan as a grid: layer groups as rows, head on top, and phases as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from tl_core.layers import HEAD, plain_titles
from tl_core.plan import Phase, TransferPlan
from ui.components.palette import WORDS, State, asset, count_text, rate_text, state_of

SCHEDULES = {
    "constant": "constant rate",
    "linear": "linear decay",
    "cosine": "cosine decay",
    "slanted": "slanted triangle",
    "one_cycle": "one cycle",
}

OBJECTIVES = {"masked": "fills in hidden parts", "contrastive": "groups items by label"}
"""What a phase learns if it does not learn the labels directly."""


@dataclass(frozen=True)
class Cell:
    """A cell of the grid: the index of a phase, and a layer group."""

    phase: int
    group: str


def unused_groups(plan: TransferPlan, groups: Sequence[str]) -> set[str]:
    """Return the groups above the plan's tap. The network is cut there, so they never run."""
    if plan.head.tap not in groups:
        return set()
    return set(groups[groups.index(plan.head.tap) + 1 :]) - {HEAD}


def _phase(phase: Phase) -> dict[str, str]:
    solved = phase.optimizer == "lbfgs"
    epochs = "solved in one step" if solved else f"{phase.epochs} epoch{'s' if phase.epochs != 1 else ''}"
    notes = [] if solved else [SCHEDULES[phase.schedule]]
    if phase.warmup and not solved:
        notes.append(f"{phase.warmup:.0%} warm-up")
    if phase.objective in OBJECTIVES:
        notes.insert(0, OBJECTIVES[phase.objective])
    if phase.patience:
        notes.append(f"stops early after {phase.patience}")
    return {"name": phase.name, "epochs": epochs, "notes": ", ".join(notes)}


def _cell(phase: Phase, group: str, unused: set[str]) -> dict[str, str]:
    state: State = "unused" if group in unused else state_of(group, group in phase.lr)
    rate = ""
    if group in phase.lr and group not in unused:
        rate = "solved" if phase.optimizer == "lbfgs" else rate_text(phase.lr[group])
    return {"state": state, "word": WORDS[state], "rate": rate}


def grid_data(plan: TransferPlan, groups: Sequence[str], parameters: Mapping[str, int] | None = None) -> dict:
    """Return the data of the drawing. `groups` go from input to head; a missing head is added."""
    names = [*(group for group in groups if group != HEAD), HEAD]
    unused, titles = unused_groups(plan, names), plain_titles(names)
    rows = [
        {
            "name": name,
            "title": titles[name],
            "parameters": count_text(parameters[name]) if parameters and name in parameters else "",
            "cells": [_cell(phase, name, unused) for phase in plan.phases],
        }
        for name in reversed(names)
    ]
    return {"phases": [_phase(phase) for phase in plan.phases], "rows": rows}


_component = st.components.v2.component(
    "graft_plan_grid",
    html="<div class='graft grid'><table><thead></thead><tbody></tbody></table><div class='legend quiet'></div></div>",
    css=asset("palette.css") + asset("plan_grid.css"),
    js=asset("plan_grid.js"),
)


def plan_grid(
    plan: TransferPlan,
    groups: Sequence[str],
    *,
    key: str,
    parameters: Mapping[str, int] | None = None,
    editable: bool = False,
    selected: Cell | None = None,
) -> Cell | None:
    """Draw the plan; return the cell that was clicked, for one rerun. Without `editable` it is always None.

    The cells of an editable grid are buttons: Tab enters the grid, arrow keys move in it, Enter opens a cell.
    """
    chosen = {"phase": selected.phase, "group": selected.group} if selected else None
    data = grid_data(plan, groups, parameters) | {"editable": editable, "selected": chosen}
    result = _component(key=key, data=data, on_opened_change=lambda: None)
    clicked = result.opened if editable else None
    if not clicked or clicked["group"] not in {*groups, HEAD} or not 0 <= clicked["phase"] < len(plan.phases):
        return None
    return Cell(int(clicked["phase"]), str(clicked["group"]))
