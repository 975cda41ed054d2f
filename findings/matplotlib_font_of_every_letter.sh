#!/usr/bin/env bash
# Matplotlib 3.11.2 comes with a font that claims every letter, and its name is no valid font name.
#
# Among the fonts of matplotlib.font_manager.fontManager is "Last Resort High-Efficiency" (a file of Matplotlib's own).
# Its character map has all 1,114,112 code points, Hangul and Han included, and draws a placeholder box for each: a
# search for "a font that has this letter" finds it on a machine that has none.
# FontProperties(family=NAME) reads a single string as a fontconfig pattern, in which "-" begins a size: the font's own
# name raises ValueError (a ParseException of pyparsing); FontProperties(family=[NAME]) takes it.
#
# What follows for who looks for a font by its letters: leave out fonts that map what is no character
# (U+10FFFF), and pass names as lists.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check matplotlib==3.11.2
MPLCONFIGDIR="$folder" "$folder/venv/bin/python" - <<'PYTHON'
from matplotlib import __version__, font_manager as fonts

NAME = "Last Resort High-Efficiency"
entry = next(font for font in fonts.fontManager.ttflist if font.name == NAME)
letters = fonts.get_font(entry.fname).get_charmap()
print(f"matplotlib {__version__}: {NAME!r} maps {len(letters):,} code points")
assert len(letters) == 1_114_112
assert {ord("A"), ord("한"), ord("中"), 0x10FFFF} <= set(letters)
try:
    fonts.FontProperties(family=NAME)
except ValueError as error:
    print("as a string: ValueError,", str(error).splitlines()[-1])
else:
    raise AssertionError("a name with a hyphen is taken as a string")
assert fonts.FontProperties(family=[NAME]).get_family() == [NAME]
print("as a list: taken")
PYTHON
