"""The section “Items that look wrong”: the data check, a card for each suspicion, and the decisions so far."""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.data.decision_log import DecisionEntry, history
from tl_core.data.decisions import Decision
from tl_core.data.quality import CheckInput, Suspicion, run_checks
from tl_core.data.quality.open_suspicions import open_part
from tl_core.data.quality.quality_report import QualityReport, latest_quality, read_quality
from tl_core.errors import GraftError
from tl_core.evaluation.cleaning_effect import read_cleaning_effect
from tl_core.runs.task import Task
from tl_core.types import Finding
from ui import errors, glossary, items, session, words
from ui.data import suspicion_card
from ui.runs import display, launch, lookup

INSTANT = 20_000
"""Up to this many items the page itself runs the checks that need no model; beyond it, only the data check does."""
ENTRIES = 8
"""Decisions on a page."""
CARDS = 6
"""Suspicions on a page."""


def draw(dataset: Dataset, findings: Sequence[Finding]) -> None:
    """Draw the section. `findings` are those of the profile; one that has a card is not shown twice."""
    backbone = _backbone(dataset)
    report = _report(dataset, backbone)
    open_ones = suspicions(dataset, report)
    codes = {suspicion.code for suspicion in open_ones}
    words.show_findings(finding for finding in findings if finding.code not in codes)
    if open_ones:
        st.subheader("Items that look wrong", anchor=False)
    _check(dataset, backbone, report, bool(open_ones))
    pages = -(-len(open_ones) // CARDS)
    page = min(st.session_state.get("decide_cards", 1), pages)
    for suspicion in open_ones[max(0, page - 1) * CARDS : page * CARDS]:
        suspicion_card.card(dataset, suspicion)
    if pages > 1:
        st.pagination(pages, key="decide_cards")
    _waiting(dataset)
    _effect(dataset, backbone)
    _decisions_so_far(dataset)


def suspicions(dataset: Dataset, report: QualityReport | None) -> list[Suspicion]:
    """Return the suspicions without a decision, from the last check and the checks without a model, most severe first.

    If decisions were made after the last check, its suspicions still count where only a model can find them.
    """
    all_ = list(report.suspicions) if report else []
    if (report is None or report.version != dataset.version) and len(dataset.items) <= INSTANT:
        instant = _instant(dataset, dataset.fingerprint, dataset.version, hash(dataset.decisions))
        repeated = {suspicion.code for suspicion in (*instant, *_instant_undecided(dataset))} if report else set()
        all_ = [*instant, *(suspicion for suspicion in all_ if suspicion.code not in repeated)]
        all_.sort(key=lambda suspicion: ("stop", "warn", "info").index(suspicion.finding.level))
    return [rest for suspicion in all_ if (rest := open_part(suspicion, dataset)) is not None]


def _instant_undecided(dataset: Dataset) -> tuple[Suspicion, ...]:
    source = dataset.with_decisions("")
    return _instant(source, source.fingerprint, source.version, 0)


@st.cache_data(show_spinner="Looking for duplicates", max_entries=16)
def _instant(_dataset: Dataset, fingerprint: str, version: str, decided: int) -> tuple[Suspicion, ...]:
    return run_checks(CheckInput(_dataset))


def _backbone(dataset: Dataset) -> str:
    """Return the backbone for the check: the chosen one, else the first one that is ready, "" if none is."""
    chosen = session.backbone()
    candidates = (*([chosen] if chosen else []), *BACKBONES.values())
    return next((spec.name for spec in candidates if spec.ready and spec.modality == dataset.modality), "")


def _report(dataset: Dataset, backbone: str) -> QualityReport | None:
    folder = session.workspace().folder("quality")
    return _latest(dataset, dataset.fingerprint + dataset.version, backbone, str(folder), folder.stat().st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=4)
def _latest(_dataset: Dataset, version: str, backbone: str, folder: str, changed: int) -> QualityReport | None:
    workspace = session.workspace()
    return read_quality(workspace, _dataset, backbone) or latest_quality(workspace, _dataset, backbone)


def _check(dataset: Dataset, backbone: str, report: QualityReport | None, has_cards: bool) -> None:
    """Draw the state of the data check: offered, running, done, or out of date."""
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
    up_to_date = report is not None and report.version == dataset.version
    checked = report is not None or len(dataset.items) <= INSTANT
    if checked and not has_cards:
        st.markdown(
            ":material/check: Nothing looks wrong." if up_to_date else ":material/check: Nothing looks wrong so far."
        )
    if state is not None and state.status in ("failed", "interrupted"):
        st.warning(words.escape(f"{state.reason} {state.hint}".strip()), icon=":material/warning:")
    for note in report.notes if report else ():
        st.caption(words.escape(note))
    if up_to_date:
        return
    invitation = (
        "The last check was made before your last decisions, or with another split."
        if report
        else "A model can look at every item once, to find wrong labels, near-duplicates and outliers."
    )
    with st.container(horizontal=True, vertical_alignment="center", key="decide_check"):
        st.caption(invitation)
        if st.button("Check again" if report else "Check the items", key="decide_check_go", icon=":material/search:"):
            dataset.pin_decisions()
            launch.start_new(task)
            st.rerun()


def _progress(task: Task) -> None:
    state = lookup.find(task)
    if state is None or not state.active:
        st.rerun()
    share, stage = display.progress(state)
    st.progress(share, text=words.escape(stage))
    if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="decide_check_stop"):
        lookup.store().stop(state.id)


