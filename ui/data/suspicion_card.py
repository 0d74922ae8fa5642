"""The card of a suspicion: what looks wrong, the items concerned page by page, and what to do with them."""

from collections.abc import Iterable, Sequence
from functools import partial

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Action, Decision
from tl_core.data.quality import Suspicion
from tl_core.errors import GraftError
from ui import errors, items, words

SHOWN = 24
"""Items on a page."""
MANY_CLASSES = 40
"""With more classes than this, the list of other labels is left out."""
OPEN = "decide_open"
Choice = tuple[Action | None, str | tuple[str, ...]]
LATER: Choice = (None, "")
ICONS = {"stop": ":material/block:", "warn": ":material/warning:", "info": ":material/info:"}


def decide(dataset: Dataset, decisions: Iterable[Decision]) -> None:
    """Record decisions, confirm it in a message, and run the page again; an error is shown on the page."""
    decisions = [decision for decision in decisions if decision.rows]
    if not decisions:
        st.toast("Nothing is chosen.", icon=":material/info:")
        return
    try:
        after = dataset.decide(*decisions)
    except GraftError as error:
        errors.show(error)
        return
    waiting = _count(after.unconfirmed) - _count(dataset.unconfirmed)
    if waiting > 0:
        in_test = words.plural(waiting, "item is", "items are")
        st.toast(f"{in_test} in the test set. Please confirm below.", icon=":material/help:")
    else:
        st.toast("Done. You can undo it below.", icon=":material/check:")
    st.rerun()


def _count(decisions: Iterable[Decision]) -> int:
    return sum(len(decision.rows) for decision in decisions)


def card(dataset: Dataset, suspicion: Suspicion) -> None:
    """Draw a suspicion: its message, the proposed decision, and its items on request."""
    with st.container(border=True, key=f"decide_card_{suspicion.code}"):
        st.markdown(f"{ICONS[suspicion.finding.level]} **{words.escape(suspicion.finding.message)}**")
        st.caption(f"{words.escape(suspicion.finding.hint)} {_open_items(dataset, suspicion)}".strip())
        opened = st.session_state.get(OPEN) == suspicion.code
        with st.container(horizontal=True, key=f"decide_buttons_{suspicion.code}"):
            if suspicion.proposed and st.button(
                proposal(suspicion.proposed),
                type="primary",
                key=f"decide_all_{suspicion.code}",
                icon=":material/done_all:",
            ):
                decide(dataset, suspicion.proposed)
            label = "Close" if opened else "Show the items"
            st.button(
                label, key=f"decide_look_{suspicion.code}",
                icon=":material/close:" if opened else ":material/visibility:",
                on_click=partial(_set_open, "" if opened else suspicion.code),
            )  # fmt: skip
            if st.button("All are right", key=f"decide_keep_{suspicion.code}", icon=":material/thumb_up:"):
                decide(dataset, [Decision("keep", suspicion.rows, code=suspicion.code)])
        if opened:
            _items(dataset, suspicion)


def proposal(decisions: Sequence[Decision]) -> str:
    """Return the label of the button that accepts the proposed decisions."""
    parts = []
    for action in dict.fromkeys(decision.action for decision in decisions):
        rows = _count(decision for decision in decisions if decision.action == action)
        items = words.plural(rows, "item")
        parts.append(
            {
                "drop": f"leave {items} out",
                "relabel": f"accept {words.plural(rows, 'suggested label')}",
                "keep": f"keep {items}",
                "together": f"keep {items} in one part of the split",
            }[action]
        )
    return words.capitalise(" and ".join(parts))


def label_words(dataset: Dataset, row: int) -> str:
    """Return the label or labels of an item in words."""
    if not dataset.multilabel:
        return dataset.classes[dataset.labels[row]]
    return named(tuple(name for name, has in zip(dataset.classes, dataset.targets[row], strict=True) if has))


def named(label: str | tuple[str, ...]) -> str:
    """Return the label or labels of a decision in words."""
    return label if isinstance(label, str) else ", ".join(label) or "no label"


