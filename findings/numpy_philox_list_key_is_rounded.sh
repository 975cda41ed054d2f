#!/usr/bin/env bash
# NumPy 2.4.6: Philox(key=[seed, stream]) rounds a seed of 2^63 and more to 53 bits.
#
# Both words of a key are unsigned 64-bit integers, and a list of two Python integers looks like the way to give them.
# The list becomes an array first: 2^63 and more is uint64, the small one beside it int64, and together they are
# float64.  Neighbouring seeds then have the same key, and draw the same numbers, without an error or a warning.
# Below 2^63, or as one integer of 128 bits, every bit counts.
#
# What follows: a key is given as np.array([seed, stream], np.uint64).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np

print("NumPy", np.__version__)


def different(key):
    """Return how many of the first numbers of 100 seeds in a row are different ones."""
    return {start: len({int(np.random.Philox(key=key(start + n)).random_raw()) for n in range(100)}) for start in STARTS}


STARTS = (2**62, 2**63)
as_list = different(lambda seed: [seed, 1])
as_array = different(lambda seed: np.array([seed, 1], np.uint64))
as_integer = different(lambda seed: seed + (1 << 64))
print("different first numbers of 100 seeds from 2^62 and from 2^63 on")
print("  a list of two integers:", *as_list.values())
print("  an array of uint64:    ", *as_array.values())
print("  one integer:           ", *as_integer.values())
assert as_list == {2**62: 100, 2**63: 1}
assert as_array == as_integer == {2**62: 100, 2**63: 100}
PYTHON