def _waiting(dataset: Dataset) -> None:
    """Ask for confirmation of decisions about test items."""
    waiting = dataset.unconfirmed
    if not waiting:
        return
    count = sum(len(decision.rows) for decision in waiting)
    with st.container(border=True, key="decide_waiting"):
        st.markdown(
            f":material/help: **Change the test set too? {words.plural(count, 'test item needs', 'test items need')} "
            "your "
            "confirmation.**"
        )
        st.caption(
            "The test set measures how good a model is. If it is changed to suit the results, it no longer does. So it "
            "changes only if you give a reason, which is kept."
        )
        rows = [row for decision in waiting for row in decision.rows]
        changes = {
            row: suspicion_card.named(decision.label) if decision.label_names else decision.action
            for decision in waiting
            for row in decision.rows
        }
        captions = {
            row: f"{suspicion_card.label_words(dataset, row)} → {_ACTIONS.get(change, change)}"
            for row, change in changes.items()
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
                kept = [Decision("keep", decision.rows, code=decision.code) for decision in waiting]
                suspicion_card.decide(dataset, kept)


_ACTIONS = {"drop": "leave out", "together": "keep with its duplicates", "relabel": "no label"}


def _confirm(dataset: Dataset, waiting: Sequence[Decision], reason: str) -> None:
    try:
        dataset.confirm(waiting, reason)
    except GraftError as error:
        errors.show(error)
        return
    st.toast("The test set was changed.", icon=":material/check:")
    st.rerun()


def _effect(dataset: Dataset, backbone: str) -> None:
    """Show how the decisions changed the score of a model, if that was measured."""
    if not dataset.decisions_digest:
        return
    effect = read_cleaning_effect(session.workspace(), dataset, backbone)
    if effect:
        st.markdown(f":material/balance: {words.escape(effect.sentence)}")
        st.caption(
            "Measured by cross-validation, with a simple head on the features of the backbone. The test set was not "
            "used.",
            help=glossary.tip("cross-validation"),
        )


def _decisions_so_far(dataset: Dataset) -> None:
    """List the decisions, the latest first, each with an undo button."""
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
                    "Undo", key=f"decide_undo_{entry.number}", type="tertiary", icon=":material/undo:",
                    on_click=_undo, args=(dataset, [entry.number]),
                )  # fmt: skip
        if pages > 1:
            st.pagination(pages, key="decide_entries")
        if len(standing) > 1:
            st.button(
                "Undo everything", key="decide_undo_all", icon=":material/restart_alt:", on_click=_undo,
                args=(dataset, [entry.number for entry in standing]),
            )  # fmt: skip


def _entry_words(entry: DecisionEntry) -> str:
    first_few = ", ".join(decision.summary for decision in entry.decisions[:4])
    more = len(entry.decisions) - 4
    first = entry.decisions[0]
    when = datetime.fromtimestamp(first.when).strftime("%d %b, %H:%M")
    reason = f", test set: {first.reason}" if first.reason else ""
    return f"{words.escape(first_few)}{f' and {more} more' if more > 0 else ''} :gray[{when}{words.escape(reason)}]"


def _undo(dataset: Dataset, numbers: list[int]) -> None:
    try:
        dataset.undo(*numbers)
    except GraftError as error:
        st.toast(words.escape(f"{error.message} {error.hint}"), icon=":material/error:")
