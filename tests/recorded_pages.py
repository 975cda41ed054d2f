"""The pages as they are: what every topic and shipped network prints, kept in ``tests/pages/``.

A change of a page shows in the change of its file.  ``make pages`` writes them anew: read the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path

from shipped import NETWORKS

from derive.deriving import Derivation, derive_network
from derive.present import present
from derive.reader import Reader
from derive.spec import load_spec
from derive.topics import TOPICS, topic
from derive.topics.model import Topic

PAGES = Path(__file__).parent / "pages"
LECTURES = Reader(notation="lectures", batch="rows")
MATHML = ("lenet5", "mnist_mlp")  # in HTML too, which is long


def topic_pages(found: Topic) -> Iterator[tuple[str, str]]:
    """Yield the files of a topic, with what stands in them."""
    yield f"{found.id}.txt", present(found, format="text", steps=True)
    yield f"{found.id}.tex", present(found, format="latex", steps=True)


def network_pages(name: str, found: Derivation) -> Iterator[tuple[str, str]]:
    """Yield the files of a network: all forms as text, one as LaTeX, and the lectures' notation."""
    yield f"{name}.txt", present(found, "both", "text", steps=True)
    yield f"{name}.tex", present(found, "matrix", "latex")
    yield f"{name}-lectures.txt", present(found, "matrix", "text", reader=LECTURES)
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
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.iterdir():
        path.unlink()
    written = [page for id in TOPICS for page in topic_pages(shown(id))]
    written += [page for path in NETWORKS for page in network_pages(path.stem, derived(path))]
    for name, text in written:
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
