"""The handout in a real browser: nothing leaves the page, and equations and lines light each other up."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import KATEX, not_installed, unavailable
from shipped import NETWORKS

from chainrule.cli.handout import printing, symbols
from chainrule.cli.handout.document import Handout, handout_of, page
from chainrule.cli.handout.trained import Trained
from chainrule.cli.main import main
from chainrule.derive.reader import Reader, reading
from chainrule.present.page import page_of
from chainrule.spec import load_spec
from chainrule.spec.load import parse_spec

ROOT = Path(__file__).parent.parent
LIMIT = 1_500_000
SHOWN = [("mnist_mlp", "en"), ("mnist_mlp", "ko"), ("fashion_cnn", "en"), ("fashion_cnn", "ko")]
HOSTILE = "<script>document.title='run'</script> \" ' & $x^2$ \\ `a` {{ 1 }} 한글 שלום \u202e"


def spec_of(name: str) -> Any:
    return load_spec(ROOT / "examples" / f"{name}.toml")


@cache
def handout(name: str, form: str = "matrix") -> Handout:
    return handout_of(spec_of(name), form=form, gradcheck=name == "mnist_mlp")


def written(shown: Handout, *reader: str) -> str:
    """The page for a reader: language, notation, batch."""
    with reading(Reader(*reader)):
        return page(shown)


def recorded_map(name: str) -> dict[int, list[int]]:
    """Equation → lines, as the manifest in the repository has it."""
    manifest = json.loads((ROOT / "generated" / name / "manifest.json").read_text(encoding="utf-8"))
    return {each["number"]: each["lines"]["numpy_trainer.py"] for each in manifest["equations"]}


@pytest.fixture
def derive(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Run the command in an empty folder; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["derive", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            main()
        out, err = capsys.readouterr()
        return int(exit_info.value.code or 0), out, err

    return run


# ---- A browser ---------------------------------------------------------------------------------------


@dataclass
class Opened:
    """A page in the browser, with what it asked the network for and what it complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


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


def lit(opened: Opened) -> tuple[set[int], set[int]]:
    """The numbers of the equations and of the lines that are lit."""
    found = opened.page.evaluate(
        """() => ['.equation', '.line'].map((kind) =>
             [...document.querySelectorAll(kind + '.lit')].map((row) => Number(row.dataset.number)))"""
    )
    return set(found[0]), set(found[1])


def point_at(opened: Opened, row: str) -> None:
    """Move the mouse onto a row, which its pane scrolls to the middle; the page itself stays."""
    x, y = opened.page.evaluate(
        """(row) => {
             document.querySelector('.bench').scrollIntoView();
             const element = document.querySelector(row);
             const pane = element.closest('.pane');
             const frame = pane.getBoundingClientRect();
             pane.scrollTop += element.getBoundingClientRect().top - frame.top - frame.height / 2;
             const box = element.getBoundingClientRect();
             return [Math.max(box.left, frame.left) + 6, box.top + Math.min(8, box.height / 2)];
           }""",
        row,
    )
    opened.page.mouse.move(x, y)


# ---- What is on the page -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_handout_is_small_and_names_every_equation(path):
    shown = handout(path.stem)
    html = written(shown)
    assert len(html.encode()) < LIMIT
    assert not re.search(r"""(src|href)=["'](?!#|data:)|url\((?!data:)|@import""", html.split("</style>")[0])
    numbers = [int(n) for n in re.findall(r'id="eq-(\d+)"', html)]
    assert numbers == [equation.number for equation in shown.derivation.equations]
    assert shown.lines == {
        n: tuple(lines) for n, lines in recorded_map(shown.derivation.network.spec.name).items()
    }
    assert html == written(shown)


