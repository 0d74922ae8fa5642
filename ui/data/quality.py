"""The data page's section on items that look wrong: the check, a card for each finding, and what was decided."""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.data.decision_log import DecisionEntry, history
from tl_core.data.decisions import Decision
from tl_core.data.quality import CheckInput, Suspicion, run_checks
from tl_core.data.quality.open_suspicions import unanswered
from tl_core.data.quality.quality_report import QualityReport, latest_quality, read_quality
from tl_core.errors import GraftError
from tl_core.evaluation.cleaning_effect import read_cleaning_effect
from tl_core.runs.task import Task
from tl_core.types import Finding
from ui import errors, items, session, words
from ui.data import suspicion_card
from ui.runs import labels, launch, lookup

INSTANT = 20_000
"""Items up to which the page itself looks for what needs no model; of more, the check does."""
ENTRIES = 8
"""Decisions that are listed at once."""
CARDS = 6
"""Findings that are drawn at once."""


def draw(dataset: Dataset, findings: Sequence[Finding]) -> None:
    """Draw the section. `findings` are the profile's: those that have a card are not said twice, the others are."""
    backbone = _backbone(dataset)
    report = _report(dataset, backbone)
    found = suspicions(dataset, report)
    words.findings(each for each in findings if each.code not in {one.code for one in found})
    if found:
        st.subheader("Items that look wrong", anchor=False)
    _check(dataset, backbone, report, bool(found))
    pages = -(-len(found) // CARDS)
    page = min(st.session_state.get("decide_cards", 1), pages)
    for one in found[max(0, page - 1) * CARDS : page * CARDS]:
        suspicion_card.card(dataset, one)
    if pages > 1:
        st.pagination(pages, key="decide_cards")
    _waiting(dataset)
    _effect(dataset, backbone)
    _so_far(dataset)


def suspicions(dataset: Dataset, report: QualityReport | None) -> list[Suspicion]:
    """Return what is open, of the last check and of what needs no model, the gravest first.

    A check from before the last decisions still counts for what only a model can find.
    """
    found = list(report.suspicions) if report else []
    if (report is None or report.version != dataset.version) and len(dataset.items) <= INSTANT:
        plain = _plain(dataset, dataset.fingerprint, dataset.version, hash(dataset.decisions))
        again = {one.code for one in (*plain, *_plain_source(dataset))} if report else set()
        found = [*plain, *(one for one in found if one.code not in again)]
        found.sort(key=lambda one: ("stop", "warn", "info").index(one.finding.level))
    return [left for one in found if (left := unanswered(one, dataset)) is not None]


def _plain_source(dataset: Dataset) -> tuple[Suspicion, ...]:
    source = dataset.with_decisions("")
    return _plain(source, source.fingerprint, source.version, 0)


@st.cache_data(show_spinner="Looking for copies", max_entries=16)
def _plain(_dataset: Dataset, fingerprint: str, version: str, decided: int) -> tuple[Suspicion, ...]:
    return run_checks(CheckInput(_dataset))


def _backbone(dataset: Dataset) -> str:
    """Return the backbone to look with: the chosen one, else the first one that is ready, "" where none is."""
    chosen = session.backbone()
    ready = [spec for spec in BACKBONES.values() if spec.ready and spec.modality == dataset.modality]
    return chosen.name if chosen in ready and chosen else next((spec.name for spec in ready), "")


def _report(dataset: Dataset, backbone: str) -> QualityReport | None:
    folder = session.workspace().folder("quality")
    return _found(dataset, dataset.fingerprint + dataset.version, backbone, str(folder), folder.stat().st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=4)
def _found(_dataset: Dataset, version: str, backbone: str, folder: str, changed: int) -> QualityReport | None:
    workspace = session.workspace()
    return read_quality(workspace, _dataset, backbone) or latest_quality(workspace, _dataset, backbone)


def _check(dataset: Dataset, backbone: str, report: QualityReport | None, found: bool) -> None:
    """Draw the state of the check: offered, at work, done, or made before the last decisions."""
    task = Task(
        "check",
        backbone,
        dataset.fingerprint,
        dataset.split,
        name=f"{dataset.name}, check",
        decisions=dataset.decisions_digest,
    )
    state = lookup.find(task)
    if state is not None and state.active:
        st.fragment(_progress, run_every=1.5, key="decide_progress")(task)
        return
    fresh = report is not None and report.version == dataset.version
    looked = report is not None or len(dataset.items) <= INSTANT
    if looked and not found:
        st.markdown(
            ":material/check: Nothing looks wrong." if fresh else ":material/check: Nothing looks wrong so far."
        )
    if state is not None and state.status in ("failed", "interrupted"):
        st.warning(words.tell(f"{state.reason} {state.hint}".strip()), icon=":material/warning:")
    for note in report.notes if report else ():
        st.caption(words.tell(note))
    if fresh:
        return
    said = (
        "The last check was made before your last decisions or under another split."
        if report
        else "A model can look at every item once, for wrong labels, near copies and items that are like nothing else."
    )
    with st.container(horizontal=True, vertical_alignment="center", key="decide_check"):
        st.caption(said)
        if st.button("Check again" if report else "Check the items", key="decide_check_go", icon=":material/search:"):
            dataset.pin_decisions()
            launch.again(task)
            st.rerun()


def _progress(task: Task) -> None:
    state = lookup.find(task)
    if state is None or not state.active:
        st.rerun()
    share, doing = labels.progress(state)
    st.progress(share, text=words.tell(doing))
    if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="decide_check_stop"):
        lookup.store().stop(state.id)


