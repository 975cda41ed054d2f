"""Curves as SVG in the page's own colours: axes, ticks, lines; the legend is the caption's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from chainrule.cli.handout.markup import element, joined
from chainrule.derive.prose import say

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 38
LOG_RANGE: Final = 30.0  # values that differ by more than this factor stand on a logarithmic axis
MARKERS: Final = 30  # points up to which each one is marked

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A line of a chart; ``style`` is the class of its colour."""

    label: str
    style: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """A drawing, its title, and its legend: label and style of each line."""

    title: str
    drawing: Markup
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChartAxis:
    """A scale from values to 0 … 1, with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        if self.logarithmic:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
            return (value - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def chart(title: str, across: str, series: Sequence[Series], write: Callable[[float], str]) -> Chart:
    """Return lines over ``across``, whole numbers; ``write`` is how values are written on the axis."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    x_axis, y_axis = whole_axis(min(xs), max(xs)), value_axis(min(ys), max(ys))
    pieces = [
        *_grid(x_axis, y_axis, write),
        *(line for each in series for line in _line(each, x_axis, y_axis)),
    ]
    pieces.append(
        element(
            "text", across, class_="label", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle"
        )
    )
    drawing = element(
        "svg",
        joined([element("title", title), *pieces]),
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
    )
    return Chart(title, drawing, tuple((each.label, each.style) for each in series))


def whole_axis(low: float, high: float) -> ChartAxis:
    """Return an axis of whole numbers, a step to spare where there is but one."""
    if low == high:
        low, high = low - 1, high + 1
    step = max(1, round(nice((high - low) / 6)))
    first = math.ceil(low / step) * step
    return ChartAxis(low, high, tuple(float(t) for t in range(first, math.floor(high) + 1, step)))


def value_axis(low: float, high: float) -> ChartAxis:
    """Return an axis from round number to round number, logarithmic where values differ by much."""
    if low > 0 and high > LOG_RANGE * low:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return ChartAxis(10.0**first, 10.0**last, tuple(10.0**p for p in range(first, last + 1)), True)
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    step = nice((high - low) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return ChartAxis(first * step, last * step, tuple(place * step for place in range(first, last + 1)))


def nice(step: float) -> float:
    """Return the least of 1, 2, 5, 10 … that is at least a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _x(axis: ChartAxis, value: float) -> float:
    return round(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT), 2)


def _y(axis: ChartAxis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM), 2)


def _grid(across: ChartAxis, up: ChartAxis, write: Callable[[float], str]) -> list[Markup]:
    pieces = []
    for tick in up.ticks:
        y = _y(up, tick)
        pieces.append(element("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="grid"))
        pieces.append(element("text", write(tick), class_="tick", x=LEFT - 6, y=y + 4, text_anchor="end"))
    for tick in across.ticks:
        place = _x(across, tick)
        y = HEIGHT - BOTTOM + 16
        pieces.append(element("text", f"{tick:,.0f}", class_="tick", x=place, y=y, text_anchor="middle"))
    return pieces


def _line(series: Series, across: ChartAxis, up: ChartAxis) -> list[Markup]:
    places = [(_x(across, x), _y(up, y)) for x, y in series.points]
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
    pieces = [element("path", d=path, class_=f"line {series.style}")]
    if len(places) <= MARKERS:
        pieces += [element("circle", cx=x, cy=y, r=2.4, class_=f"dot {series.style}") for x, y in places]
    return pieces


def percent(value: float) -> str:
    """Return 0.9 as 90 %."""
    return f"{100 * value:.4g} %"


def number(value: float) -> str:
    """Return a number in a few letters."""
    return f"{value:.4g}".replace("e-0", "e-")


def said(series: Sequence[Series]) -> list[Series]:
    """Return lines with their labels in the reader's language."""
    return [Series(say(each.label), each.style, each.points) for each in series]
