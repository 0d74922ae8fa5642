"""The profile, drawn: what unequal classes do, sizes, looks, languages, labels together, subgroups, the data card."""

from collections.abc import Sequence
from itertools import pairwise

import streamlit as st

from tl_core.data.data_card import data_card
from tl_core.data.dataset import Dataset
from tl_core.data.profile import Profile, Quantiles, profile_sentences
from ui import rail, theme
from ui.charts import LONGEST
from ui.words import plural, shorten, tell

SHOWN = 12
"""Languages and subgroups that are drawn; a table has the others."""
PAGE_ROWS = 1000
"""Rows of a table that are sent to the browser."""
UNITS = {"tokens": "word pieces"}
"""Units in plain sentences."""
PIECES = (
    "A backbone reads a text in pieces of words, the field's tokens: a usual word is one piece, a rare one several. "
    "What is longer than its limit is not read to the end."
)
MARGIN = {"l": 0, "r": 10, "t": 8, "b": 0}


def effect(found: Profile) -> None:
    """Say what unequal classes do to a score, where they are unequal."""
    told = profile_sentences.imbalance_words(found.imbalance) or profile_sentences.multilabel_words(
        found.multilabel, found
    )
    if told:
        st.markdown(tell(told[0]))
        with st.expander("What that means for a score", icon=":material/balance:", key="data_effect"):
            for sentence in told[1:]:
                st.markdown(tell(sentence))


def more(dataset: Dataset, found: Profile) -> None:
    """Draw what else is known of the items, and offer the data card."""
    noun = rail.noun(found.modality, 2)
    with st.expander(f"More about these {noun}", icon=":material/query_stats:", key="data_more"):
        left, right = st.columns(2, gap="large")
        with left:
            sizes(found)
        with right:
            looks(found)
            languages(found)
        together(found)
        subgroups(found, dataset.subgroup_column)
        if found.span:
            when = found.span
            st.markdown(f"{plural(when.dated, 'item')} dated from {when.first} to {when.last}.")
    st.download_button(
        "Data card",
        lambda: data_card(dataset, found).encode(),
        f"{dataset.name}.md".replace("/", "_"),
        "text/markdown",
        key="data_card",
        on_click="ignore",
        icon=":material/description:",
        help="All of this as one document, with what only you can know left to fill in.",
    )


def sizes(found: Profile) -> None:
    """Draw how the sizes of the items spread, with the model's limit where there is one."""
    alike = [spread for spread in found.sizes if spread.minimum == spread.maximum]
    if found.modality == "image" and len(alike) == len(found.sizes) == 2:
        st.caption(f"All pictures have {alike[0].median:,} × {alike[1].median:,} pixels.")
        return
    for spread in found.sizes:
        if spread in alike or (spread.unit == "characters" and len(found.sizes) > 1):
            continue
        _histogram(spread, found.max_tokens if spread.unit == "tokens" else 0)


def looks(found: Profile) -> None:
    """Draw shapes, brightness and contrast of pictures, and how many are grey."""
    shown = found.pictures
    if shown is None:
        return
    st.markdown(tell(" ".join(profile_sentences.picture_words(shown))))
    for spread in (shown.brightness, shown.contrast):
        if spread and spread.minimum < spread.maximum:
            _histogram(spread)
    if shown.measured < found.n:
        st.caption(f"Colour, brightness and contrast: of {plural(shown.measured, 'picture')} drawn at random.")


def languages(found: Profile) -> None:
    """Draw the languages of texts, and say how well the backbone knows their sentences."""
    if found.texts is None:
        return
    told = found.texts.languages
    if len(told) > 1:
        _bars([each.name for each in told[:SHOWN]], [each.count for each in told[:SHOWN]], "Texts", "data_languages")
    else:
        st.markdown(tell(f"Language: {profile_sentences.language_words(told)}."))
    if known := profile_sentences.vocabulary_words(found.texts.vocabulary):
        st.markdown(tell(known))
    named = found.texts.vocabulary.named if found.texts.vocabulary else ()
    if named:
        st.caption(tell(f"Words that it has to put together: {', '.join(named)}."))
    if found.texts.measured < found.n:
        st.caption(f"Languages and words: of {plural(found.texts.measured, 'text')} drawn at random.")


