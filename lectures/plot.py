"""Pictures as plain data: what a topic wants drawn.  Nothing here draws; labels are prose."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, Symbol

Range = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """The graph of an expression in one variable."""

    label: str
    expression: Expr
    variable: Symbol
    dashed: bool = False


@dataclass(frozen=True)
class Points:
    """Points, joined by a line where ``joined``; ``marker`` is "" for a line alone."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    joined: bool = True
    marker: str = "o"
    dashed: bool = False


@dataclass(frozen=True)
class Levels:
    """The level lines of an expression in two variables."""

    expression: Expr
    variables: tuple[Symbol, Symbol]


@dataclass(frozen=True)
class Plot:
    """One pair of axes.  ``x`` and ``y`` are the ranges shown, None for what the points need."""

    title: str
    x_label: str
    y_label: str
    parts: tuple[Curve | Points | Levels, ...]
    x: Range | None = None
    y: Range | None = None
    log_y: bool = False
