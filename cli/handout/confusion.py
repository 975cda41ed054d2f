"""Who was taken for whom, as a table in SVG: a row a class, a column what it was taken for."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cli.handout.markup import element, joined


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], labels: tuple[str, str, str]) -> Markup:
    """Return a table of confusions, a row a class, as a drawing: the darker, the more of its row.

    ``labels`` say what the whole is, what a row is, and what a column is.
    """
    title, true, taken = labels
    size = 26 if len(names) <= 12 else max(6, 320 // len(names))
    shown = size >= 20
    stem = 12 + 6.5 * max((len(name) for name in names), default=1) if shown else 14
    stem = min(stem, 110)
    side, left, top = size * len(names), stem + 22, stem + 22
    pieces = [element("title", title)]
    for i, row in enumerate(counts):
        whole = sum(row) or 1
        for j, count in enumerate(row):
            cell = {"x": left + j * size, "y": top + i * size, "width": size - 1, "height": size - 1}
            share = round(count / whole, 3)
            kind = "right" if i == j else "wrong"
            opacity = 0 if not count else round(0.12 + 0.88 * share**0.5, 3)
            pieces.append(element("rect", class_="empty", **cell))
            if count:
                pieces.append(element("rect", class_=kind, fill_opacity=opacity, **cell))
            if count and shown:
                place = {"x": left + (j + 0.5) * size - 0.5, "y": top + (i + 0.5) * size + 3.5}
                ink = "count strong" if opacity > 0.6 else "count"
                pieces.append(element("text", f"{count}", class_=ink, text_anchor="middle", **place))
    if shown:
        for k, name in enumerate(names):
            short = name if len(name) <= 15 else f"{name[:14]}…"
            middle = (k + 0.5) * size + 3.5
            pieces.append(
                element("text", short, class_="tick", x=left - 6, y=top + middle, text_anchor="end")
            )
            turned = f"translate({left + middle} {top - 6}) rotate(-90)" if stem > 30 else None
            at = {} if turned else {"x": left + middle - 4, "y": top - 6, "text_anchor": "middle"}
            pieces.append(element("text", short, class_="tick", transform=turned, **at))
    pieces.append(element("text", taken, class_="label", x=left + side / 2, y=12, text_anchor="middle"))
    pieces.append(
        element(
            "text",
            true,
            class_="label",
            transform=f"translate(12 {top + side / 2}) rotate(-90)",
            text_anchor="middle",
        )
    )
    width, height = left + side + 6, top + side + 6
    return element(
        "svg",
        joined(pieces),
        class_="confusion",
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        role="img",
        aria_label=title,
    )
