#!/usr/bin/env bash
# NumPy 2.4.6: np.load of an .npz file that is cut short raises zipfile.BadZipFile and leaves the file open.
#
# The archive is opened by path, so nobody else holds the file; it is closed when the exception and its traceback
# are gone, with a ResourceWarning.  Tests that make warnings errors fail at some later place, and a program that
# keeps the exception (to tell of all bad files at the end, say) keeps a file descriptor for each.
#
# What follows: `with open(path, "rb") as file: np.load(file)` closes it in any case.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - "$folder/cut.npz" <<'PYTHON'
import gc
import sys
import warnings
import zipfile

import numpy as np

path = sys.argv[1]
np.savez(path, x=np.arange(1000))
with open(path, "rb+") as file:
    file.truncate(1000)
print("NumPy", np.__version__)


def warned(load):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            load()
        except zipfile.BadZipFile as error:
            print("BadZipFile:", error)
        gc.collect()
    return [str(w.message) for w in seen if w.category is ResourceWarning]


def by_file():
    with open(path, "rb") as file:
        np.load(file)


by_path = warned(lambda: np.load(path))
print("by path:", len(by_path), "ResourceWarning")
assert len(by_path) == 1 and "cut.npz" in by_path[0]
assert warned(by_file) == []
PYTHON
