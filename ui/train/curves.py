"""Curves of a running training as ECharts options: loss and accuracy, each with its words for `alt`."""

from math import isfinite
from typing import Any

from ui.runs.live_run import LiveRun
from ui.theme import GRID, MUTED, SERIES, shade

Points = list[list[Any]]
"""Pairs of x and y; a y of None is a gap in the line."""


def _colours() -> tuple[str, ...]:
    return shade(SERIES)


def _frame(x_name: str, x_max: int, percent: bool) -> dict[str, Any]:
    y: dict[str, Any] = {"type": "value", "scale": not percent, "splitLine": {"lineStyle": {"color": shade(GRID)}}}
    if percent:
        y |= {"min": 0, "max": 100, "interval": 25, "axisLabel": {"formatter": "{value}%"}}
    return {
        "animation": False,
        "legend": {"top": 0, "right": 0, "icon": "roundRect", "itemHeight": 4},
        "grid": {"left": 4, "right": 12, "top": 28, "bottom": 4},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.1f%%" if percent else "%.3f"},
        "xAxis": {
            "type": "value",
            "name": x_name,
            "nameLocation": "middle",
            "nameGap": 22,
            "min": 0,
            "max": max(1, x_max),
            "minInterval": 1,
            "splitLine": {"show": False},
        },
        "yAxis": y,
    }


def _line(name: str, colour: str, points: Points, symbols: bool) -> dict[str, Any]:
    return {
        "type": "line",
        "name": name,
        "color": colour,
        "data": [point for point in points if point[1] is None or isfinite(point[1])],
        "showSymbol": symbols,
        "symbolSize": 6,
        "lineStyle": {"width": 2},
    }


def _phase_marks(starts: list[tuple[int, str]], named: bool) -> dict[str, Any]:
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"type": "dashed", "color": shade(MUTED)},
        "label": {
            "show": named,
            "formatter": "{b}",
            "position": "insideEndBottom",
            "color": shade(MUTED),
            "fontSize": 10,
        },
        "data": [{"xAxis": x, "name": name} for x, name in starts if x > 0],
    }


def loss(live: LiveRun) -> dict[str, Any]:
    """Return the loss over the steps: training as reported at each step, validation at the end of each epoch."""
    colours = _colours()
    steps = live.step.steps if live.step else len(live.epochs)
    if live.ended and live.step:
        steps = live.step.step
    training: Points = [[step, value] for step, value in live.losses]
    if not training:
        training = [[step, epoch.train["loss"]] for step, epoch in live.epochs if "loss" in epoch.train]
    validation: Points = [[step, epoch.validation["loss"]] for step, epoch in live.epochs if "loss" in epoch.validation]
    if live.mixed:
        training, validation = (
            _cut(points, [step for step, _, _ in live.boundaries.values()]) for points in (training, validation)
        )
    option = _frame("step", steps, percent=False)
    option["series"] = [
        _line("Training", colours[1], training, len(training) < 3),
        *([_line("Validation", colours[0], validation, True)] if validation else []),
    ]
    option["series"][0]["markLine"] = _phase_marks(
        [(step, name) for step, _, name in live.boundaries.values()], named=True
    )
    return option


def _cut(points: Points, places: list[int]) -> Points:
    """Return the points with a gap after each place, so that no line joins losses of different objectives."""
    inner = [place for place in places if points and points[0][0] <= place < points[-1][0]]
    return sorted([*points, *([place + 0.5, None] for place in inner)], key=lambda point: point[0])


def accuracy(live: LiveRun) -> dict[str, Any]:
    """Return the accuracy after each epoch, training and validation."""
    colours = _colours()
    option = _frame("epoch", max(1, live.epochs_planned), percent=True)
    series = []
    for name, colour, part in (("Training", colours[1], "train"), ("Validation", colours[0], "validation")):
        metrics = [(n, getattr(epoch, part)) for n, (_, epoch) in enumerate(live.epochs, start=1)]
        points: Points = [[n, 100 * values["accuracy"]] for n, values in metrics if "accuracy" in values]
        if points or part == "train":
            series.append(_line(name, colour, points, len(points) < 60))
    series[0]["markLine"] = _phase_marks([(epoch, name) for _, epoch, name in live.boundaries.values()], named=False)
    option["series"] = series
    return option


def loss_words(live: LiveRun) -> str:
    """Return the loss chart in words."""
    if not live.losses:
        return "Loss: no steps yet"
    return f"Training loss from {live.losses[0][1]:.2f} to {live.losses[-1][1]:.2f} over {live.losses[-1][0]} steps"


def accuracy_words(live: LiveRun) -> str:
    """Return the accuracy chart in words."""
    if not live.epochs:
        return "Accuracy: no epoch is complete yet"
    last = live.epochs[-1][1]
    parts = [
        f"{name} {values['accuracy']:.0%}"
        for name, values in (("training", last.train), ("validation", last.validation))
        if "accuracy" in values
    ]
    after = f"Accuracy after {len(live.epochs)} epoch{'s' if len(live.epochs) != 1 else ''}"
    return (
        f"{after}: {', '.join(parts)}"
        if parts
        else f"{after}: none yet, because the labels are not learned in this phase"
    )
