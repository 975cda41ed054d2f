"""Streams, graphs and events of the stand-in for CuPy.

All work is done when it is given, in the order it is given: what a stand-in cannot show is a missing
synchronisation between streams. A captured launch is not done but kept, with the addresses and values that
its arguments had, as on the device.
"""

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from cuda_on_cpu.errors import CudaOnCpuError
from cuda_on_cpu.guard import address, root
from cuda_on_cpu.module import CpuKernel


@dataclass(frozen=True)
class _FrozenArray:
    """Where an array lay. Its memory is not kept alive: neither does a graph on the device."""

    owner: "weakref.ref[np.ndarray]"
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @staticmethod
    def of(array: np.ndarray) -> "_FrozenArray":
        owner = root(array)
        return _FrozenArray(weakref.ref(owner), address(array) - address(owner), array.shape, array.dtype)

    def thaw(self) -> np.ndarray | None:
        owner = self.owner()
        if owner is None:
            return None
        memory = owner.reshape(-1, order="A").view(np.uint8)
        return np.ndarray(self.shape, self.dtype, buffer=memory, offset=self.offset)


@dataclass(frozen=True)
class _FrozenLaunch:
    kernel: CpuKernel
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[_FrozenArray | np.generic, ...]
    shared_mem: int

    def run(self) -> None:
        arguments: list[object] = []
        for number, argument in enumerate(self.arguments):
            thawed = argument.thaw() if isinstance(argument, _FrozenArray) else argument
            if thawed is None:
                raise CudaOnCpuError(
                    f"{self.kernel.name}: a graph replays it, but the array of argument {number} is gone"
                )
            arguments.append(thawed)
        self.kernel(self.grid, self.block, arguments, shared_mem=self.shared_mem)


@dataclass
class Graph:
    """The launches of a capture; `launch` does them again."""

    _launches: list[_FrozenLaunch] = field(default_factory=list)

    def launch(self, stream: "Stream | None" = None) -> None:
        """Runs all launches in their order."""
        refuse_capture("Graph.launch")
        for launch in self._launches:
            launch.run()

    def upload(self, stream: "Stream | None" = None) -> None:
        """Nothing to do here."""


class Stream:
    """A stream that has always done all its work. `with stream:` makes it the current one."""

    null: "Stream"

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self._capturable = non_blocking
        self.capture: list[_FrozenLaunch] | None = None

    def __enter__(self) -> "Stream":
        _entered.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _entered.pop()

    def use(self) -> "Stream":
        """Makes it the current stream from here on."""
        _entered[-1] = self
        return self

    def begin_capture(self, mode: object = None) -> None:
        """From here on launches on this stream are kept and not done."""
        if not self._capturable:
            raise RuntimeError("only a stream made with non_blocking=True can be captured")
        if self.capture is not None:
            raise RuntimeError("the stream is being captured already")
        self.capture = []

    def end_capture(self) -> Graph:
        """The graph of what was launched since begin_capture."""
        if self.capture is None:
            raise RuntimeError("the stream is not being captured")
        graph, self.capture = Graph(self.capture), None
        return graph

    def is_capturing(self) -> bool:
        return self.capture is not None

    def synchronize(self) -> None:
        refuse_capture("synchronize")

    def record(self, event: "Event | None" = None) -> "Event":
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: "Event") -> None:
        """Nothing to wait for here."""

    @property
    def done(self) -> bool:
        return True


class Event:
    """A moment; the time between two is what passed on the CPU."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._timed = not disable_timing
        self.moment: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        if self._timed:
            self.moment = time.perf_counter()

    def synchronize(self) -> None:
        refuse_capture("Event.synchronize")

    @property
    def done(self) -> bool:
        return True


Stream.null = Stream(null=True)
_entered: list[Stream] = [Stream.null]


def current() -> Stream:
    """The stream that launches go to."""
    return _entered[-1]


def elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds from one event to the other."""
    if start.moment is None or end.moment is None:
        raise RuntimeError("an event was not recorded, or has no time")
    return 1e3 * (end.moment - start.moment)


def refuse_capture(what: str) -> None:
    """Raises while the current stream is captured."""
    if current().capture is not None:
        raise RuntimeError(f"{what} while the stream is captured: a graph holds kernel launches only")


def launch(
    kernel: CpuKernel, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[object], shared_mem: int
) -> None:
    """Runs a kernel, or keeps the launch when the current stream is captured."""
    capture = current().capture
    if capture is None:
        kernel(grid, block, args, shared_mem=shared_mem)
        return
    kernel.check(args)
    frozen = tuple(_FrozenArray.of(a) if isinstance(a, np.ndarray) else a for a in args)
    capture.append(_FrozenLaunch(kernel, grid, block, frozen, shared_mem))
