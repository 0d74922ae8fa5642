"""The comparison of all backbones that are ready, on the project's own data: started, watched, shown, used."""

from collections.abc import Sequence

import streamlit as st

from tl_core.advice.ranking import Ranking, advice, read_ranking
from tl_core.backbones.catalogue import ready_for
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.speed import read_speed
from tl_core.data.dataset import Dataset
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.types import noun
from ui import session, words
from ui.backbone import ranking_chart
from ui.runs import display, launch, lookup

REFRESH = 1.5


def section() -> None:
    """Draw the section, which follows a running comparison by itself."""
    dataset = session.dataset()
    if dataset is None:
        return
    specs = ready_for(dataset.modality, session.workspace())
    if not specs:
        return
    state = lookup.find(_task(dataset))
    active = state is not None and state.active
    with st.container(border=True, key="rank_section"):
        st.subheader("Try all that are ready", anchor=False)
        st.fragment(_body, run_every=REFRESH if active else None, key="rank_live")(dataset, specs, active)


def _body(dataset: Dataset, specs: Sequence[BackboneSpec], was_active: bool) -> None:
    state = lookup.find(_task(dataset))
    if was_active and not (state and state.active):
        st.rerun()  # once, so that the whole page knows the result
    if state and state.active:
        _progress(state)
        return
    ranking = read_ranking(session.workspace(), dataset)
    new = [spec for spec in specs if ranking and spec.name not in ranking.compared]
    if ranking is None:
        st.write(
            f"Which backbone suits your {noun(dataset.modality)}? Each that is ready reads them once, and is measured "
            f"on items that its head has not seen. {_duration(dataset, specs)}"
        )
    else:
        _result(ranking, specs)
    if state and state.status in ("failed", "interrupted"):
        st.warning(words.escape(f"{state.reason} {state.hint}".strip()), icon=":material/warning:")
    elif state and state.status == "stopped" and ranking is None:
        st.caption(words.escape(state.reason))
    if ranking is None or new or ranking.failed:
        _start_button(dataset, specs, new, again=ranking is not None)


def _start_button(dataset: Dataset, specs: Sequence[BackboneSpec], new: Sequence[BackboneSpec], again: bool) -> None:
    count = f"all {len(specs)}" if len(specs) > 1 else specs[0].title
    label = f"Measure {count} again" if again else f"Measure {count}"
    if new:
        label = f"Measure {words.plural(len(new), 'new one')} too"
    if st.button(label, icon=":material/leaderboard:", key="rank_start"):
        launch.start_new(_task(dataset))
        st.rerun()


def _task(dataset: Dataset) -> Task:
    """Return the task that compares every backbone that is ready."""
    name = f"{dataset.name}, comparison of backbones"
    return Task("rank", "", dataset.fingerprint, dataset.split, name=name, decisions=dataset.pin_decisions())


def _duration(dataset: Dataset, specs: Sequence[BackboneSpec]) -> str:
    """Return how long reading takes, where the speed of every backbone was measured before."""
    speeds = [read_speed(session.workspace(), spec.name) for spec in specs]
    known = [speed.thousand.value for speed in speeds if speed]
    if len(known) < len(specs):
        return ""
    return f"Reading takes about {words.seconds(len(dataset.items) / 1000 * sum(known))}."


def _progress(state: RunState) -> None:
    share, stage = display.progress(state)
    st.progress(share, text=words.escape(stage))
    if st.button("Stop", icon=":material/stop:", disabled=state.stopping, key="rank_stop"):
        lookup.store().stop(state.id)
        st.rerun(scope="fragment")


def _result(ranking: Ranking, specs: Sequence[BackboneSpec]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="rank_advice"):
        st.markdown(words.escape(advice(ranking)), width="stretch")
        taken = session.current().backbone == ranking.advised
        usable = ranking.advised in {spec.name for spec in specs}
        label = f"{ranking.choice.title} is chosen" if taken else f"Use {ranking.choice.title}"
        if st.button(
            words.escape(label), type="primary", icon=":material/check:", key="rank_use", disabled=taken or not usable
        ):
            session.choose_backbone(ranking.advised)
            st.rerun()
    st.plotly_chart(
        ranking_chart.chart(ranking), width="stretch", key="rank_chart", config={"displayModeBar": False},
        alt=ranking_chart.in_words(ranking),
    )  # fmt: skip
    st.caption(
        "The filled diamond is the one to take. The larger a mark, the more megabytes. Lines: 95% confidence "
        "intervals; where they overlap, two may still differ clearly, because all were measured on the same items."
    )
    with st.expander("The numbers", icon=":material/table:", key="rank_table_part"):
        _table(ranking)
    for sentence in ranking.failed:
        st.warning(words.escape(f"Left out: {sentence}"), icon=":material/warning:")


def _table(ranking: Ranking) -> None:
    column = st.column_config.NumberColumn
    metric = words.capitalise(ranking.metric)
    rows = [
        {
            "": number,
            "Backbone": row.title,
            metric: 100 * row.accuracy.value,
            "95% interval": f"{row.accuracy.low:.1%} to {row.accuracy.high:.1%}",
            "Behind the best, points": (
                f"{100 * row.behind.value:+.1f} ({100 * row.behind.low:+.1f} to {100 * row.behind.high:+.1f})"
                if row.behind
                else ""
            ),
            f"{ranking.k} neighbours": 100 * row.neighbours.value,
            "LogME": row.logme,
            "Seconds for 1,000": row.seconds,
            "MB": row.megabytes,
        }
        for number, row in enumerate(ranking.rows, start=1)
    ]
    st.dataframe(
        rows,
        hide_index=True,
        key="rank_table",
        column_config={
            metric: column(
                help="Of a linear head on frozen features, on held-out items, at its best depth", format="%.1f%%"
            ),
            f"{ranking.k} neighbours": column(
                help="The vote of the most similar items, without any training", format="%.1f%%"
            ),
            "LogME": column(help="How well the features explain the labels; larger is better", format="%.3f"),
            "Seconds for 1,000": column(format="%.1f"),
            "MB": column(format="%.0f"),
        },
    )
    n = ranking.best.accuracy.n
    st.caption(
        f"Measured on {n:,} held-out training and validation items; test items take no part. The accuracy of the one "
        "that comes first is a little too good, because it was picked on these items: the report measures it anew."
    )
