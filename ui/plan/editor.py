"""The plan editor: the grid, its dialogs for cells and phases, the costs, the YAML document."""

from typing import Any

import streamlit as st

from tl_core.advice.cost import estimate_for, group_parameters, trainable_parameters
from tl_core.backbones import catalogue
from tl_core.errors import GraftError, PlanError
from tl_core.layers import HEAD, plain_titles
from tl_core.plan import Phase, TransferPlan, from_yaml, to_yaml
from ui import errors, extra_data, glossary, rail, session, words
from ui.components.palette import count_text
from ui.components.plan_grid import SCHEDULES, Cell, plan_grid
from ui.plan import augmentation, description, draft
from ui.plan.context import PlanContext

USUAL_RATE = 1e-4


def drawing(plan: TransferPlan, context: PlanContext) -> None:
    """Draw the plan as a grid; a click on a cell opens its dialog."""
    cell = plan_grid(plan, context.groups, key="plan_grid", parameters=group_parameters(context.spec), editable=True)
    description.draw(plan)
    augmentation.draw(plan, context)
    if cell:
        _edit_cell(plan, cell, plain_titles([*context.groups, HEAD])[cell.group])
    with st.container(horizontal=True, vertical_alignment="center", key="plan_tools"):
        for index, phase in enumerate(plan.phases):
            if st.button(
                f"Phase {index + 1}: {words.escape(phase.name)}", icon=":material/tune:", key=f"plan_phase_{index}"
            ):
                _edit_phase(plan, index)
        _document(plan, context)
        if session.current().edited and st.button("Undo my edits", icon=":material/undo:", key="plan_undo"):
            draft.undo_edits()
            st.rerun()


@st.dialog("Change a cell")
def _edit_cell(plan: TransferPlan, cell: Cell, title: str) -> None:
    phase = plan.phases[cell.phase]
    st.markdown(
        f"**{words.capitalise(words.escape(title))}** in phase {cell.phase + 1}, *{words.escape(phase.name)}*",
        help=f"This layer group is called {words.escape(cell.group)} in a saved plan.",
    )
    learns = st.segmented_control(
        "In this phase it is",
        [False, True],
        default=cell.group in phase.lr,
        required=True,
        format_func=lambda on: ":orange[Learns]" if on else ":blue[Frozen]",
        key="plan_cell_learns",
    )
    rate = phase.lr.get(cell.group, _proposed_rate(phase))
    if learns and phase.optimizer != "lbfgs":
        rate = st.number_input(
            "Learning rate", min_value=0.0, max_value=1.0, value=rate, step=rate / 10, format="%.2e",
            key="plan_cell_rate", help=glossary.tip("learning rate"),
        )  # fmt: skip
    if st.button("Apply", type="primary", key="plan_cell_apply"):
        draft.edit_rate(plan, cell.phase, cell.group, rate if learns else None)
        st.rerun()


@st.dialog("Change a phase")
def _edit_phase(plan: TransferPlan, index: int) -> None:
    phase = plan.phases[index]
    st.markdown(f"Phase {index + 1}, *{words.escape(phase.name)}*")
    solved = phase.optimizer == "lbfgs"
    changes: dict[str, Any] = {
        "epochs": int(
            st.number_input(
                "Epochs at most", 1, 1000, phase.epochs, key="plan_phase_epochs", help=glossary.tip("epoch")
            )
        ),
    }
    if solved:
        st.caption("This phase solves the head exactly, without learning rate and schedule.")
    else:
        names = list(SCHEDULES)
        changes["schedule"] = st.selectbox(
            "Learning-rate schedule", names, index=names.index(phase.schedule),
            format_func=lambda name: SCHEDULES[name].capitalize(), key="plan_phase_schedule",
            help=glossary.tip("schedule"),
        )  # fmt: skip
        changes["warmup"] = st.slider(
            "Warm-up",
            0.0,
            0.5,
            phase.warmup,
            0.05,
            format="percent",
            key="plan_phase_warmup",
            help=glossary.tip("warm-up"),
        )
        patience = st.number_input(
            "Patience: epochs without progress before it stops", 1, 1000, phase.patience, placeholder="never",
            key="plan_phase_patience", help=glossary.tip("patience"),
        )  # fmt: skip
        changes["patience"] = None if patience is None else int(patience)
    if st.button("Apply", type="primary", key="plan_phase_apply"):
        draft.edit_phase(plan, index, changes)
        st.rerun()


def _proposed_rate(phase: Phase) -> float:
    rates = [rate for group, rate in phase.lr.items() if group != HEAD] or list(phase.lr.values())
    return min(rates) if rates and phase.optimizer != "lbfgs" else USUAL_RATE


def _document(plan: TransferPlan, context: PlanContext) -> None:
    st.download_button(
        "Save as YAML", to_yaml(plan, context.groups), "plan.yaml", "application/yaml",
        icon=":material/download:", key="plan_save", on_click="ignore",
    )  # fmt: skip
    with st.popover("Load YAML", icon=":material/upload:", key="plan_load"):
        turn = st.session_state.setdefault("plan_upload_turn", 0)
        uploaded = st.file_uploader("A plan", type=["yaml", "yml"], max_upload_size=1, key=f"plan_upload_{turn}")
        if uploaded and _load(uploaded.getvalue(), context):
            st.session_state["plan_upload_turn"] = turn + 1
            st.rerun()


def _load(content: bytes, context: PlanContext) -> bool:
    """Load a plan from a document, and return whether it was valid. Errors are shown with their line."""
    try:
        plan = from_yaml(content.decode("utf-8-sig"), context.groups, list(catalogue.names(session.workspace())))
        if plan.backbone != context.spec.name:
            raise PlanError(
                f"This plan is for {plan.backbone}, but {context.spec.title} is chosen.",
                "Choose that backbone first, or change the line that names it.",
            )
    except UnicodeDecodeError:
        st.error("This is not a text file. **Save the plan as YAML in UTF-8.**", icon=":material/error:")
        return False
    except GraftError as error:
        errors.show(error)
        return False
    draft.save_edited(plan)
    return True


def costs(plan: TransferPlan, context: PlanContext) -> None:
    """Draw the costs of the plan: trainable parameters, phases, expected time and memory."""
    trainable = trainable_parameters(plan, context.spec, len(context.dataset.classes))
    with st.grid(4, min_column_width=180, key="plan_costs"):
        share = trainable / max(1, context.spec.parameters)
        st.metric(
            "Trainable parameters", count_text(trainable), border=True,
            help=glossary.tip("parameter", note=f"{share:.1%} of the backbone's. Fewer need fewer examples."),
        )  # fmt: skip
        st.metric("Phases", len(plan.phases), border=True, help=glossary.tip("phase"))
        if context.speed:
            time, memory = estimate_for(plan, context.spec, context.speed, context.profile)
            st.metric("Expected time", words.span(time), border=True, help=time.method)
            st.metric("Memory", words.span(memory, words.size), border=True, help=memory.method)
        else:
            st.metric("Expected time", "measuring…", border=True, help="The speed of this computer is being measured.")


def problems(plan: TransferPlan, context: PlanContext) -> None:
    """Show the findings about the plan; a blocking one disables Continue."""
    findings = extra_data.findings(plan, context.spec, context.dataset, context.extra)
    words.show_findings(findings)
    if extra_data.is_missing(plan, context.extra):
        st.markdown(":material/arrow_downward: Choose it below, under **A second data set or a teacher**.")
    if any(finding.level == "stop" for finding in findings):
        rail.block("This plan cannot run. See above for the reason.")