def test_the_same_bytes_from_another_process():
    code = (
        "import sys; from pathlib import Path; from chainrule.spec import load_spec;"
        "from chainrule.cli.handout.document import handout_of, page;"
        "shown = handout_of(load_spec(Path('examples/lenet5.toml')), gradcheck=False);"
        "sys.stdout.buffer.write(page(shown).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    assert done.stdout == written(handout("lenet5")).encode(), done.stderr.decode()


def test_katex_is_the_one_that_formulas_are_checked_with():
    installed = KATEX / "node_modules" / "katex"
    if not installed.is_dir():
        unavailable("KaTeX", "make katex (it needs node and npm)")
    ours = ROOT / "cli" / "handout" / "assets" / "katex"
    for path in (p for p in ours.rglob("*") if p.is_file()):
        name = path.relative_to(ours)
        there = installed / name if name.name == "LICENSE" else installed / "dist" / name
        assert path.read_bytes() == there.read_bytes(), name


ODD = """
spec_version = 1
name = "odd"
[input]
shape = [4]
[[layers]]
type = "dense"
units = 3
activation = "an_activation_whose_name_is_long"
[[layers]]
type = "layer_norm"
[[layers]]
type = "maxout"
units = 2
[loss]
type = "mse"
[optimizer]
type = "adam"
clip_norm = 1.0
schedule = "step"
decay_every = 10
[activations.an_activation_whose_name_is_long]
formula = "x * sigmoid(beta * x)"
beta = 1.5
"""


def test_what_is_no_shipped_network_has_a_handout_and_letters_are_told_apart():
    shown = handout_of(parse_spec(ODD, "odd.toml"), gradcheck=False)
    equations = page_of(shown.derivation, "matrix", steps=True)
    named: dict[str, set[str]] = {}
    for row in symbols.rows(shown.derivation, equations, {}):
        for member in row.members:
            named.setdefault(member.identifier, set()).add(row.meaning)
    assert all(len(meanings) == 1 for identifier, meanings in named.items() if identifier)
    assert "squared" not in str(named["beta2"]) and "g²" in str(named["BETA2"])  # a shift, and Adam's
    assert {"W1", "gamma2", "xhat2", "z3", "delta1", "dW1", "kappa", "DECAY_EVERY", "x", "t"} <= named.keys()
    assert "value" in str(named["h3"]) and "an_activation_whose…" in written(shown)


# ---- In the browser ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "language"), SHOWN)
def test_no_request_no_complaint_and_katex_sets_every_formula(desktop, name, language):
    opened = desktop(name, language)
    counts = opened.page.evaluate(
        """() => [document.querySelectorAll('.formula').length,
                  document.querySelectorAll('.formula > .katex').length,
                  document.querySelectorAll('.katex-error').length,
                  document.querySelectorAll('.equation').length]"""
    )
    assert counts[0] == counts[1] > counts[3] == len(handout(name).derivation.equations)
    assert counts[2] == 0
    assert opened.page.evaluate("document.documentElement.lang") == language
    assert opened.requests == []
    assert opened.complaints == []


@pytest.mark.parametrize(("name", "form"), [("mnist_mlp", "matrix"), ("cifar10_cnn_88", "index")])
def test_every_font_that_a_formula_takes_is_in_the_page(desktop, name, form):
    opened = desktop(name, form=form)
    missing = opened.page.evaluate(
        """() => {
             const faces = [...document.fonts].map((f) => [f.family.replaceAll('"', ''), f.weight, f.style]);
             const known = new Set(faces.map((face) => face.join()));
             const asked = new Set();
             for (const element of document.querySelectorAll('.katex-html *')) {
               const texts = [...element.childNodes].filter((node) => node.nodeType === 3);
               const own = texts.map((node) => node.data).join('');
               if (!/[^\\s\\u200b]/.test(own)) continue;
               const style = getComputedStyle(element);
               const family = style.fontFamily.split(',')[0].replaceAll('"', '');
               const weight = {400: 'normal', 700: 'bold'}[style.fontWeight];
               asked.add([family, weight, style.fontStyle].join());
             }
             const alias = (face) => face.replace(',400,', ',normal,').replace(',700,', ',bold,');
             const all = new Set([...known].map(alias));
             return [[...asked].filter((face) => !all.has(face)), asked.size];
           }"""
    )
    assert missing[0] == []
    assert missing[1] >= 3


@pytest.mark.parametrize(("name", "language"), SHOWN)
def test_pointing_lights_exactly_what_the_map_says_both_ways(desktop, name, language):
    opened = desktop(name, language)
    lines_of = recorded_map(name)
    equations_of: dict[int, set[int]] = {}
    for number, lines in lines_of.items():
        for line in lines:
            equations_of.setdefault(line, set()).add(number)
    assert len(equations_of) > 20
    for number, lines in lines_of.items():
        point_at(opened, f"#eq-{number}")
        assert lit(opened) == ({number}, set(lines)), number
    for line, equations in equations_of.items():
        point_at(opened, f"#L{line}")
        assert lit(opened) == (equations, {line}), line
    point_at(opened, "#L1")
    assert lit(opened) == (set(), set())


def test_what_lights_up_is_scrolled_into_view_and_the_page_stays(desktop):
    opened = desktop("mnist_mlp", "en")
    lines = recorded_map("mnist_mlp")
    inside = """(row) => {
        const box = document.querySelector(row).getBoundingClientRect();
        const pane = document.querySelector(row).closest('.pane').getBoundingClientRect();
        return box.top >= pane.top && box.bottom <= pane.bottom; }"""
    opened.page.evaluate("document.querySelector('.bench').scrollIntoView()")
    before = opened.page.evaluate("scrollY")
    for number in (1, 23, 3, 20):
        point_at(opened, f"#eq-{number}")
        assert opened.page.evaluate(inside, f"#L{lines[number][0]}")
    point_at(opened, f"#L{lines[21][0]}")
    assert opened.page.evaluate(inside, "#eq-21")
    point_at(opened, f"#L{lines[2][0]}")
    assert opened.page.evaluate(inside, "#eq-2")
    assert opened.page.evaluate("scrollY") == pytest.approx(before, abs=60)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_keyboard_walks_pins_and_lets_go(show, language):
    opened = show(written(handout("mnist_mlp"), language))
    lines = recorded_map("mnist_mlp")
    keyboard = opened.page.keyboard

    def focused() -> str:
        return opened.page.evaluate(
            "document.activeElement.closest('.equation, .line')?.id || document.activeElement.className"
        )

    keyboard.press("Tab")
    assert focused() == "skip"
    for _ in range(20):
        keyboard.press("Tab")
        if focused().startswith("eq-"):
            break
    assert focused() == "eq-1"
    outline = opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline not in ("none", "")
    assert lit(opened) == ({1}, set(lines[1]))
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    assert focused() == "eq-3"
    assert lit(opened) == ({3}, set(lines[3]))
    keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert "3" in opened.page.inner_text(".status")
    point_at(opened, "#eq-5")
    keyboard.press("ArrowDown")
    assert lit(opened) == ({3}, set(lines[3]))  # what is pinned stays
    keyboard.press("Escape")
    assert opened.page.evaluate("document.querySelectorAll('[aria-pressed=true]').length") == 0
    assert lit(opened) != ({3}, set(lines[3]))
    for _ in range(6):
        keyboard.press("Tab")
        if focused().startswith("L"):
            break
    first = min(line for found in lines.values() for line in found)
    assert focused() == f"L{first}"
    opened.page.mouse.move(1, 1)
    keyboard.press("End")
    last = max(line for found in lines.values() for line in found)
    assert focused() == f"L{last}"
    assert lit(opened) == ({n for n, found in lines.items() if last in found}, {last})
    keyboard.press("Space")
    assert opened.page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize("name", ["mnist_mlp", "fashion_cnn"])
def test_on_a_phone_nothing_runs_over_and_a_tap_opens_the_lines(show, name):
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    opened = show(written(handout(name), "ko"), **phone)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 360
    assert opened.page.evaluate("document.body.scrollWidth") == 360
    opened.page.evaluate("document.querySelector('#eq-3').scrollIntoView({block: 'start'})")
    opened.page.tap("#eq-3 .statement")
    lines = recorded_map(name)[3]
    assert lit(opened) == ({3}, set(lines))
    box = opened.page.locator(f"#L{lines[0]}").bounding_box()
    assert 370 < box["y"] < 740
    opened.page.tap(".close")
    assert lit(opened) == (set(), set())
    assert opened.complaints == []


@pytest.mark.parametrize(("name", "language"), [("mnist_mlp", "en"), ("fashion_cnn", "ko")])
def test_without_scripts_every_formula_is_there_in_mathml(show, name, language):
    html = written(handout(name), language)
    opened = show(html, java_script_enabled=False)
    formulas = opened.page.locator(".formula > math")
    assert formulas.count() == html.count('<span class="formula">')
    boxes = [each.bounding_box() for each in opened.page.locator(".equation .statement math").all()]
    assert len(boxes) == len(handout(name).derivation.equations)
    assert all(box and box["width"] > 10 and box["height"] > 8 for box in boxes)
    assert opened.page.locator(".line").count() == len(handout(name).source.splitlines())
    assert opened.requests == []


@pytest.mark.parametrize(("name", "form"), [("mnist_mlp", "matrix"), ("cifar10_cnn_88", "index")])
def test_on_paper_no_formula_is_cut(show, name, form):
    paper = {"width": 680, "height": 1000}  # A4 less its margins, in pixels
    opened = show(written(handout(name, form)), viewport=paper)
    opened.page.wait_for_function(
        "document.querySelector('.equation .formula').style.getPropertyValue('--ems')"
    )
    opened.page.emulate_media(media="print", color_scheme="dark")
    cut = opened.page.evaluate(
        """() => [...document.querySelectorAll('.equation .base, .where .base, td, th')]
             .filter((each) => each.getBoundingClientRect().right > 682)
             .map((each) => each.closest('[id]').id)"""
    )
    assert cut == []
    widths = "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.querySelector('.code'))"
    wanted, given = opened.page.evaluate(widths)
    assert wanted <= given + 1
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize(("name", "form", "reader"), [
    ("mnist_mlp", "matrix", ("en",)), ("mnist_mlp", "index", ("en", "lectures")),
    ("mnist_mlp", "matrix", ("ko", "lectures", "columns")), ("fashion_cnn", "matrix", ("en",)),
    ("cifar10_cnn_88", "index", ("en",)),
])  # fmt: skip
def test_every_letter_of_an_equation_is_in_the_table_of_notation(desktop, name, form, reader):
    opened = desktop(name, *reader, form=form)
    letters = """(part) => [...new Set([...document.querySelectorAll(part + ' .katex-html .mathnormal')]
                   .flatMap((letter) => [...letter.textContent]))].sort()"""
    used = set(opened.page.evaluate(letters, ".equation"))
    explained = set(opened.page.evaluate(letters, ".symbols")) | set("eπσ")  # σ is under "where"
    assert len(used) > 10
    assert used <= explained


@pytest.mark.parametrize(("name", "language"), SHOWN[1:3])
def test_the_page_is_in_order_for_a_screen_reader(desktop, name, language):
    page_ = desktop(name, language).page
    levels = page_.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    faults = page_.evaluate(
        """() => {
             const all = (selector) => [...document.querySelectorAll(selector)];
             const ids = all('[id]').map((each) => each.id);
             const label = (each) => each.getAttribute('aria-label')
               || document.getElementById(each.getAttribute('aria-labelledby'));
             const named = 'svg:not(.katex svg), [role=button], button, nav, main section';
             return {
               twice: ids.filter((id, place) => ids.indexOf(id) !== place),
               nameless: all(named).filter((each) => !label(each)).map((each) => each.outerHTML.slice(0, 80)),
               astray: all('a[href^="#"]').filter((a) => !document.getElementById(a.hash.slice(1))).length,
               plain: all('th:not([scope])').length + all('img:not([alt])').length,
               title: document.title === '',
             };
           }"""
    )
    assert faults == {"twice": [], "nameless": [], "astray": 0, "plain": 0, "title": False}


# ---- What others wrote -------------------------------------------------------------------------------


def a_run(names: list[str]) -> Trained:
    """A run's files as `derive train` and `derive evaluate` write them, made up."""
    history = [
        {"epoch": e, "loss": 2.0 / e, "accuracy": 1 - 0.5 / e, "validation_loss": 2.2 / e}
        for e in range(1, 9)
    ]
    settings = {"batch_size": 32}
    summary = {"epochs": 8, "settings": settings, "data": {"origin": HOSTILE}, "history": history}
    counts = [[9 if i == j else (i + j) % 3 for j in range(len(names))] for i in range(len(names))]
    classes = [{"name": name} for name in names]
    evaluation = {"test_accuracy": 0.875, "test_loss": 0.4, "classes": classes, "confusion": counts}
    return Trained(Path("run"), summary, {**evaluation, "data": {"origin": HOSTILE}})


def test_names_and_descriptions_stay_text(show):
    shown = handout("mnist_mlp")
    spec = replace(shown.derivation.network.spec, description=HOSTILE, name=HOSTILE)
    network = replace(shown.derivation.network, spec=spec)
    hostile = replace(shown, derivation=replace(shown.derivation, network=network), run=a_run([HOSTILE] * 10))
    opened = show(written(hostile))
    plain = " ".join(HOSTILE.replace("\u202e", " ").split())
    assert opened.page.inner_text("h1") == plain
    assert opened.page.inner_text(".description") == plain
    assert opened.page.evaluate("document.title") == plain
    assert plain in opened.page.inner_text("#run")
    assert opened.page.evaluate("document.querySelectorAll('script').length") == 2
    assert (opened.requests, opened.complaints) == ([], [])


def test_a_run_shows_its_curves_and_confusions(show):
    opened = show(written(replace(handout("mnist_mlp"), run=a_run(list("0123456789"))), "en"))
    texts = opened.page.evaluate("[...document.querySelectorAll('#run svg')].map((s) => s.textContent)")
    assert len(texts) == 3
    assert "87.5 %" in opened.page.inner_text("#run")
    assert opened.page.locator("#run .confusion .right").count() == 10
    assert opened.page.locator("#run .confusion text.count").count() == 10 + 60
    lines = opened.page.locator("#run .chart path.line").count()
    assert lines == 3  # loss and accuracy of training, loss of validation
    falling = opened.page.locator("#run .chart path.line.training").first.get_attribute("d")
    heights = [float(pair.split()[1]) for pair in falling[1:].split("L")]
    assert heights == sorted(heights)  # a falling loss goes down the page
    assert min(heights) >= 0


def test_hangul_is_drawn_by_a_font_that_has_it(show):
    listed = (
        shutil.which("fc-list")
        and subprocess.run(
            ["fc-list", ":lang=ko", "postscriptname"], capture_output=True, text=True, check=True
        ).stdout
    )
    if not listed:
        not_installed("A font with Hangul", "apt install fonts-noto-cjk")
    korean = {name.strip() for row in listed.splitlines() for name in row.split("=")[-1].split(",")}
    shown = handout("mnist_mlp")
    spec = replace(shown.derivation.network.spec, description="손글씨 숫자를 읽는 신경망")
    network = replace(shown.derivation.network, spec=spec)
    opened = show(written(replace(shown, derivation=replace(shown.derivation, network=network)), "ko"))
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    marked = opened.page.evaluate(
        """() => { let count = 0;
             for (const each of document.querySelectorAll('body *')) {
               const own = [...each.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join('');
               if (/[\\uac00-\\ud7a3]/.test(own) && each.getClientRects().length && each.tagName !== 'SCRIPT')
                 each.setAttribute('data-hangul', count++);
             }
             return count; }"""
    )
    assert marked >= 1
    for number in range(marked):
        query = {"nodeId": root, "selector": f'[data-hangul="{number}"]'}
        node = session.send("DOM.querySelector", query)["nodeId"]
        fonts = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert korean & {font["postScriptName"] for font in fonts}, fonts


# ---- The command -------------------------------------------------------------------------------------

OR = str(ROOT / "examples" / "or.toml")


def test_the_command_writes_a_page_with_the_run_that_it_is_given(derive, tmp_path):
    assert derive("train", OR, "--run-dir", "run", "--quiet", "--epochs", "20")[0] == 0
    assert derive("evaluate", "run")[0] == 0
    code, out, _err = derive("handout", OR, "-o", "or.html", "--run", "run", "--json")
    assert code == 0
    found = json.loads(out)
    html = (tmp_path / "or.html").read_text(encoding="utf-8")
    assert found == {"file": "or.html", "bytes": len(html.encode()), "gradients_passed": True}
    assert 'id="gradients"' in html and 'id="run"' in html
    assert derive("handout", OR, "--no-gradcheck")[1].strip() == "or_gate.html"
    assert 'id="gradients"' not in (tmp_path / "or_gate.html").read_text(encoding="utf-8")


def test_mistakes_are_one_line_and_exit_code_2(derive, tmp_path):
    derive("train", OR, "--run-dir", "run", "--quiet", "--epochs", "1")
    xor = str(ROOT / "examples" / "xor_backprop.toml")
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((OR, "-o", "or.txt"), "FILE.html or FILE.pdf"),
        (("missing.toml",), "missing.toml"),
        ((OR, "--no-gradcheck", "--run", "empty"), "summary.json"),
        ((xor, "--no-gradcheck", "--run", "run"), "run"),
        ((OR, "--no-gradcheck", "-o", "nowhere/or.html"), "nowhere"),
    ):
        code, out, err = derive("handout", *arguments)
        assert (code, out) == (2, ""), err
        assert words in err and "Traceback" not in err
    (tmp_path / "run" / "evaluation.json").write_text(
        '{"confusion": [[1]], "classes": [3]}', encoding="utf-8"
    )
    assert derive("handout", OR, "--no-gradcheck", "--run", "run")[0] == 2


def test_without_a_browser_a_pdf_is_refused_in_one_line(derive, monkeypatch):
    monkeypatch.setattr(printing, "shutil", SimpleNamespace(which=lambda name: None))
    code, out, err = derive("handout", OR, "-o", "or.pdf")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1 and "install" in err


def test_a_pdf_is_printed(derive, browser, tmp_path):
    assert derive("handout", OR, "-o", "or.pdf", "--no-gradcheck")[0] == 0
    content = (tmp_path / "or.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12
