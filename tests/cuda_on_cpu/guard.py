"""Memory that ends at pages nobody may touch, so that the first access past an array is a fault.

Two ways into it: `guarded_empty` allocates an array there, and `Guard` copies what lies elsewhere for one
launch. The second serves views too: past the end of W1 in a flat vector of parameters lies b1, and still it
is a fault.
"""

import ctypes
import mmap
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_PAGE = mmap.PAGESIZE
_FENCE = 4 << 20  # bytes on either side that may not be touched; they cost address space only
_POISON = 0xFF  # a NaN in float and double
_ALIGNMENT = 16  # of the widest vector type
_NO_ACCESS = 0  # PROT_NONE, which the module mmap does not name

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Memory:
    """Addresses: fence | low … start: poison | start … end: an array | end … high: poison | fence."""

    low: int
    start: int
    end: int
    high: int


_allocated: dict[int, Memory] = {}  # by the address of the mapping, as long as an array uses it


def guarded_empty(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array right before a fence, filled with 0xff: NaN for floats, as what nobody wrote should look."""
    shape = (shape,) if isinstance(shape, int) else shape
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory, mapping = _reserve(size)
    key = address(mapping)
    _allocated[key] = memory
    weakref.finalize(mapping, _allocated.pop, key, None)
    return np.ndarray(shape, dtype, buffer=mapping, offset=memory.start - key)


def address(array: np.ndarray) -> int:
    """Where the first element lies."""
    return array.__array_interface__["data"][0]


def root(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _reserve(size: int, gap: int = 0) -> tuple[Memory, np.ndarray]:
    """Room for `size` bytes that end `gap` bytes before a fence, and the mapping that holds it."""
    inner = -(-(size + gap) // _PAGE) * _PAGE
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    mapping = np.frombuffer(mmap.mmap(-1, inner + 2 * _FENCE, flags=flags), np.uint8)
    low = address(mapping) + _FENCE
    for fence in (low - _FENCE, low + inner):
        if _libc.mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(_FENCE), _NO_ACCESS):
            raise OSError(ctypes.get_errno(), "mprotect refused a fence")
    mapping[_FENCE : _FENCE + inner] = _POISON
    end = low + inner - gap
    return Memory(low, end - size, end, low + inner), mapping


def _is_poison(start: int, end: int) -> bool:
    if start == end:
        return True
    return bool(
        (np.frombuffer((ctypes.c_uint8 * (end - start)).from_address(start), np.uint8) == _POISON).all()
    )


@dataclass
class _Span:
    """The bytes of arguments that overlap, which stay together."""

    start: int
    end: int
    root: np.ndarray
    members: list[int]
    written: bool
    memory: Memory = field(init=False)
    mapping: np.ndarray | None = None  # the copy, where there is one


class Guard:
    """The arguments of one launch, each between fences.

    Arrays from `guarded_empty` are used in place where they end at their fence. Where kernels use vector
    types (`vectors`), addresses keep the alignment that they have within their allocation, so a copy may end
    up to 15 bytes before its fence; a write there is found afterwards, a read gives NaN.
    """

    def __init__(self, arrays: Sequence[np.ndarray], written: Sequence[bool], vectors: bool) -> None:
        self._arrays = arrays
        self._spans = _spans(arrays, written)
        self.addresses = [0] * len(arrays)
        for span in self._spans:
            _place(span, vectors)
            for member in span.members:
                self.addresses[member] = span.memory.start + address(arrays[member]) - span.start

    def finish(self) -> None:
        """Brings back what the kernel wrote into copies."""
        for span in self._spans:
            if span.mapping is not None and span.written:
                ctypes.memmove(span.start, span.memory.start, span.end - span.start)

    def broken(self) -> tuple[int, str] | None:
        """The first argument whose surroundings were written to, and on which side."""
        for span in self._spans:
            memory = span.memory
            if not _is_poison(memory.low, memory.start):
                return span.members[0], "before the start"
            if not _is_poison(memory.end, memory.high):
                return span.members[-1], "past the end"
        return None

    def locate(self, fault: int) -> tuple[int, str] | None:
        """The argument next to the address of a fault, and how far outside; None if there is none."""
        for span in self._spans:
            if span.memory.high <= fault < span.memory.high + _FENCE:
                member = span.members[-1]
                beyond = (fault - span.memory.end) // self._arrays[member].itemsize
                return (
                    member,
                    f"{beyond} elements past the end" if beyond else "the first element past the end",
                )
            if span.memory.low - _FENCE <= fault < span.memory.low:
                member = span.members[0]
                before = -(-(span.memory.start - fault) // self._arrays[member].itemsize)
                return member, f"{before} elements before the start"
        return None


def _spans(arrays: Sequence[np.ndarray], written: Sequence[bool]) -> list[_Span]:
    spans: list[_Span] = []
    for member in sorted(range(len(arrays)), key=lambda i: (address(arrays[i]), arrays[i].nbytes)):
        start = address(arrays[member])
        end = start + arrays[member].nbytes
        last = spans[-1] if spans else None
        if last and (start < last.end or (start, end) == (last.start, last.end)):
            last.members.append(member)
            last.written |= written[member]
            last.end = max(last.end, end)
        else:
            spans.append(_Span(start, end, root(arrays[member]), [member], written[member]))
    return spans


def _place(span: _Span, vectors: bool) -> None:
    own = _allocated.get(address(span.root))
    # Allocations of a device begin at multiples of 256 bytes.
    offset = (span.start - (own.start if own else address(span.root))) % _ALIGNMENT
    if own and own.end == span.end and (not vectors or span.start % _ALIGNMENT == offset):
        span.memory = Memory(own.low, span.start, span.end, own.high)
        if span.start != own.start:  # what lies before is another argument's or nobody's, not poison
            span.memory = Memory(span.start, span.start, span.end, own.high)
        return
    size = span.end - span.start
    gap = (-size - offset) % _ALIGNMENT if vectors else 0
    span.memory, span.mapping = _reserve(size, gap)
    ctypes.memmove(span.memory.start, span.start, size)
