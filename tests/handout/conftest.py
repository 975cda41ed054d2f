"""A real browser that opens handouts, and the command that writes them."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from conftest import not_installed, unavailable
from handout.handouts import Opened, handout, written

from chainrule.cli.handout import printing


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, printing.BROWSERS)), None)
    if found is None:
        not_installed("Chromium", "apt install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("Playwright", "pip install playwright")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=found, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def show(browser, tmp_path_factory) -> Callable[..., Opened]:
    """Open the HTML of a handout; `options` are those of a browser context."""
    folder = tmp_path_factory.mktemp("handouts")

    def opened(html: str, **options: Any) -> Opened:
        path = folder / f"{len(list(folder.iterdir()))}.html"
        path.write_text(html, encoding="utf-8")
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        found = Opened(context.new_page())

        def route(request: Any) -> None:
            if request.request.url != path.as_uri():
                found.requests.append(request.request.url)
            request.continue_()

        context.route("**/*", route)
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on(
            "console", lambda m: found.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        found.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            found.page.evaluate("document.fonts.ready.then(() => null)")
        return found

    return opened


@pytest.fixture(scope="module")
def desktop(show) -> Callable[..., Opened]:
    """The handouts that most tests look at, opened once each."""

    @cache
    def opened(name: str, *reader: str, form: str = "matrix") -> Opened:
        return show(written(handout(name, form), *reader))

    return opened
