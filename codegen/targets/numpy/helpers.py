"""Functions that generated NumPy programs define for themselves, where they use them."""

from __future__ import annotations

from chainrule.codegen.targets.numpy.special import TEXT as ERROR_FUNCTION
from chainrule.codegen.targets.numpy.threads import TEXT as THREADS

HELPERS = {
    "threads": THREADS,
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
    "erf": ERROR_FUNCTION,
    "erfc": ERROR_FUNCTION,
    "read": '''def read(a, *at):
    """a[at], zero outside the box of a."""
    inside = True
    for i, extent in zip(at, a.shape, strict=True):
        inside = inside & (i >= 0) & (i < extent)
    nearest = tuple(np.clip(i, 0, extent - 1) for i, extent in zip(at, a.shape, strict=True))
    return np.where(inside, a[nearest], a.dtype.type(0))''',
    "draw": '''def draw(seed, stream, probability, out, before=0):
    """Fill out with truth values, true with a probability (to 2^-16), from a counter-based generator.

    ``before`` says how many values of the stream come earlier; each count of the generator gives 16.
    """
    block, skip = divmod(before, 16)
    key = np.array([int(seed or 0) % 2**64, stream], np.uint64)  # a list of these would be float64
    bits = np.random.Philox(key=key, counter=block).random_raw(-(-(skip + out.size) // 4))
    chosen = bits.view(np.uint16)[skip : skip + out.size].reshape(out.shape)
    return np.less(chosen, round(probability * 2**16), out=out)''',
    "pieces": '''def pieces(N, size):
    """Yield the batch in pieces: which samples, and how many."""
    for start in range(0, N, size):
        yield slice(start, min(start + size, N)), min(size, N - start)''',
    "windows": '''@functools.lru_cache(maxsize=1024)
def layout(pattern, extents, strides, **sizes):
    """Return where a view at the affine subscripts of a pattern starts, its shape and its strides."""
    read, order = pattern.split(" -> ")
    order, number, start = order.split(), {"": 1, "+": 1, "-": -1}, []
    steps = dict.fromkeys(order, 0)
    for subscript, extent, stride in zip(read.split(), extents, strides, strict=True):
        terms = re.findall(r"([+-]?\\d*)([a-z]\\w*)?", subscript)[:-1]
        start.append(slice(sum(int(factor) for factor, index in terms if not index), None))
        for factor, index in terms:
            if index:
                steps[index] += (number.get(factor) or int(factor)) * stride
                sizes.setdefault(index, extent)
    return tuple(start), tuple(sizes[index] for index in order), tuple(steps[index] for index in order)


def windows(a, pattern, **sizes):
    """View a at affine subscripts, without a copy: "n 2i+u c -> n i u c" is a[n, 2i+u, c]."""
    start, shape, strides = layout(pattern, a.shape, a.strides, **sizes)
    return np.lib.stride_tricks.as_strided(a[start], shape, strides)''',
    "add_windows": '''def add_windows(places, values, axes):
    """Add values to places that overlap, one place of the window (along the axes) after the other."""
    values, at = np.broadcast_to(values, places.shape), [slice(None)] * places.ndim
    for window in np.ndindex(*(places.shape[axis] for axis in axes)):
        for axis, k in zip(axes, window, strict=True):
            at[axis] = k
        places[tuple(at)] += values[tuple(at)]''',
    "greatest": '''def greatest(values, axes, out):
    """Return the maximum over the axes of windows, one place of the window after the other."""
    at, rest = [slice(None)] * values.ndim, None
    for window in np.ndindex(*(values.shape[axis] for axis in axes)):
        for axis, k in zip(axes, window, strict=True):
            at[axis] = k
        rest = np.maximum(values[tuple(at)] if rest is None else rest, values[tuple(at)], out=out)
    return out''',
    "first": '''def first(values, best, axes, out=None):
    """Say where values reach best for the first time along the axes."""
    out = np.empty(values.shape, bool) if out is None else out
    at = [slice(None)] * values.ndim
    reached, here = np.zeros(best.shape, bool), np.empty(best.shape, bool)
    for window in np.ndindex(*(values.shape[axis] for axis in axes)):
        for axis, k in zip(axes, window, strict=True):
            at[axis] = k
        np.equal(values[tuple(at)], best, out=here)
        np.greater(here, reached, out=out[(*at, ...)])
        reached |= here
    return out''',
}
