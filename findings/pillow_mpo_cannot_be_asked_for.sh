#!/usr/bin/env bash
# Pillow 13.0.0: Image.open(file, formats=["MPO"]) raises KeyError: 'MPO', even for a file whose format is MPO.
#
# MPO (several JPEG pictures in one file, from cameras with two lenses) shares its opener with JPEG and has none
# under its own name.  With formats=["JPEG"] the same file opens, and its format is then "MPO".  Other names that
# do not fit give UnidentifiedImageError, which is an OSError; a KeyError is none.
#
# What follows: a list of allowed formats holds "JPEG", not "MPO", and "MPO" must be expected as an answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

from PIL import Image, UnidentifiedImageError, __version__

file = io.BytesIO()
left, right = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "red")
left.save(file, "MPO", save_all=True, append_images=[right])


def opened(kind):
    file.seek(0)
    try:
        found = Image.open(file, formats=[kind])
    except Exception as error:
        return type(error)
    return found.format, found.n_frames


print("Pillow", __version__)
for kind in ("JPEG", "WEBP", "MPO"):
    print(f"formats=[{kind!r}]:", opened(kind))
assert opened("JPEG") == ("MPO", 2)
assert opened("WEBP") is UnidentifiedImageError
assert opened("MPO") is KeyError
Image.init()
assert opened("MPO") is KeyError
PYTHON
