"""Functions that generated NumPy programs define for themselves, where they use them."""

from __future__ import annotations

HELPERS = {
    "sigmoid": '''def sigmoid(u, out=None):
    """σ(u) = 1 / (1 + e^−u); e^−u may overflow to infinity, where σ is 0."""
    out = np.negative(u, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)''',
    "softplus": '''def softplus(u, out=None):
    """log(1 + e^u) as log(e^0 + e^u), which does not overflow."""
    return np.logaddexp(0, u, out=out)''',
    "logcosh": '''def logcosh(u, out=None):
    """log cosh u, as |u| + log(1 + (e^−2|u| − 1)/2), and near 0 as log(1 + 2 sinh²(u/2))."""
    size = np.abs(u)
    near = np.minimum(size, 1)
    far = size + np.log1p(np.expm1(-2 * size) / 2)
    return np.add(np.where(size < 1, np.log1p(2 * np.sinh(near / 2) ** 2), far), 0, out=out)''',
    "erf": '''def erf(u, out=None):
    """The error function, in double precision."""
    return np.add(np.vectorize(math.erf, otypes=[float])(u).astype(u.dtype), 0, out=out)''',
    "erfc": '''def erfc(u, out=None):
    """1 − erf(u), in double precision, exact for large u."""
    return np.add(np.vectorize(math.erfc, otypes=[float])(u).astype(u.dtype), 0, out=out)''',
    "read": '''def read(a, *at):
    """a[at], zero outside the box of a."""
    inside = True
    for i, extent in zip(at, a.shape, strict=True):
        inside = inside & (i >= 0) & (i < extent)
    nearest = tuple(np.clip(i, 0, extent - 1) for i, extent in zip(at, a.shape, strict=True))
    return np.where(inside, a[nearest], a.dtype.type(0))''',
}
