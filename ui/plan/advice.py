"""The recommended strategy with its reasons, and the other strategies."""

from collections.abc import Iterable

import streamlit as st

from tl_core.advice.advice import NOT_MEASURED, SOURCES, Card
from tl_core.advice.rules import expectation
from tl_core.layers import plain_titles
from tl_core.plan import Reason
from tl_core.strategies import STRATEGIES
from tl_core.types import Estimate, Finding
from ui import forms, session, words
from ui.plan import draft
from ui.plan.context import PlanContext
from ui.runs import launch, lookup

OTHERS = "plan_others"
DOMAINS = {"": "As measured", "similar": "Much like it", "different": "Quite different"}


def recommendation(known: PlanContext) -> None:
    """Draw the strategy in force: why it, with sources; and where evidence and rules disagree."""
    name = draft.strategy_of(known)
    strategy, advised = STRATEGIES[name], name == known.advice.strategy
    with st.container(border=True, key="plan_advice"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(strategy.title, anchor=False, width="content")
            if advised and _open(known):
                st.badge("Recommended so far", icon=":material/hourglass_top:", color="gray")
            elif advised:
                st.badge("Recommended for your data", icon=":material/eco:", color="violet")
            else:
                st.badge("Your choice", icon=":material/person:", color="gray")
        st.write(strategy.summary)
        card = known.advice.card(name)
        _expectation(card, known)
        if advised:
            said = (known.advice.domain.reason, *(each for each in known.advice.reasons if _measured(each, card)))
            reasons = [each for each in known.advice.reasons if each not in said]  # these stand beside, and above
            apart = [each for each in known.advice.findings if each.code.startswith(SOURCES)]
            _told(each for each in known.advice.findings if each not in apart)  # what decided comes first
            st.markdown("\n".join(f"- {words.tell(each.text)} {_source(each)}" for each in reasons))
            if apart:
                with st.expander("Where published advice disagrees", icon=":material/balance:", key="plan_sources"):
                    _told(apart)
        elif st.button(f"Back to the recommendation: {STRATEGIES[known.advice.strategy].title}", key="plan_follow"):
            draft.choose(known.advice.strategy, known)
            st.rerun()
        if not session.current().edited:
            words.findings(draft.caveats(known, name))
        with st.expander("Adjust", icon=":material/tune:", key=f"plan_adjust_{name}"):
            usual = vars(strategy.defaults(known.task_info)) | dict(card.options)
            values = usual | dict(session.current().options)
            places = {"": "Where it does best", **plain_titles(known.groups)}
            prefix = f"plan_option_{name}"
            chosen = forms.form(strategy.options, values, prefix, known.spec.modality, {"tap": places})
            if not session.current().edited:
                draft.set_options(known, name, chosen)


def _told(findings: Iterable[Finding]) -> None:
    for finding in findings:
        st.markdown(f":material/balance: {words.tell(finding.message)} :gray[{words.tell(finding.hint)}]")


def _open(known: PlanContext) -> bool:
    """Whether the look at the data still goes on, which may change the recommendation."""
    if known.probe:
        return False
    run = lookup.find(launch.probe_task(known.dataset, known.spec.name))
    return run is not None and run.active


def _measured(reason: Reason, card: Card) -> bool:
    return card.accuracy is not None and reason.source == card.accuracy.method


def _expectation(card: Card, known: PlanContext) -> None:
    """Say how good a strategy is expected to be, how that was measured, and why another's figure may be higher."""
    if not (card.accuracy and known.probe):
        return
    does, guess = expectation(known.probe)
    tap = card.plan.head.tap or known.groups[-1]
    st.markdown(
        f":material/target: Expected to {does} about **{card.accuracy.value:.0%}** of the time "
        f":gray[({card.accuracy.low:.0%} to {card.accuracy.high:.0%}; {guess}: {known.probe.majority:.0%})]",
        help=f"Measured with a simple head on what the frozen backbone sees up to its "
        f"{plain_titles(known.groups)[tap]}: each labelled item was judged by a head that had not learned from it. "
        "The true figure lies in the range 95 "
        f"times in 100. (In the field's words: {words.tell(card.accuracy.method)}.)",
    )
    higher = [other for other in known.advice.cards if other.accuracy and other.accuracy.value > card.accuracy.value]
    best = max(higher, key=lambda other: other.accuracy.value if other.accuracy else 0.0, default=None)
    if best and best.accuracy and round(100 * best.accuracy.value) > round(100 * card.accuracy.value):
        st.caption(
            f"{STRATEGIES[best.strategy].title} got {_range(best.accuracy)} when it was measured alike. "
            + (
                "The two ranges overlap: your items do not show which of them is better."
                if best.accuracy.low <= card.accuracy.high
                else "You can choose it below."
            )
        )


def likeness(known: PlanContext) -> None:
    """Let the person say how near the data is to what the backbone knows."""
    domain = known.advice.domain
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        said = st.segmented_control(
            f"Your data compared with what {known.spec.title} learned from",
            list(DOMAINS), default=session.current().domain, required=True,
            format_func=lambda each: DOMAINS[each], key="plan_domain",
            help="Measured by how far your items move the averages that the backbone keeps inside "
            "(the statistics of its normalisation layers).",
        )  # fmt: skip
    with right:
        st.caption(f"{words.tell(domain.reason.text)} {_source(domain.reason)}")
    if said is not None and said != session.current().domain:
        session.update(domain=said)
        st.rerun()


def others(known: PlanContext) -> None:
    """Draw every strategy as a card to choose instead."""
    now = draft.strategy_of(known)
    rest = [card for card in known.advice.cards if card.strategy != now]
    with (
        st.expander("Other ways to do it", icon=":material/alt_route:", key=OTHERS, on_change="rerun"),
        st.grid(3, min_column_width=270, gap="medium", key="plan_cards"),
    ):
        for card in rest:
            _card(card, known)


def _card(card: Card, known: PlanContext) -> None:
    strategy = STRATEGIES[card.strategy]
    with st.container(border=True, height="stretch", vertical_alignment="distribute", key=f"plan_card_{strategy.name}"):
        with st.container(gap="small"):
            st.markdown(f"#### {strategy.title}")
            st.write(strategy.summary)
            st.caption(f"**When:** {words.tell(strategy.when)}")
            facts = [f":material/schedule: {words.span(card.seconds)}"] if card.seconds else []
            if card.accuracy:
                facts.append(f":material/target: about {_range(card.accuracy)}")
            if card.note:
                facts.append(words.tell(card.note))
            st.caption(" · ".join(facts) or ":material/schedule: not measured yet")
        key = f"plan_choose_{strategy.name}"
        st.button("Choose", key=key, width="stretch", on_click=_chosen, args=(strategy.name, known))


def _chosen(strategy: str, known: PlanContext) -> None:
    """Take a strategy, and fold the others away, so that what was chosen is in sight."""
    draft.choose(strategy, known)
    st.session_state[OTHERS] = False
    st.toast(f"{STRATEGIES[strategy].title} is chosen", icon=":material/check:")


def _range(found: Estimate) -> str:
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"


def _source(reason: Reason) -> str:
    if reason.source == NOT_MEASURED:
        return ""  # the text says so already
    if reason.source.startswith("http"):
        return f":small[[source]({reason.source})]"
    return f":small[:gray[{words.tell(reason.source)}]]"
