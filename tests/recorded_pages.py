"""The pages as they are: what topics and networks print, kept in ``tests/pages/``.

A change of a page shows in the change of its file.  ``make pages`` writes them anew: read the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path

from shipped import NETWORKS

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.prose import say
from chainrule.derive.reader import Reader
from chainrule.lectures import TOPICS, topic
from chainrule.lectures.model import Topic
from chainrule.lectures.plot import Curve, Levels, Points
from chainrule.present import present
from chainrule.spec import load_spec
from chainrule.worked_pass import worked_page

PAGES = Path(__file__).parent / "pages"
PRINTED = [*NETWORKS, *sorted((Path(__file__).parent / "cases").glob("page_*.toml"))]
LECTURES = Reader(notation="lectures", batch="rows")
SMALL = ("xor_backprop", "page_bn_net")  # with a step of training in numbers
GIVEN = {
    "backprop-chain": ("x=1", "t=0"),
    "batch-norm": ("x=1,2,4", "dy=0.5,-1,2"),
    "chain-rule": ("z=sin(t)", "t=x*y"),
    "convexity": ("x=2,-1,0.5", "y=0,1,1/2"),
    "convolution": ("x=1,-2,3,4,0.5", "w=1,0,-2", "padding=same", "stride=2", "dilation=2"),
    "cross-entropy": ("p=0.2,0.9,0.5", "y=0,1,1"),
    "dropout": ("w=1,-1", "x=2,3", "t=0.5", "rate=0.25"),
    "elu": ("x=-1", "alpha=0.5"),
    "forward-3-2-3": ("x=1,0,-1",),
    "gradient-descent": ("f=x**2 + 3*y**2", "x=1.3", "y=-1", "rate=0.1", "steps=5"),
    "leaky-relu": ("x=-2,3", "slope=0.2"),
    "least-squares": ("x=1/3, 2.5, -4, 7", "y=[2, 0, 1/7, 3]"),
    "logistic": ("x=1,2", "y=0,1", "w=0.3", "b=-0.2", "rate=0.5"),
    "maxout": ("w=[[1,2],[2,-1],[3,0]]", "b=0,0,1", "x=-2,1"),
    "mnist-mlp": ("layers=4,3,2",),
    "mse": ("y=2*v, v**2 + 1", "t=3, 5"),
    "mse-minimum": ("y=2*v, v + 1", "t=3, 5"),
    "one-hot": ("t=2,0", "classes=4"),
    "or": ("w=1,-1", "b=0.5"),
    "pooling": ("x=[[1,2,3],[4,0,6]]", "size=2", "stride=1"),
    "sigmoid": ("x=0.5,-2",),
    "softmax": ("z=1,0,-2",),
    "softmax-cross-entropy": ("z=1,2,3", "t=0,1,0"),
    "standardize": ("x=1,2,3,10",),
    "steepest-descent": ("start=0, 1", "steps=5"),
    "vanishing-gradient": ("depth=6", "w=2"),
    "weight-decay": ("x=1,2,-3", "y=2,3,1/2", "lambda=3"),
    "xor-backprop": ("w2=1,2,3", "rate=0.1"),
}
MATHML = ("lenet5", "mnist_mlp")  # in HTML too, which is long


def topic_pages(found: Topic) -> Iterator[tuple[str, str]]:
    """Yield the files of a topic, with what stands in them."""
    yield f"{found.id}.txt", present(found, format="text", steps=True)
    yield f"{found.id}.tex", present(found, format="latex", steps=True)
    if found.id in GIVEN:
        other = topic(found.id, GIVEN[found.id])
        yield f"{found.id}-given.txt", present(other, format="text", steps=True) + pictures(other)
    if found.plots:
        yield f"{found.id}-picture.txt", pictures(found)


def pictures(found: Topic) -> str:
    """Return what a topic wants drawn: axes, ranges, the formula of each curve, the ends of each line."""
    lines = []
    for plot in found.plots:
        lines.append(f"{say(plot.title)}: {say(plot.y_label)} over {say(plot.x_label)}")
        lines += [f"  {name} from {_six(ends)}" for name, ends in (("x", plot.x), ("y", plot.y)) if ends]
        lines += ["  y by powers of ten"] * plot.log_y
        lines += [f"  {_part(part)}" for part in plot.parts]
    return "\n".join((*lines, "")) if lines else ""


def _part(part: Curve | Points | Levels) -> str:
    match part:
        case Curve(label, expression, variable, dashed):
            return f"{say(label)}: curve{' dashed' * dashed}, {expression} over {variable}"
        case Levels(expression, variables):
            return f"levels of {expression} over {variables}"
        case Points(label, x, y, joined, marker, dashed):
            look = f"{'line' if joined else 'points'}{' dashed' * dashed} {marker}".rstrip()
            ends = f"{_six(x[:3])} … {_six(x[-1:])}, y {_six(y[:3])} … {_six(y[-1:])}"
            return f"{say(label)}: {look}, {len(x)} and {len(y)} places: x {ends}"


def _six(values: Iterable[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def network_pages(name: str, found: Derivation) -> Iterator[tuple[str, str]]:
    """Yield the files of a network: all forms as text, one as LaTeX, and the lectures' notation."""
    yield f"{name}.txt", present(found, "both", "text", steps=True)
    yield f"{name}.tex", present(found, "matrix", "latex")
    yield f"{name}-lectures.txt", present(found, "matrix", "text", reader=LECTURES)
    if name in SMALL:
        yield f"{name}-numbers.txt", present(worked_page(found, (1, 2), 2, "both", True), format="text")
    if name in MATHML:
        yield f"{name}.html", present(found, "both", "html", steps=True)


@cache
def shown(id: str) -> Topic:
    return topic(id)


@cache
def derived(path: Path) -> Derivation:
    return derive_network(load_spec(path))


def difference(name: str, now: str) -> str:
    """Return where a page differs from its record, "" where it does not."""
    path = PAGES / name
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    for number, (old, new) in enumerate(zip_longest(before.splitlines(), now.splitlines()), 1):
        if old != new:
            return f"{name}:{number} was {old!r}, is {new!r} (make pages, and read the difference)"
    return ""


def main() -> None:
    written = [page for id in TOPICS for page in topic_pages(shown(id))]
    written += [page for path in PRINTED for page in network_pages(path.stem, derived(path))]
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.iterdir():
        path.unlink()
    for name, text in written:
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
