"""The recommended strategy with its reasons, and the other strategies to choose from."""

from collections.abc import Iterable

import streamlit as st

from tl_core.advice.advice import NOT_MEASURED, SOURCES, Card
from tl_core.advice.rules import expectation
from tl_core.layers import plain_titles
from tl_core.plan import Reason
from tl_core.strategies import STRATEGIES
from tl_core.types import Estimate, Finding
from ui import forms, glossary, session, words
from ui.plan import draft
from ui.plan.context import PlanContext
from ui.runs import launch, lookup

OTHERS = "plan_others"
DOMAINS = {"": "As measured", "similar": "Similar", "different": "Different"}


def recommendation(context: PlanContext) -> None:
    """Draw the current strategy: the reasons for it with sources, and where published advice disagrees."""
    name = draft.current_strategy(context)
    strategy, advised = STRATEGIES[name], name == context.advice.strategy
    with st.container(border=True, key="plan_advice"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(strategy.title, anchor=False, width="content")
            if advised and _is_probing(context):
                st.badge("Recommended so far", icon=":material/hourglass_top:", color="gray")
            elif advised:
                st.badge("Recommended for your data", icon=":material/eco:", color="violet")
            else:
                st.badge("Your choice", icon=":material/person:", color="gray")
        st.write(strategy.summary)
        card = context.advice.card(name)
        _expectation(card, context)
        if advised:
            _reasons(context, card)
        elif st.button(f"Back to the recommendation: {STRATEGIES[context.advice.strategy].title}", key="plan_follow"):
            draft.choose(context.advice.strategy, context)
            st.rerun()
        if not session.current().edited:
            words.show_findings(draft.caveats(context, name))
        with st.expander("Adjust", icon=":material/tune:", key=f"plan_adjust_{name}"):
            defaults = vars(strategy.defaults(context.task_info)) | dict(card.options)
            values = defaults | dict(session.current().options)
            places = {"": "Where the score is best", **plain_titles(context.groups)}
            prefix = f"plan_option_{name}"
            chosen = forms.form(strategy.options, values, prefix, context.spec.modality, {"tap": places})
            if not session.current().edited:
                draft.set_options(context, name, chosen)


def _reasons(context: PlanContext, card: Card) -> None:
    """Draw what decided, the reasons, and the published advice that disagrees.

    The reason about the domain stands in its own section, the measured score above; neither is repeated.
    """
    advice = context.advice
    reasons = [reason for reason in advice.reasons if reason != advice.domain.reason and not _measured(reason, card)]
    disagreeing = [finding for finding in advice.findings if finding.code.startswith(SOURCES)]
    _show_findings(finding for finding in advice.findings if finding not in disagreeing)
    st.markdown("\n".join(f"- {words.escape(reason.text)} {_source(reason)}" for reason in reasons))
    if disagreeing:
        with st.expander("Where published advice disagrees", icon=":material/balance:", key="plan_sources"):
            _show_findings(disagreeing)


def _show_findings(findings: Iterable[Finding]) -> None:
    for finding in findings:
        st.markdown(f":material/balance: {words.escape(finding.message)} :gray[{words.escape(finding.hint)}]")


def _is_probing(context: PlanContext) -> bool:
    """Return whether the probe is still running, which may change the recommendation."""
    if context.probe:
        return False
    run = lookup.find(launch.probe_task(context.dataset, context.spec.name))
    return run is not None and run.active


def _measured(reason: Reason, card: Card) -> bool:
    return card.accuracy is not None and reason.source == card.accuracy.method


def _expectation(card: Card, context: PlanContext) -> None:
    """Show the expected score of a strategy, how it was measured, and whether another strategy scored higher."""
    if not (card.accuracy and context.probe):
        return
    does, guess = expectation(context.probe)
    tap = card.plan.head.tap or context.groups[-1]
    st.markdown(
        f":material/target: Expected to {does} about **{card.accuracy.value:.0%}** of the time "
        f":gray[({card.accuracy.low:.0%} to {card.accuracy.high:.0%}; {guess}: {context.probe.majority:.0%})]",
        help=glossary.tip(
            "cross-validation",
            "confidence interval",
            note=f"Measured with a simple head on the frozen features up to {plain_titles(context.groups)[tap]}: "
            f"{words.escape(card.accuracy.method)}.",
        ),
    )
    higher = [other for other in context.advice.cards if other.accuracy and other.accuracy.value > card.accuracy.value]
    best = max(higher, key=lambda other: other.accuracy.value if other.accuracy else 0.0, default=None)
    if best and best.accuracy and round(100 * best.accuracy.value) > round(100 * card.accuracy.value):
        st.caption(
            f"{STRATEGIES[best.strategy].title} scored {_range(best.accuracy)}, measured in the same way. "
            + (
                "The two ranges overlap, so your items do not show which of them is better."
                if best.accuracy.low <= card.accuracy.high
                else "You can choose it below."
            )
        )


def likeness(context: PlanContext) -> None:
    """Let the person say how similar the data are to the backbone's training data."""
    domain = context.advice.domain
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left:
        chosen = st.segmented_control(
            f"How similar are your data to what {context.spec.title} learned from?",
            list(DOMAINS), default=session.current().domain, required=True,
            format_func=lambda domain: DOMAINS[domain], key="plan_domain",
            help=glossary.tip("normalisation statistics", note="The similarity is measured by this shift."),
        )  # fmt: skip
    with right:
        st.caption(f"{words.escape(domain.reason.text)} {_source(domain.reason)}")
    if chosen is not None and chosen != session.current().domain:
        session.update(domain=chosen)
        st.rerun()


def others(context: PlanContext) -> None:
    """Draw the other strategies as cards to choose from."""
    current = draft.current_strategy(context)
    rest = [card for card in context.advice.cards if card.strategy != current]
    with (
        st.expander("Other strategies", icon=":material/alt_route:", key=OTHERS, on_change="rerun"),
        st.grid(3, min_column_width=270, gap="medium", key="plan_cards"),
    ):
        for card in rest:
            _card(card, context)


def _card(card: Card, context: PlanContext) -> None:
    strategy = STRATEGIES[card.strategy]
    with st.container(border=True, height="stretch", vertical_alignment="distribute", key=f"plan_card_{strategy.name}"):
        with st.container(gap="small"):
            st.markdown(f"#### {strategy.title}")
            st.write(strategy.summary)
            st.caption(f"**When:** {words.escape(strategy.when)}")
            facts = [f":material/schedule: {words.span(card.seconds)}"] if card.seconds else []
            if card.accuracy:
                facts.append(f":material/target: about {_range(card.accuracy)}")
            if card.note:
                facts.append(words.escape(card.note))
            st.caption(" · ".join(facts) or ":material/schedule: not measured yet")
        key = f"plan_choose_{strategy.name}"
        st.button("Choose", key=key, width="stretch", on_click=_choose, args=(strategy.name, context))


def _choose(strategy: str, context: PlanContext) -> None:
    """Choose a strategy, and fold the others away so that the choice is in sight."""
    draft.choose(strategy, context)
    st.session_state[OTHERS] = False
    st.toast(f"{STRATEGIES[strategy].title} is chosen.", icon=":material/check:")


def _range(estimate: Estimate) -> str:
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"


def _source(reason: Reason) -> str:
    if reason.source == NOT_MEASURED:
        return ""  # the text says so itself
    if reason.source.startswith("http"):
        return f":small[[source]({reason.source})]"
    return f":small[:gray[{words.escape(reason.source)}]]"
