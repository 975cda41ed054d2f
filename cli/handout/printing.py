"""A page as PDF, printed by a headless Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from chainrule.runtime.errors import RuntimeFault

BROWSERS: Final = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
)  # fmt: skip
SECONDS: Final = 120


class NoBrowser(RuntimeFault):
    """No Chromium that could print, or one that does not."""

    exit_code = 3


def require_browser() -> str:
    """Return the path of a Chromium.  Raises NoBrowser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise NoBrowser(
            "a PDF is printed by Chromium, and none was found: install it (apt install chromium), or write "
            "FILE.html and print that from any browser"
        )
    return found


def printed(page: bytes, browser: str) -> bytes:
    """Return a page on A4 as PDF.  Raises NoBrowser if the browser fails."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "handout.html", Path(folder) / "handout.pdf"
        source.write_bytes(page)
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--no-pdf-header-footer",
            "--virtual-time-budget=20000",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={target}",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            source.as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise NoBrowser(f"{browser} printed nothing in {SECONDS} seconds") from error
        if done.returncode or not target.is_file():
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise NoBrowser(f"{browser} could not print the page: {last[0]}")
        return target.read_bytes()
