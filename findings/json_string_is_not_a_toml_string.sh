#!/usr/bin/env bash
# Python's json.dumps does not write strings of TOML, with ensure_ascii or without (Python 3.11, tomlkit 0.15.2).
#
# "A JSON string is a TOML basic string" is common advice: quotes, backslashes and control characters are escaped alike.
# Two kinds of character are not.  By default json.dumps writes an emoji, and all else beyond U+FFFF, as two halves of a
# surrogate pair, which TOML forbids: "Escaped character is not a Unicode scalar value".  With ensure_ascii=False the emoji
# stands as itself, but so does DEL (U+007F), a control character to TOML and none to JSON: "Illegal character '\x7f'".
# Letters with accents come through either way, so a test with one of them shows nothing.
#
# What follows: json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f"), or a library that writes TOML.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tomlkit==0.15.2
"$folder/venv/bin/python" - <<'PYTHON'
import json
import tomllib

import tomlkit


def by_default(text):
    return json.dumps(text)


def as_it_is(text):
    return json.dumps(text, ensure_ascii=False)


def mended(text):
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(document, loads):
    try:
        return loads(document)["key"]
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


print("tomlkit", tomlkit.__version__)
ACCENT, EMOJI, DEL = "\xe9\n\"\\\x01", "\U0001f600", "\x7f"
for write, refused in ((by_default, {EMOJI}), (as_it_is, {DEL}), (mended, set())):
    for text in (ACCENT, EMOJI, DEL):
        for loads in (tomllib.loads, tomlkit.parse):
            found = read(f"key = {write(text)}", loads)
            print(write.__name__, ascii(text), loads.__module__, ascii(str(found)))
            assert (found != text) == (text in refused)
        assert json.loads(write(text)) == text
PYTHON
