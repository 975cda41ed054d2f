"""exp and tanh as C programs compute them, against the machine's longest numbers."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from chainrule.codegen.rendering import fill

COMPILER = next((name for name in ("gcc", "clang", "clang-14", "cc") if shutil.which(name)), "")
HEAD = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n#include <tgmath.h>\n#define UNROLL\n"
LOOP = "void {0}_{1}s(const {1} *x, {1} *y, long n) {{ for (long i = 0; i < n; ++i) y[i] = {0}(x[i]); }}\n"
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, -1e-30)
ENDS = {("exp", "float"): (-87.0, 88.5), ("exp", "double"): (-708.0, 709.5)}

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("elementary")
    loops = "".join(LOOP.format(name, kind) for name in ("exp", "tanh") for kind in ("float", "double"))
    source = folder / "elementary.c"
    source.write_text(HEAD + fill("c/elementary.c.j2", used=("exp", "tanh")) + loops)
    path = folder / "elementary.so"
    subprocess.run([COMPILER, "-O2", "-std=gnu11", "-shared", "-fPIC", source, "-o", path, "-lm"], check=True)
    return ctypes.CDLL(str(path))


@pytest.mark.parametrize(("kind", "dtype"), [("float", np.float32), ("double", np.float64)])
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_within_three_units_in_the_last_place(library: ctypes.CDLL, name: str, kind: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    low, high = ENDS.get((name, kind), (-25.0, 25.0))
    drawn = (rng.uniform(low, high, 40000), rng.uniform(-1, 1, 40000), rng.uniform(-1e-4, 1e-4, 10000))
    x = np.concatenate(drawn).astype(dtype)
    wanted = getattr(np, name)(x.astype(np.longdouble))
    error = np.abs(_computed(library, name, kind, x) - wanted) / np.spacing(np.abs(wanted).astype(dtype))
    assert error.max() < 3
    special = np.array(SPECIAL, dtype)
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_array_equal(
            _computed(library, name, kind, special), getattr(np, name)(special), strict=True
        )


def _computed(library: ctypes.CDLL, name: str, kind: str, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    y = np.empty_like(x)
    at = [ctypes.c_void_p(a.ctypes.data) for a in (x, y)]
    getattr(library, f"{name}_{kind}s")(*at, ctypes.c_long(x.size))
    return y
