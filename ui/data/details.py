"""Details of the profile: class imbalance, sizes, looks, languages, label pairs, subgroups; and the data card."""

from collections.abc import Sequence
from itertools import pairwise

import streamlit as st

from tl_core.data.data_card import data_card
from tl_core.data.dataset import Dataset
from tl_core.data.profile import Profile, Quantiles, profile_sentences
from tl_core.types import PARTS, noun
from ui import glossary, theme
from ui.charts import LONGEST
from ui.words import escape, plural, shorten

SHOWN = 12
"""Languages that are drawn."""
PAGE_ROWS = 1000
"""Rows of a table that are sent to the browser."""
MARGIN = {"l": 0, "r": 10, "t": 8, "b": 0}


def imbalance(profile: Profile) -> None:
    """Explain how unequal classes affect a score; nothing if they are about equal."""
    explanation = profile_sentences.imbalance_words(profile.imbalance) or profile_sentences.multilabel_words(
        profile.multilabel, profile
    )
    if explanation:
        st.markdown(escape(explanation[0]))
        with st.expander("What that means for a score", icon=":material/balance:", key="data_effect"):
            for sentence in explanation[1:]:
                st.markdown(escape(sentence))


def more(dataset: Dataset, profile: Profile) -> None:
    """Draw everything else that is known about the items, and the download of the data card."""
    with st.expander(f"More about these {noun(profile.modality)}", icon=":material/query_stats:", key="data_more"):
        left, right = st.columns(2, gap="large")
        with left:
            sizes(profile)
        with right:
            looks(profile)
            languages(profile)
        label_pairs(profile)
        subgroups(profile, dataset.subgroup_column)
        if dates := profile.span:
            st.markdown(f"{plural(dates.dated, 'item')} dated from {dates.first} to {dates.last}.")
    st.download_button(
        "Data card",
        lambda: data_card(dataset, profile).encode(),
        f"{dataset.name}.md".replace("/", "_"),
        "text/markdown",
        key="data_card",
        on_click="ignore",
        icon=":material/description:",
        help="All of this as one document. It leaves blanks for what only you can know.",
    )


def sizes(profile: Profile) -> None:
    """Draw the distribution of the sizes of the items, with the limit of the backbone if there is one."""
    constant = [spread for spread in profile.sizes if spread.minimum == spread.maximum]
    if "image" in PARTS[profile.modality] and len(constant) == len(profile.sizes) == 2:
        st.caption(f"All pictures have {constant[0].median:,} × {constant[1].median:,} pixels.")
        return
    for spread in profile.sizes:
        if spread in constant or (spread.unit == "characters" and len(profile.sizes) > 1):
            continue
        _histogram(spread, profile.max_tokens if spread.unit == "tokens" else 0)


def looks(profile: Profile) -> None:
    """Draw shapes, brightness and contrast of pictures, and the number of grey ones."""
    stats = profile.pictures
    if stats is None:
        return
    st.markdown(escape(" ".join(profile_sentences.picture_words(stats))))
    for spread in (stats.brightness, stats.contrast):
        if spread and spread.minimum < spread.maximum:
            _histogram(spread)
    if stats.measured < profile.n:
        st.caption(f"Colour, brightness and contrast are measured on {plural(stats.measured, 'random picture')}.")


def languages(profile: Profile) -> None:
    """Draw the languages of texts, and how well the backbone knows their vocabulary."""
    if profile.texts is None:
        return
    counts = profile.texts.languages
    if len(counts) > 1:
        shown = counts[:SHOWN]
        _bars([language.name for language in shown], [language.count for language in shown], "Texts", "data_languages")
    else:
        st.markdown(escape(f"Language: {profile_sentences.language_words(counts)}."))
    if vocabulary := profile_sentences.vocabulary_words(profile.texts.vocabulary):
        st.markdown(escape(vocabulary))
    split_words = profile.texts.vocabulary.named if profile.texts.vocabulary else ()
    if split_words:
        st.caption(escape(f"Words that it reads in several pieces: {', '.join(split_words)}."))
    if profile.texts.measured < profile.n:
        st.caption(f"Languages and vocabulary are measured on {plural(profile.texts.measured, 'random text')}.")


def label_pairs(profile: Profile) -> None:
    """Draw how often two labels occur together, and how many labels the items have."""
    stats = profile.multilabel
    if stats is None or len(stats.names) < 2:
        return
    import plotly.graph_objects as go

    st.markdown("**Labels that occur together**")
    names = [shorten(name, LONGEST) for name in stats.names]
    cells = [[0 if i == j else n for j, n in enumerate(row)] for i, row in enumerate(stats.together)]
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            x=list(range(len(names))),
            y=list(range(len(names))),
            colorscale=[[0, theme.shade(theme.BACKGROUND)], [1, theme.shade(theme.BRAND)]],
            showscale=False,
            text=[["" if i == j else f"{n:,}" for j, n in enumerate(row)] for i, row in enumerate(stats.together)],
            texttemplate="%{text}",
            hoverinfo="skip",
        )
    )
    axis = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis, autorange="reversed")
    figure.update_layout(height=120 + 30 * len(names), margin=MARGIN, dragmode=False)
    pair = stats.pairs[0] if stats.pairs else None
    alt = f"{pair.first} and {pair.second} on {pair.count:,} items." if pair else "No two labels."
    st.plotly_chart(
        figure, key="data_together", config={"displayModeBar": False}, alt=f"Labels that occur together: {alt}"
    )
    st.caption(
        "Items by number of labels: " + ", ".join(f"{k}: {n:,}" for k, n in enumerate(stats.per_item) if n) + "."
    )


def subgroups(profile: Profile, column: str) -> None:
    """Draw the number of items of each subgroup, by split."""
    if not profile.subgroups:
        return
    st.markdown(f"**{escape(column) or 'Subgroups'}**")
    rows = [
        (group.name or "(no value)", group.train, group.validation, group.test, group.total)
        for group in profile.subgroups[:PAGE_ROWS]
    ]
    header = ("Subgroup", "Train", "Validation", "Test", "All")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    st.dataframe(columns, hide_index=True, key="data_subgroups", height=min(420, 38 + 35 * len(rows)))


def _histogram(spread: Quantiles, limit: int = 0) -> None:
    import plotly.graph_objects as go

    edges = spread.bars.edges
    centres = [(left + right) / 2 for left, right in pairwise(edges)]
    figure = go.Figure(
        go.Bar(
            x=centres,
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
    title = f"{spread.name} ({spread.unit})"
    figure.update_layout(
        height=170, margin={**MARGIN, "t": 18}, xaxis={"title": title}, bargap=0.08, dragmode=False, showlegend=False
    )
    alt = (
        f"{title}: median {spread.median:,}, nine tenths between {spread.low:,} and {spread.high:,}, "
        f"largest {spread.maximum:,}."
    )
    key = f"data_spread_{spread.name.lower()}"
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)
    if spread.maximum > edges[-1]:
        st.caption(f"The last bar also counts everything above it, up to {spread.maximum:,} {spread.unit}.")
    if spread.unit == "tokens":
        st.caption(f"**Token**: {glossary.TERMS['token']} A text longer than the limit is cut there.")


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
