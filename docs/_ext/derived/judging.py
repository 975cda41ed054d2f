"""What must hold of the pages that were written: links lead somewhere, nothing is loaded from afar."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src")}
NO_STYLE = {"canonical", "next", "prev", "index", "search", "author"}  # links that load nothing


class Page(HTMLParser):
    """Ids of a page, what it links to, and what a browser loads with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        for key in ("href", "src"):
            if key in given:
                self.links.append(given[key])
                if (tag, key) in LOADED and given.get("rel") not in NO_STYLE:
                    self.loaded.append(given[key])


def judge(app: Sphinx, failed: Exception | None) -> None:
    """Say what is wrong with the pages, and let the build fail."""
    from sphinx.util import logging

    if failed is None and app.builder.format == "html":
        for objection in objections(Path(app.outdir)):
            logging.getLogger(__name__).warning("%s", objection, type="page")
            app.statuscode = 1


def objections(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the pages of a folder."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(folder)
        twice = {each for each in page.ids if page.ids.count(each) > 1}
        yield from (f"{name}: two elements are called {each}" for each in sorted(twice))
        yield from (f"{name}: loads {each}" for each in page.loaded if urlsplit(each).netloc)
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            if not target.is_file():
                yield f"{name}: links to {link}, which is not there"
            elif address.fragment and target in pages and unquote(address.fragment) not in pages[target].ids:
                yield f"{name}: links to {link}, and nothing is called so"
    for path in folder.rglob("*.css"):
        if "url(http" in path.read_text(encoding="utf-8"):
            yield f"{path.relative_to(folder)}: loads from afar"