def together(found: Profile) -> None:
    """Draw which labels are seen together, and how many an item has."""
    shown = found.multilabel
    if shown is None or len(shown.names) < 2:
        return
    import plotly.graph_objects as go

    st.markdown("**Labels seen together**")
    names = [shorten(name, LONGEST) for name in shown.names]
    cells = [[0 if i == j else n for j, n in enumerate(row)] for i, row in enumerate(shown.together)]
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=list(range(len(names))),
            y=list(range(len(names))),
            colorscale=[[0, theme.shade(theme.BACKGROUND)], [1, theme.shade(theme.BRAND)]],
            showscale=False,
            text=[["" if i == j else f"{n:,}" for j, n in enumerate(row)] for i, row in enumerate(shown.together)],
            texttemplate="%{text}",
            hoverinfo="skip",
        )
    )
    axis = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis, autorange="reversed")
    figure.update_layout(height=120 + 30 * len(names), margin=MARGIN, dragmode=False)
    most = shown.pairs[0] if shown.pairs else None
    alt = f"{most.first} and {most.second} are together on {most.count:,} items." if most else "No two are together."
    st.plotly_chart(figure, key="data_together", config={"displayModeBar": False}, alt=f"Labels together: {alt}")
    st.caption(
        "Items by number of labels: " + ", ".join(f"{k}: {n:,}" for k, n in enumerate(shown.per_item) if n) + "."
    )


def subgroups(found: Profile, column: str) -> None:
    """Draw how many items each subgroup has, by split."""
    if not found.subgroups:
        return
    st.markdown(f"**{tell(column) or 'Subgroups'}**")
    rows = [(g.name or "(none said)", g.train, g.validation, g.test, g.total) for g in found.subgroups[:PAGE_ROWS]]
    header = ("Subgroup", "Train", "Validation", "Test", "All")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    st.dataframe(columns, hide_index=True, key="data_subgroups", height=min(420, 38 + 35 * len(rows)))


def _histogram(spread: Quantiles, limit: int = 0) -> None:
    import plotly.graph_objects as go

    edges = spread.bars.edges
    middles = [(left + right) / 2 for left, right in pairwise(edges)]
    figure = go.Figure(
        go.Bar(
            x=middles,
            y=list(spread.bars.counts),
            width=[right - left for left, right in pairwise(edges)],
            marker={"color": theme.shade(theme.BRAND), "line": {"width": 0}},
            customdata=list(pairwise(edges)),
            hovertemplate="%{customdata[0]:,.0f} to %{customdata[1]:,.0f}: %{y:,}<extra></extra>",
        )
    )
    if limit and edges[0] <= limit <= edges[-1]:
        figure.add_vline(x=limit, line={"color": theme.shade(theme.MUTED), "dash": "dot"})
        figure.add_annotation(x=limit, y=1.0, yref="paper", yanchor="bottom", text="limit", showarrow=False)
    unit = UNITS.get(spread.unit, spread.unit)
    title = f"{spread.name} ({unit})"
    figure.update_layout(
        height=170, margin={**MARGIN, "t": 18}, xaxis={"title": title}, bargap=0.08, dragmode=False, showlegend=False
    )
    alt = (
        f"{title}: half of the items below {spread.median:,}, nine tenths between {spread.low:,} and {spread.high:,}, "
        f"the largest {spread.maximum:,}."
    )
    key = f"data_spread_{spread.name.lower()}"
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)
    if spread.maximum > edges[-1]:
        st.caption(f"The last bar also holds what is longer, up to {spread.maximum:,} {unit}.")
    if spread.unit in UNITS:
        st.caption(PIECES)


def _bars(names: Sequence[str], counts: Sequence[int], title: str, key: str) -> None:
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Bar(
            x=list(counts)[::-1],
            y=[shorten(name, LONGEST) for name in names][::-1],
            orientation="h",
            marker={"color": theme.shade(theme.BRAND)},
            hovertemplate="%{y}: %{x:,}<extra></extra>",
        )
    )
    figure.update_layout(
        height=70 + 26 * len(names), margin=MARGIN, xaxis={"title": title}, yaxis={"type": "category"}, dragmode=False
    )
    alt = f"{title}: " + ", ".join(f"{name} {n:,}" for name, n in zip(names, counts, strict=True))
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)