def _open_items(dataset: Dataset, suspicion: Suspicion) -> str:
    in_test = int((dataset.splits[list(suspicion.rows)] == "test").sum())
    return (
        f"{words.plural(len(suspicion.rows), 'item')} to look "
        f"at{f', {in_test:,} of them in the test set' if in_test else ''}."
    )


def _set_open(code: str) -> None:
    st.session_state[OPEN] = code


def _items(dataset: Dataset, suspicion: Suspicion) -> None:
    """Draw a page of items, each with its possible decisions, and one button for all of them."""
    group_of = {row: number for number, group in enumerate(suspicion.groups, 1) for row in group}
    order = list(dict.fromkeys(group_of)) or list(suspicion.rows)
    pages = -(-len(order) // SHOWN)
    page = min(st.session_state.get(f"decide_page_{suspicion.code}", 1), pages)
    shown = order[(page - 1) * SHOWN : page * SHOWN]
    proposed = {row: (decision.action, decision.label) for decision in suspicion.proposed for row in decision.rows}
    suggested = dict(zip(suspicion.rows, suspicion.suggested, strict=True)) if suspicion.suggested else {}
    with st.form(f"decide_form_{suspicion.code}_{page}", border=False):
        with st.grid("auto", min_column_width=210 if "image" in dataset.parts else 320, key="decide_grid"):
            chosen = {
                row: _item(dataset, row, group_of.get(row, 0), suggested.get(row), proposed.get(row, LATER))
                for row in shown
            }
        pressed = st.form_submit_button("Apply these choices", type="primary", key=f"decide_page_go_{suspicion.code}")
    if pages > 1:
        st.pagination(pages, key=f"decide_page_{suspicion.code}")
    if pressed:
        decide(dataset, _decisions(chosen, suspicion.code))


def _item(dataset: Dataset, row: int, group: int, suggested: str | tuple[str, ...] | None, proposed: Choice) -> Choice:
    """Draw an item with its label and its possible decisions, and return the chosen one."""
    item = dataset.items.iloc[row]
    with st.container(border=True, gap="xsmall"):
        if "image" in dataset.parts:
            items.show_image(dataset.folder / str(item["path"]), str(item["id"]))
        if "text" in dataset.parts:
            text = str(item["text"])
            st.text(text if len(text) <= items.LETTERS else text[: items.LETTERS] + " …")
        notes = [f"duplicates {group}"] if group else []
        notes += ["test set"] if dataset.splits[row] == "test" else []
        st.caption(words.escape(" · ".join([str(item["id"]).replace("/", " / "), *notes])))
        st.markdown(f":violet-badge[{words.escape(label_words(dataset, row))}]")
        options = _options(dataset, row, suggested)
        if proposed not in options:
            options.insert(1, proposed)
        return st.selectbox(
            "What to do", options, index=options.index(proposed), format_func=_choice_text, key=f"decide_item_{row}",
            label_visibility="collapsed",
        )  # fmt: skip


def _options(dataset: Dataset, row: int, suggested: str | tuple[str, ...] | None) -> list[Choice]:
    options: list[Choice] = [LATER]
    if suggested is not None:
        options.append(("relabel", suggested))
    options += [("drop", ""), ("keep", "")]
    if not dataset.multilabel and len(dataset.classes) <= MANY_CLASSES:
        present = (suggested, dataset.classes[dataset.labels[row]])
        options += [("relabel", name) for name in dataset.classes if name not in present]
    return options


def _choice_text(choice: Choice) -> str:
    action, label = choice
    if action == "relabel":
        return f"Change to {named(label)}"
    return {None: "Decide later", "drop": "Leave out", "keep": "It is right", "together": "Keep in one part"}[action]


def _decisions(chosen: dict[int, Choice], code: str) -> list[Decision]:
    """Return one decision for all rows with the same choice."""
    by_choice: dict[Choice, list[int]] = {}
    for row, choice in chosen.items():
        by_choice.setdefault(choice, []).append(row)
    return [
        Decision(action, tuple(sorted(rows)), label, code)
        for (action, label), rows in by_choice.items()
        if action is not None
    ]
