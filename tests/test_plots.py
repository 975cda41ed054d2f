"""Pictures of topics: every one draws in every format, says when there is none, and writes any language."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib import font_manager
from PIL import Image

import chainrule.derive.prose
from chainrule.cli import plotting
from chainrule.cli.commands import derive as command
from chainrule.derive.reader import Reader, reading
from chainrule.lectures import PICTURED, TOPICS, topic
from chainrule.lectures.plot import Points
from chainrule.present import present

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def test_the_list_of_pictures_is_true() -> None:
    assert {id for id in TOPICS if topic(id).plots} == set(PICTURED)


@pytest.mark.parametrize("id", PICTURED)
def test_every_picture_draws(id: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "picture.png"
    with caplog.at_level(logging.WARNING):
        assert plotting.draw(topic(id), path)
    assert not caplog.records
    picture = Image.open(path).convert("L")
    assert picture.width > 800 and len(set(picture.resize((64, 48)).tobytes())) > 10


@pytest.mark.parametrize("ending", STARTS)
def test_the_ending_is_the_format_and_bytes_are_the_same(ending: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{k}{ending}" for k in range(2)]
    for file in files:
        done = CliRunner().invoke(command, ["convexity", "--plot", str(file)])
        assert done.exit_code == 0 and done.stdout == present(topic("convexity")) + "\n"
        assert str(file) in done.stderr
    assert files[0].read_bytes().startswith(STARTS[ending])
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softmax", "--plot", "a.png"], "softmax has no picture at all; these have one: least-squares"),
        (["convexity", "--plot", "a.jpg"], ".png, .svg or .pdf"),
        (["convexity", "--plot", "a"], ".png, .svg or .pdf"),
        (["examples/mnist_mlp.toml", "--plot", "a.png"], "not with a spec"),
        (["gradient-descent", "--given", "f=x*y*z", "--plot", "a.png"], "no picture with these givens"),
    ],
)
def test_what_has_no_picture_says_so(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2 and message in " ".join(done.stderr.replace("│", " ").split())
    assert not Path("a.png").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        plotting.draw(topic("sigmoid"), tmp_path / "nowhere" / "a.png")


def korean(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(text: str) -> str:
        return "학습률 " + str(text) if chainrule.derive.prose.reader().language == "ko" else str(text)

    monkeypatch.setattr(chainrule.derive.prose, "say", say)


def font_file(name: str) -> str:
    """Return a font's file; its name in a list, for a hyphen in a pattern stands before a size."""
    return font_manager.findfont(font_manager.FontProperties(family=[name]), fallback_to_default=False)


def test_labels_in_korean_have_all_their_letters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    korean(monkeypatch)
    fonts = plotting._fonts("학습률 σ′ δ")
    if not fonts:
        pytest.skip("no installed font has Hangul")  # what then happens is the next test
    with reading(Reader(language="ko")), caplog.at_level(logging.WARNING):
        assert plotting.draw(topic("sigmoid"), tmp_path / "a.png")
    assert not caplog.records
    known = set().union(*(font_manager.get_font(path).get_charmap() for path in map(font_file, fonts)))
    assert {ord(letter) for letter in "학습률"} <= known


def test_without_a_font_the_labels_are_english(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    korean(monkeypatch)
    own = [font for font in font_manager.fontManager.ttflist if font.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    path = tmp_path / "a.png"
    done = CliRunner().invoke(command, ["sigmoid", "--lang", "ko", "--plot", str(path)])
    assert done.exit_code == 0 and "labels are English" in done.stderr
    english = tmp_path / "b.png"
    plotting.draw(topic("sigmoid"), english)
    assert path.read_bytes() == english.read_bytes() and not caplog.records


def test_the_pictures_say_what_they_should() -> None:
    """Curves and points of the pictures are the mathematics of the topic."""
    (plot,) = topic("vanishing-gradient", ["depth=6", "w=2"]).plots
    sigmoid, relu, bound = (part for part in plot.parts if isinstance(part, Points))
    assert plot.log_y and len(sigmoid.y) == 6
    assert all(small <= large * (1 + 1e-12) for small, large in zip(sigmoid.y, bound.y, strict=True))
    ratios = [before / after for before, after in zip(relu.y, relu.y[1:], strict=False)]
    assert ratios == pytest.approx([2.0] * 5)
    (plot,) = topic("steepest-descent").plots
    path, end = (part for part in plot.parts if isinstance(part, Points))
    assert (path.x[0], path.y[0]) == (0, 0) and (end.x, end.y) == ((0,), (1,))
    assert (path.x[-1], path.y[-1]) == pytest.approx((0, 1), abs=2e-6)