def _waiting(dataset: Dataset) -> None:
    """Ask once more about items of the test set."""
    waiting = dataset.unconfirmed
    if not waiting:
        return
    count = sum(len(each.rows) for each in waiting)
    with st.container(border=True, key="decide_waiting"):
        st.markdown(
            f":material/help: **Change the test set too? {words.plural(count, 'item')} of it "
            f"{'waits' if count == 1 else 'wait'} for a second word.**"
        )
        st.caption(
            "The test set says what a model is worth. Changed while looking at results, it no longer does, so nothing "
            "of it is changed unless you say why. The reason is kept."
        )
        rows = [row for each in waiting for row in each.rows]
        wishes = {
            row: suspicion_card.named(each.label) if each.label_names else each.action
            for each in waiting
            for row in each.rows
        }
        captions = {
            row: f"{suspicion_card.label_words(dataset, row)} → {_WISHES.get(w, w)}" for row, w in wishes.items()
        }
        if st.toggle("Show them", key="decide_waiting_show"):
            items.show_items(dataset, rows[: suspicion_card.SHOWN], captions, "decide_waiting_items")
            if len(rows) > suspicion_card.SHOWN:
                st.caption(f"The first {suspicion_card.SHOWN} of {len(rows):,}.")
        reason = st.text_input("Why is it right to change them?", key="decide_reason", max_chars=300)
        with st.container(horizontal=True):
            if st.button("Change the test set", key="decide_confirm", disabled=not reason.strip()):
                _confirm(dataset, waiting, reason)
            if st.button("Leave the test set as it is", key="decide_refuse"):
                suspicion_card.take(dataset, [Decision("keep", each.rows, code=each.code) for each in waiting])


_WISHES = {"drop": "leave out", "together": "keep with its copies", "relabel": "no label"}


def _confirm(dataset: Dataset, waiting: Sequence[Decision], reason: str) -> None:
    try:
        dataset.confirm(waiting, reason)
    except GraftError as error:
        errors.show(error)
        return
    st.toast("The test set was changed.", icon=":material/check:")
    st.rerun()


def _effect(dataset: Dataset, backbone: str) -> None:
    """Say what the decisions did to a model, where that was measured."""
    if not dataset.decisions_digest:
        return
    effect = read_cleaning_effect(session.workspace(), dataset, backbone)
    if effect:
        st.markdown(f":material/balance: {words.tell(effect.sentence)}")
        st.caption(
            "Measured with a simple model over what the backbone sees, by cross-validation; the test set was not used."
        )


def _so_far(dataset: Dataset) -> None:
    """List what was decided, the last first, each with a way back."""
    standing = [entry for entry in reversed(history(dataset.folder)) if not entry.undone]
    if not standing:
        return
    with st.expander(f"Decisions so far: {len(standing):,}", icon=":material/history:", key="decide_so_far"):
        pages = -(-len(standing) // ENTRIES)
        page = min(st.session_state.get("decide_entries", 1), pages)
        for entry in standing[(page - 1) * ENTRIES : page * ENTRIES]:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(_entry_words(entry))
                st.button(
                    "Take back", key=f"decide_undo_{entry.number}", type="tertiary", icon=":material/undo:",
                    on_click=_undo, args=(dataset, [entry.number]),
                )  # fmt: skip
        if pages > 1:
            st.pagination(pages, key="decide_entries")
        if len(standing) > 1:
            st.button(
                "Take everything back", key="decide_undo_all", icon=":material/restart_alt:", on_click=_undo,
                args=(dataset, [entry.number for entry in standing]),
            )  # fmt: skip


def _entry_words(entry: DecisionEntry) -> str:
    what = ", ".join(each.summary for each in entry.decisions[:4])
    more = len(entry.decisions) - 4
    first = entry.decisions[0]
    when = datetime.fromtimestamp(first.when).strftime("%d %b, %H:%M")
    why = f", in the test set: {first.reason}" if first.reason else ""
    return f"{words.tell(what)}{f' and {more} more' if more > 0 else ''} :gray[{when}{words.tell(why)}]"


def _undo(dataset: Dataset, numbers: list[int]) -> None:
    try:
        dataset.undo(*numbers)
    except GraftError as error:
        st.toast(words.tell(f"{error.message} {error.hint}"), icon=":material/error:")
