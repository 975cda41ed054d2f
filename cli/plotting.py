"""Pictures of topics: the plain data of ``chainrule.lectures.plot``, drawn with Matplotlib."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chainrule.cli.writing import write_file

if TYPE_CHECKING:
    from chainrule.lectures.model import Topic
    from chainrule.lectures.plot import Curve, Levels, Plot, Points, Range

ENDINGS: Final = (".png", ".svg", ".pdf")
SAMPLES: Final = 401
ALIKE: Final = 4  # letters that share a glyph, in the mean; fewer than 2 in any font for reading
COLOURS: Final = ("#1f5fa8", "#c8501e", "#3c8a4e", "#7a4fa3")
RAISED: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
STYLE: Final[dict[str, Any]] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "font.size": 11,
    "legend.edgecolor": "white",
    "legend.framealpha": 0.9,
    "svg.fonttype": "path",
    "svg.hashsalt": "chainrule",
    "axes.unicode_minus": True,
}
# Fonts that are tried first for what Matplotlib's own cannot write.
FONTS: Final = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def draw(topic: Topic, path: Path) -> bool:
    """Write a topic's picture to a .png, .svg or .pdf file; return whether its labels are as asked for.

    Where no installed font has the letters of the reader's language, they are English.  Raises OSError.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    from chainrule.derive.prose import say
    from chainrule.derive.reader import Reader, reader, reading

    texts = {say(label) for plot in topic.plots for label in _labels(plot)}
    fonts = _fonts("".join(texts))
    who = reader() if fonts else Reader(notation=reader().notation, batch=reader().batch)
    style: Any = {**STYLE, "font.family": fonts or ["DejaVu Sans"]}
    with mpl.rc_context(style), reading(who):
        count = len(topic.plots)
        figure = Figure(figsize=(6.4 if count == 1 else 5.2 * count, 4.2), layout="constrained")
        panels = figure.subplots(1, count, squeeze=False)[0]
        for axes, plot in zip(panels, topic.plots, strict=True):
            _panel(axes, plot)
        content = io.BytesIO()
        kind = path.suffix.lower().removeprefix(".")
        figure.savefig(content, format=kind, dpi=160, metadata=_undated(path))
    write_file(path, content.getvalue())
    return bool(fonts)


def _undated(path: Path) -> dict[str, None]:
    """Return what makes the file the same whenever it is written."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})


def _labels(plot: Plot) -> Iterable[str]:
    yield from (plot.title, plot.x_label, plot.y_label)
    yield from (part.label for part in plot.parts if hasattr(part, "label"))


def _fonts(text: str) -> list[str]:
    """Return the fonts that have the letters of a text, Matplotlib's own before others; [] if none has."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    def lacks(path: str) -> set[str]:
        known = FT2Font(path).get_charmap()
        known = {} if _is_placeholder(known) else known
        return {letter for letter in text if ord(letter) not in known and not letter.isspace()}

    usual = "DejaVu Sans"
    # A name alone is read as a pattern, in which a hyphen stands before a size: it goes into a list.
    missing = lacks(font_manager.findfont(font_manager.FontProperties(family=[usual])))
    if not missing:
        return [usual]
    manager = font_manager.fontManager
    found = _first(manager.ttflist, lacks, missing)
    if found is None:  # Matplotlib keeps a list of fonts, which may be older than some of them
        known = {font.fname for font in manager.ttflist}
        for path in font_manager.findSystemFonts():
            if path not in known:
                with contextlib.suppress(RuntimeError, OSError, ValueError):
                    manager.addfont(path)
        found = _first(manager.ttflist, lacks, missing)
    return [] if found is None else [usual, found]


def _is_placeholder(glyphs: Mapping[int, int]) -> bool:
    """Whether a font draws most letters alike: Last Resort has a box for a script, others nothing at all."""
    return len(set(glyphs.values())) * ALIKE < len(glyphs)


def _first(fonts: Iterable[Any], lacks: Callable[[str], set[str]], missing: set[str]) -> str | None:
    """Return the name of the best font that has what is missing."""
    for font in sorted(fonts, key=lambda font: (_rank(font.name), font.weight != 400, font.name)):
        with contextlib.suppress(RuntimeError, OSError):
            if not missing & lacks(font.fname):
                return str(font.name)
    return None


