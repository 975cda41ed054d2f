"""Makes handout_desktop.png, handout_phone.png and handout_korean.png: the handout of mnist_mlp in Chromium.

python docs/make_screenshots.py        needs the project installed with its test extras, and chromium
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from chainrule.cli.handout.printing import BROWSERS

ROOT = Path(__file__).parent.parent
SPEC = str(ROOT / "examples/mnist_mlp.toml")
DESKTOP = {"viewport": {"width": 1440, "height": 940}}
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def derive(*arguments: str) -> None:
    """Run the command; what it says goes to stderr."""
    subprocess.run([sys.executable, "-m", "chainrule", *arguments], cwd=ROOT, check=True, stdout=sys.stderr)  # noqa: S603


def save(page: Page, name: str) -> None:
    """Save what the page shows, in as few colours as it has need of."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(colors=256, dither=Image.Dither.NONE).save(ROOT / "docs" / name, optimize=True)


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = f"{folder}/run"
        derive("train", SPEC, "--data", "mnist_embedded", "--run-dir", run, "--quiet")
        derive("evaluate", run)
        for language in ("en", "ko"):
            derive("handout", SPEC, "-o", f"{folder}/{language}.html", "--run", run, "--lang", language)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])

        def opened(language: str, **options: Any) -> Page:
            page = browser.new_context(reduced_motion="reduce", **options).new_page()
            page.goto(Path(f"{folder}/{language}.html").as_uri())
            page.evaluate("Promise.all([...document.fonts].map((font) => font.load())).then(() => null)")
            return page

        page = opened("en", **DESKTOP)
        page.evaluate("document.querySelector('.bench').scrollIntoView({block: 'center'})")
        page.hover("#eq-13")
        save(page, "handout_desktop.png")
        save(opened("ko", **DESKTOP), "handout_korean.png")
        page = opened("en", **PHONE)
        page.evaluate("document.querySelector('#eq-10').scrollIntoView()")
        page.tap("#eq-11 .statement")
        page.wait_for_timeout(300)
        save(page, "handout_phone.png")
        browser.close()


if __name__ == "__main__":
    main()
