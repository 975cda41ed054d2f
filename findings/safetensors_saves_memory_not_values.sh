#!/usr/bin/env bash
# safetensors 0.8.0 saves the memory of a NumPy array, not its values: other values come back, without an error.
#
# safetensors.numpy.save and save_file take an array that is not C-contiguous and write its memory in the order in
# which it lies, under the array's shape.  A transposed array comes back with the entries of the array it is a view
# of; a Fortran-ordered one likewise; of every second column the first values of memory come back.
#
# What follows: numpy.ascontiguousarray for every array before it is saved.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from safetensors import __version__
from safetensors.numpy import load, save

whole = np.arange(6, dtype=np.float32).reshape(2, 3)
print("safetensors", __version__)
expected = {
    "transposed": (whole.T, [[0, 1], [2, 3], [4, 5]]),
    "Fortran order": (np.asfortranarray(whole), [[0, 3, 1], [4, 2, 5]]),
    "every second column": (whole[:, ::2], [[0, 1], [2, 3]]),
}
for what, (array, seen) in expected.items():
    back = load(save({"x": array}))["x"]
    print(f"{what}: saved {array.tolist()}, loaded {back.tolist()}")
    assert back.shape == array.shape and back.tolist() == seen != array.tolist()
    contiguous = np.ascontiguousarray(array)
    assert np.array_equal(load(save({"x": contiguous}))["x"], array)
PYTHON
