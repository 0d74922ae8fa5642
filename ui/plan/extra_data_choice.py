"""The plan page's section on extra data: choosing a second data set or a teacher."""

from collections import Counter
from datetime import datetime

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.jobs.teacher_check import teacher_findings
from tl_core.penalties import PENALTIES, Need, used
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunState
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import Finding
from ui import rail, session, words
from ui.extra_data import ASKED, ExtraData, datasets, teachers
from ui.runs import labels

BRING = (
    "There is no other data set of {items} here yet. Bring one in on the Data page, under “A second data set beside "
    "this one”."
)


def draw(plan: TransferPlan, dataset: Dataset, beside: ExtraData) -> None:
    """Draw the choices; what is chosen goes into the draft."""
    needs, now = used(plan) & set(ASKED), session.current()
    titles = {
        "teacher": _apart({state.id: _run_title(state) for state in teachers(dataset)}),
        **{
            side: _apart({each.fingerprint: _data_title(each) for each in datasets(dataset, side)})
            for side in ("source", "target")
        },
    }
    with st.expander(
        "A second data set or a teacher", icon=":material/library_add:", key=f"plan_beside_{bool(needs)}",
        expanded=beside != ExtraData() or bool(needs),
    ):  # fmt: skip
        st.write("Most plans need none of these. Some strategies and guards do.")
        if not titles["target"]:
            st.caption(BRING.format(items=rail.noun(dataset.modality, 2)))
        found = {need: _choice(need, plan, dataset, titles[need]) for need in ASKED}
    if found != {need: getattr(now, need) for need in ASKED}:
        session.update(**found)
        st.rerun()


def _choice(need: Need, plan: TransferPlan, dataset: Dataset, titles: dict[str, str]) -> str:
    """Draw one choice, and return what is chosen, "" for none."""
    label, tip = ASKED[need]
    options, now = ["", *titles], getattr(session.current(), need)
    found = st.selectbox(
        label, options, index=options.index(now) if now in options else 0, help=tip, disabled=not titles,
        format_func=lambda each: titles.get(each, "None"), key=f"plan_beside_{need}_{dataset.fingerprint}",
    )  # fmt: skip
    if need == "teacher" and not titles:
        st.caption("No finished run here tells these classes apart.")
    for_what = _users(need, dataset)
    if need in used(plan):
        needed = any(need in PENALTIES[each.name].needs for each in plan.penalties if each.name in PENALTIES)
        without = ":material/block: The plan needs it." if needed else ":material/info: The plan can use one."
        st.caption(":material/check: The plan uses it." if found else without)
        if need == "teacher" and found:
            words.findings(_about_teacher(found, dataset.version, dataset))
    elif found:
        st.caption(f":material/info: Nothing in this plan uses it yet. It is for: {for_what}.")
    else:
        st.caption(f"For: {for_what}.")
    return found


@st.cache_data(show_spinner=False, max_entries=20, ttl=60)
def _about_teacher(teacher: str, version: str, _dataset: Dataset) -> tuple[Finding, ...]:
    """Return what should be known of a teacher for the data set, split and decisions of that version."""
    return teacher_findings(session.workspace(), teacher, _dataset)


def _users(need: Need, dataset: Dataset) -> str:
    """Return what can make use of it, in words."""
    kinds = [
        kind
        for kind in PENALTIES.values()
        if need in (*kind.needs, *kind.reads) and dataset.modality in kind.modalities
    ]
    plain = TaskInfo("", dataset.modality, ("lower", "upper"), 100, 2, 50)
    titles = [f"the strategy “{each.title}”" for each in STRATEGIES.values() if need in used(each.make(plain))]
    return words.tell(", ".join([*titles, *(f"the guard “{kind.title}”" for kind in kinds)]))


def _data_title(dataset: Dataset) -> str:
    return f"{dataset.name} · {dataset.receipt.taken:,} {rail.noun(dataset.modality, dataset.receipt.taken)}"


def _apart(titles: dict[str, str]) -> dict[str, str]:
    """Return the titles with a number behind those that were there before: a choice box tells its options by them."""
    counts: Counter[str] = Counter()
    found = {}
    for name, title in titles.items():
        counts[title] += 1
        found[name] = f"{title} ({counts[title]})" if counts[title] > 1 else title
    return found


def _run_title(state: RunState) -> str:
    strategy = labels.strategy_title(state.task.plan.strategy) if state.task.plan else ""
    when = datetime.fromtimestamp(state.created).strftime("%d %b, %H:%M")
    return f"{state.name} · {strategy} · {words.score(state.numbers)} · {when}"
