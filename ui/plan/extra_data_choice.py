"""The plan page's section on extra data: choosing a second data set or a teacher."""

from collections import Counter
from datetime import datetime

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.jobs.teacher_check import teacher_findings
from tl_core.penalties import PENALTIES, Need, needs_of
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunState
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import Finding, noun
from ui import session, words
from ui.extra_data import CHOICES, ExtraData, datasets, teachers
from ui.runs import display

BRING = "There is no other data set of {items} here yet. Import one on the Data page, under “A second data set”."


def draw(plan: TransferPlan, dataset: Dataset, extra: ExtraData) -> None:
    """Draw the choices, and save what is chosen with the project."""
    needs, project = needs_of(plan) & set(CHOICES), session.current()
    titles = {
        "teacher": _numbered({state.id: _run_title(state) for state in teachers(dataset)}),
        **{
            role: _numbered({other.fingerprint: _data_title(other) for other in datasets(dataset, role)})
            for role in ("source", "target")
        },
    }
    with st.expander(
        "A second data set or a teacher", icon=":material/library_add:", key=f"plan_extra_data_{bool(needs)}",
        expanded=extra != ExtraData() or bool(needs),
    ):  # fmt: skip
        st.write("Most plans need none of these. Some strategies and penalties do.")
        if not titles["target"]:
            st.caption(BRING.format(items=noun(dataset.modality, 2)))
        choices = {need: _choice(need, plan, dataset, titles[need]) for need in CHOICES}
    if choices != {need: getattr(project, need) for need in CHOICES}:
        session.update(**choices)
        st.rerun()


def _choice(need: Need, plan: TransferPlan, dataset: Dataset, titles: dict[str, str]) -> str:
    """Draw one choice; return the chosen data set or run, "" for none."""
    label, tip = CHOICES[need]
    options, current = ["", *titles], getattr(session.current(), need)
    chosen = st.selectbox(
        label, options, index=options.index(current) if current in options else 0, help=tip, disabled=not titles,
        format_func=lambda option: titles.get(option, "None"), key=f"plan_extra_data_{need}_{dataset.fingerprint}",
    )  # fmt: skip
    if need == "teacher" and not titles:
        st.caption("There is no finished run with these classes yet.")
    users = _users(need, dataset)
    if need in needs_of(plan):
        needed = any(need in PENALTIES[penalty.name].needs for penalty in plan.penalties if penalty.name in PENALTIES)
        without = ":material/block: The plan needs it." if needed else ":material/info: The plan can use one."
        st.caption(":material/check: The plan uses it." if chosen else without)
        if need == "teacher" and chosen:
            words.show_findings(_teacher_findings(chosen, dataset.version, dataset))
    elif chosen:
        st.caption(f":material/info: Nothing in this plan uses it yet. It is used by {users}.")
    else:
        st.caption(f"Used by {users}.")
    return chosen


@st.cache_data(show_spinner=False, max_entries=20, ttl=60)
def _teacher_findings(teacher: str, version: str, _dataset: Dataset) -> tuple[Finding, ...]:
    """Return the findings about a teacher for this version of the data set (content, split and decisions)."""
    return teacher_findings(session.workspace(), teacher, _dataset)


def _users(need: Need, dataset: Dataset) -> str:
    """Return the strategies and penalties that can use this extra data, in words."""
    kinds = [
        kind
        for kind in PENALTIES.values()
        if need in (*kind.needs, *kind.reads) and dataset.modality in kind.modalities
    ]
    groups = tuple(f"{part}.{place}" for part in dataset.parts for place in ("lower", "upper"))
    example = TaskInfo("", dataset.modality, groups, 100, 2, 50)
    fitting = [strategy for strategy in STRATEGIES.values() if dataset.modality in strategy.modalities]
    strategies = [strategy for strategy in fitting if need in needs_of(strategy.make(example))]
    titles = [f"the strategy “{strategy.title}”" for strategy in strategies]
    titles += [f"the penalty “{kind.title}”" for kind in kinds]
    return words.escape(" and ".join(filter(None, (", ".join(titles[:-1]), *titles[-1:]))))


def _data_title(dataset: Dataset) -> str:
    return f"{dataset.name} · {dataset.receipt.taken:,} {noun(dataset.modality, dataset.receipt.taken)}"


def _numbered(titles: dict[str, str]) -> dict[str, str]:
    """Return the titles with a number behind repeated ones, so that all options of a select box differ."""
    counts: Counter[str] = Counter()
    unique = {}
    for name, title in titles.items():
        counts[title] += 1
        unique[name] = f"{title} ({counts[title]})" if counts[title] > 1 else title
    return unique


def _run_title(state: RunState) -> str:
    strategy = display.strategy_title(state.task.plan.strategy) if state.task.plan else ""
    when = datetime.fromtimestamp(state.created).strftime("%d %b, %H:%M")
    return f"{state.name} · {strategy} · {words.score_text(state.numbers)} · {when}"