def _rank(name: str) -> int:
    return FONTS.index(name) if name in FONTS else len(FONTS)


def _panel(axes: Any, plot: Plot) -> None:
    from chainrule.derive.prose import say
    from chainrule.lectures.plot import Curve, Levels, Points

    axes.set(title=say(plot.title), xlabel=say(plot.x_label), ylabel=say(plot.y_label))
    if plot.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_power_of_ten)
        axes.yaxis.set_minor_formatter("")
    colours = iter(COLOURS * len(plot.parts))
    for part in plot.parts:
        if isinstance(part, Curve):
            _curve(axes, part, plot.x or (-1.0, 1.0), next(colours))
        elif isinstance(part, Points):
            _points(axes, part, next(colours))
        elif isinstance(part, Levels):
            _levels(axes, part, plot)
    if all(isinstance(part, Points) and _is_whole(part.x) for part in plot.parts):
        axes.xaxis.get_major_locator().set_params(integer=True)
    if plot.x:
        axes.set_xlim(*plot.x)
    if plot.y:
        axes.set_ylim(*plot.y)
    if sum(bool(getattr(part, "label", "")) for part in plot.parts) > 1:
        axes.legend()


def _is_whole(values: Sequence[float]) -> bool:
    return all(value == int(value) for value in values)


def _power_of_ten(value: float, _position: object = None) -> str:
    """Return 10⁻³: plain letters, which need no font of mathematics."""
    return "10" + str(round(math.log10(value))).translate(RAISED)


def _line(part: Curve | Points) -> dict[str, Any]:
    from chainrule.derive.prose import say

    return {"label": say(part.label), "linestyle": "--" if part.dashed else "-"}


def _curve(axes: Any, part: Curve, over: Range, colour: str) -> None:
    from chainrule.derive.interpret import function_of

    value = function_of(part.expression, part.variable)
    low, high = over
    places = [low + (high - low) * k / (SAMPLES - 1) for k in range(SAMPLES)]
    axes.plot(places, [_or_nan(value, place) for place in places], color=colour, linewidth=2, **_line(part))


def _or_nan(value: Any, *place: float) -> float:
    """Return a value, or a gap in the curve where there is none."""
    try:
        found = float(value(*place))
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        return math.nan
    return found if math.isfinite(found) else math.nan


def _points(axes: Any, part: Points, colour: str) -> None:
    style = _line(part)
    if not part.joined:
        style["linestyle"] = "none"
    size = 13 if part.marker == "*" else 5 if len(part.x) < 40 else 2.5
    axes.plot(
        part.x, part.y, color=colour, marker=part.marker, markersize=size, linewidth=1.5, zorder=3, **style
    )


def _levels(axes: Any, part: Levels, plot: Plot) -> None:
    """Draw level lines around the points of the plot, denser where the surface is low."""
    import numpy as np

    from chainrule.lectures.plot import Points

    drawn = [each for each in plot.parts if isinstance(each, Points)]
    (x_low, x_high), (y_low, y_high) = (
        _around([value for each in drawn for value in getattr(each, axis)]) for axis in "xy"
    )
    xs, ys, heights = _surface(part, (x_low, x_high), (y_low, y_high))
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
    levels = low + (high - low) * np.linspace(0.02, 1, 18) ** 2.5
    axes.contour(xs, ys, heights, levels=levels, colors="#9aa7b4", linewidths=0.8)


def _surface(part: Levels, over_x: Range, over_y: Range) -> tuple[Any, Any, Any]:
    """Return a grid and the heights on it: a fine one where whole arrays go through the expression."""
    import numpy as np

    from chainrule.derive.interpret import function_of

    value = function_of(part.expression, *part.variables)
    xs, ys = np.linspace(*over_x, 400), np.linspace(*over_y, 400)
    try:
        heights = np.asarray(value(*np.meshgrid(xs, ys)))
    except TypeError:  # math.exp and its like take one number
        xs, ys = xs[::5], ys[::5]
        heights = np.array([[_or_nan(value, float(a), float(b)) for a in xs] for b in ys])
    return xs, ys, np.broadcast_to(heights, (len(ys), len(xs)))


def _around(values: Sequence[float]) -> Range:
    low, high = min(values), max(values)
    margin = 0.25 * (high - low) or 1.0
    return low - margin, high + margin
