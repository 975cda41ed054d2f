"""The handout in a real browser: nothing leaves the page, and equations and lines light each other up."""

import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import not_installed
from handout.handouts import Opened, handout, recorded_map, written

from chainrule.cli.handout.trained import Trained

SHOWN = [("mnist_mlp", "en"), ("mnist_mlp", "ko"), ("fashion_cnn", "en"), ("fashion_cnn", "ko")]
HOSTILE = "<script>document.title='run'</script> \" ' & $x^2$ \\ `a` {{ 1 }} 한글 שלום \u202e"


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
