"""One card of the data page: what looks wrong, the items behind it a page at a time, and what to do with them."""

from collections.abc import Iterable, Sequence
from functools import partial

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Action, Decision
from tl_core.data.quality import Suspicion
from tl_core.errors import GraftError
from ui import errors, items, words

SHOWN = 24
"""Items that are drawn at once."""
MANY_CLASSES = 40
"""Classes from which the list of other labels is left out."""
OPEN = "decide_open"
Choice = tuple[Action | None, str | tuple[str, ...]]
LATER: Choice = (None, "")
ICONS = {"stop": ":material/block:", "warn": ":material/warning:", "info": ":material/info:"}


def take(dataset: Dataset, decisions: Iterable[Decision]) -> None:
    """Decide, and say what came of it; a mistake is shown where the page is."""
    decisions = [each for each in decisions if each.rows]
    if not decisions:
        st.toast("Nothing was chosen.", icon=":material/info:")
        return
    try:
        after = dataset.decide(*decisions)
    except GraftError as error:
        errors.show(error)
        return
    waiting = sum(len(each.rows) for each in after.unconfirmed) - sum(len(each.rows) for each in dataset.unconfirmed)
    if waiting > 0:
        tested = words.plural(waiting, "item is", "items are")
        st.toast(f"{tested} in the test set: you are asked once more below.", icon=":material/help:")
    else:
        st.toast("Done. It can be taken back below.", icon=":material/check:")
    st.rerun()


def card(dataset: Dataset, found: Suspicion) -> None:
    """Draw a suspicion: its sentence, what is proposed, and its items on request."""
    with st.container(border=True, key=f"decide_card_{found.code}"):
        st.markdown(f"{ICONS[found.finding.level]} **{words.tell(found.finding.message)}**")
        st.caption(f"{words.tell(found.finding.hint)} {_left(dataset, found)}".strip())
        opened = st.session_state.get(OPEN) == found.code
        with st.container(horizontal=True, key=f"decide_buttons_{found.code}"):
            if found.proposed and st.button(
                proposal(found.proposed), type="primary", key=f"decide_all_{found.code}", icon=":material/done_all:"
            ):
                take(dataset, found.proposed)
            label = "Close" if opened else "Look at them"
            st.button(
                label, key=f"decide_look_{found.code}", icon=":material/close:" if opened else ":material/visibility:",
                on_click=partial(_open, "" if opened else found.code),
            )  # fmt: skip
            if st.button("All are right as they are", key=f"decide_keep_{found.code}", icon=":material/thumb_up:"):
                take(dataset, [Decision("keep", found.rows, code=found.code)])
        if opened:
            _items(dataset, found)


def proposal(decisions: Sequence[Decision]) -> str:
    """Return what a button says that does what is proposed."""
    parts = []
    for action in dict.fromkeys(each.action for each in decisions):
        rows = sum(len(each.rows) for each in decisions if each.action == action)
        items = words.plural(rows, "item")
        parts.append(
            {
                "drop": f"leave {items} out",
                "relabel": f"take {words.plural(rows, 'suggested label')}",
                "keep": f"keep {items}",
                "together": f"keep {items} on one side of the split",
            }[action]
        )
    sentence = " and ".join(parts)
    return sentence[:1].upper() + sentence[1:]


def label_words(dataset: Dataset, row: int) -> str:
    """Return the label of an item, or its labels, in words."""
    if not dataset.multilabel:
        return dataset.classes[dataset.labels[row]]
    return named(tuple(name for name, has in zip(dataset.classes, dataset.targets[row], strict=True) if has))


def named(label: str | tuple[str, ...]) -> str:
    """Return a label as a decision holds it, in words."""
    return label if isinstance(label, str) else ", ".join(label) or "no label"


def _left(dataset: Dataset, found: Suspicion) -> str:
    tested = int((dataset.splits[list(found.rows)] == "test").sum())
    return f"{words.plural(len(found.rows), 'item')} to look at{f', {tested:,} of the test set' if tested else ''}."


def _open(code: str) -> None:
    st.session_state[OPEN] = code


def _items(dataset: Dataset, found: Suspicion) -> None:
    """Draw one page of items, each with what can be done, and one button for the page."""
    group_of = {row: number for number, group in enumerate(found.groups, 1) for row in group}
    order = list(dict.fromkeys(group_of)) or list(found.rows)
    pages = -(-len(order) // SHOWN)
    page = min(st.session_state.get(f"decide_page_{found.code}", 1), pages)
    shown = order[(page - 1) * SHOWN : page * SHOWN]
    proposed = {row: (each.action, each.label) for each in found.proposed for row in each.rows}
    suggested = dict(zip(found.rows, found.suggested, strict=True)) if found.suggested else {}
    with st.form(f"decide_form_{found.code}_{page}", border=False):
        with st.grid("auto", min_column_width=210 if dataset.modality == "image" else 320, key="decide_grid"):
            chosen = {
                row: _item(dataset, row, group_of.get(row, 0), suggested.get(row), proposed.get(row, LATER))
                for row in shown
            }
        pressed = st.form_submit_button("Decide as chosen here", type="primary", key=f"decide_page_go_{found.code}")
    if pages > 1:
        st.pagination(pages, key=f"decide_page_{found.code}")
    if pressed:
        take(dataset, _gathered(chosen, found.code))


def _item(dataset: Dataset, row: int, group: int, suggested: str | tuple[str, ...] | None, proposed: Choice) -> Choice:
    """Draw one item with its label and its choices, and return what is chosen."""
    item = dataset.items.iloc[row]
    with st.container(border=True, gap="xsmall"):
        if dataset.modality == "image":
            items.show_image(dataset.folder / str(item["path"]), str(item["id"]))
        else:
            text = str(item["text"])
            st.text(text if len(text) <= items.LETTERS else text[: items.LETTERS] + " …")
        notes = [f"copies {group}"] if group else []
        notes += ["test set"] if dataset.splits[row] == "test" else []
        st.caption(words.tell(" · ".join([str(item["id"]).replace("/", " / "), *notes])))
        st.markdown(f":violet-badge[{words.tell(label_words(dataset, row))}]")
        options = _options(dataset, row, suggested)
        if proposed not in options:
            options.insert(1, proposed)
        return st.selectbox(
            "What to do", options, index=options.index(proposed), format_func=_words, key=f"decide_item_{row}",
            label_visibility="collapsed",
        )  # fmt: skip


def _options(dataset: Dataset, row: int, suggested: str | tuple[str, ...] | None) -> list[Choice]:
    found: list[Choice] = [LATER]
    if suggested is not None:
        found.append(("relabel", suggested))
    found += [("drop", ""), ("keep", "")]
    if not dataset.multilabel and len(dataset.classes) <= MANY_CLASSES:
        present = (suggested, dataset.classes[dataset.labels[row]])
        found += [("relabel", name) for name in dataset.classes if name not in present]
    return found


def _words(choice: Choice) -> str:
    action, label = choice
    if action == "relabel":
        return f"Change to {named(label)}"
    return {None: "Decide later", "drop": "Leave out", "keep": "Right as it is", "together": "Keep on one side"}[action]


def _gathered(chosen: dict[int, Choice], code: str) -> list[Decision]:
    """Return one decision for each kind of choice."""
    by_choice: dict[Choice, list[int]] = {}
    for row, choice in chosen.items():
        by_choice.setdefault(choice, []).append(row)
    return [
        Decision(action, tuple(sorted(rows)), label, code)
        for (action, label), rows in by_choice.items()
        if action is not None
    ]
