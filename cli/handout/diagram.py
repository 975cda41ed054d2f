"""The diagram of a network: a box for each layer, from the input down to the loss, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from markupsafe import Markup

from chainrule.cli.handout.markup import drawn_symbol, element, joined
from chainrule.derive.network import Layer, Network
from chainrule.derive.prose import _, say
from chainrule.present.notation import exchanged

WIDTH: Final = 340
TALL, FLAT, GAP = 52, 34, 16
LONGEST: Final = 20  # characters of a layer's type that fit
ROOM: Final = 30  # characters of parameters' names and shapes that fit


@dataclass(frozen=True)
class DiagramBox:
    """A layer as it is drawn: ``symbol`` is its output, ``details`` are its parameters and their shapes."""

    kind: str
    title: str
    symbol: str
    shape: tuple[int, ...]
    count: int = 0
    details: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def height(self) -> int:
        return TALL if self.details else FLAT


def diagram(network: Network, letters: Mapping[str, str]) -> Markup:
    """Return the network as a drawing, its ``letters`` exchanged, with a sentence that says the same."""
    boxes = [replace(box, symbol=exchanged(box.symbol, letters)) for box in boxes_of(network)]
    places: list[int] = []
    bottom = 1
    for box in boxes:
        places.append(bottom)
        bottom += box.height + GAP
    drawn: list[Markup] = []
    for number, (box, top) in enumerate(zip(boxes, places, strict=True)):
        if number:
            drawn.append(_arrow(top - GAP, top))
        drawn.append(_box(box, top))
    height = bottom - GAP + 1
    return element(
        "svg",
        joined([element("title", spoken(boxes)), *drawn]),
        class_="diagram",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=spoken(boxes),
    )


def boxes_of(network: Network) -> list[DiagramBox]:
    """Return the input, the layers that change something, and the loss."""
    layers = list(network.shown_layers)
    loss = DiagramBox("loss", network.spec.loss.type, "E", ())
    return [
        DiagramBox("input", say(_("input")), "x", network.spec.input_shape),
        *map(_of_layer, layers),
        loss,
    ]


def _of_layer(layer: Layer) -> DiagramBox:
    count = sum(p.count for p in layer.parameters)
    details = tuple((p.name, p.shape) for p in layer.parameters)
    kind = "trained" if count else "plain"
    return DiagramBox(kind, layer.type, layer.output, layer.output_shape, count, details)


def spoken(boxes: list[DiagramBox]) -> str:
    """Return the drawing in words."""
    parts = []
    for box in boxes:
        shape = " × ".join(map(str, box.shape)) or "1"
        count = f"{box.count:,}"
        text = (
            _("{layer}, output {shape}, {count} parameters", layer=box.title, shape=shape, count=count)
            if box.count
            else _("{layer}, output {shape}", layer=box.title, shape=shape)
        )
        parts.append(say(text))
    return " → ".join(parts)


def _box(box: DiagramBox, top: int) -> Markup:
    title = box.title if len(box.title) <= LONGEST else f"{box.title[: LONGEST - 1]}…"
    right = {"x": WIDTH - 14, "text_anchor": "end"}
    output = drawn_symbol(box.symbol, f"  {_shape(box.shape)}" if box.shape else "")
    pieces = [
        element("rect", x=1, y=top, width=WIDTH - 2, height=box.height, rx=8),
        element("text", title, class_="type", x=14, y=top + 22),
        element("text", output, class_="output", y=top + 22, **right),
    ]
    if box.details:
        count = say(_("{count} parameters", count=f"{box.count:,}"))
        pieces.append(element("text", _parameters(box.details), class_="small", x=14, y=top + 41))
        pieces.append(element("text", count, class_="small count", y=top + 41, **right))
    return element("g", joined(pieces), class_=f"box {box.kind}")


def _parameters(details: tuple[tuple[str, tuple[int, ...]], ...]) -> Markup:
    """Return the names of a layer's parameters with their shapes, if these fit beside the count."""
    shapes = [_shape(shape, "×") for _name, shape in details]
    room = len("".join(shapes)) + 5 * len(details) <= ROOM
    spans = [
        drawn_symbol(name, f" {shape}   " if room else "  ")
        for (name, _), shape in zip(details, shapes, strict=True)
    ]
    return joined(spans)


def _arrow(top: int, bottom: int) -> Markup:
    middle, tip = WIDTH // 2, bottom - 1
    shaft = element("path", d=f"M{middle} {top}V{tip - 5}", class_="arrow")
    head = element("path", d=f"M{middle - 4} {tip - 6}L{middle} {tip}L{middle + 4} {tip - 6}z", class_="tip")
    return shaft + head


def _shape(shape: tuple[int, ...], times: str = " × ") -> str:
    return times.join(map(str, shape))
