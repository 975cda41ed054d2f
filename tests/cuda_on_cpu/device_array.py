"""The arrays of the stand-in for CuPy: NumPy arrays that keep host and device apart where CuPy does."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from cuda_on_cpu import streams


class DeviceArray(np.ndarray):
    """What cupy.ndarray is to a driver.

    Mixing it with host arrays in one expression raises TypeError, elements are arrays of no dimensions, and
    while a stream is captured everything but a kernel launch raises RuntimeError: a graph would not replay
    it here. Not kept apart: functions of NumPy that convert (np.asarray) take it silently, where CuPy's
    array refuses.
    """

    def get(self, stream: object = None, order: str = "C", out: np.ndarray | None = None) -> np.ndarray:
        """A copy on the host."""
        streams.refuse_capture("get")
        host = np.array(self.view(np.ndarray), order="C", copy=True)
        if out is None:
            return host
        out[...] = host
        return out

    def set(self, array: np.ndarray, stream: object = None) -> None:
        """Copies an array of the same shape and type from the host, in place."""
        streams.refuse_capture("set")
        if isinstance(array, DeviceArray) or not isinstance(array, np.ndarray):
            raise TypeError(f"set takes an array of the host, not {type(array).__name__}")
        if (array.shape, array.dtype) != (self.shape, self.dtype):
            raise ValueError(
                f"set: an array of {array.dtype} {array.shape}, wanted {self.dtype} {self.shape}"
            )
        self.view(np.ndarray)[...] = array

    @property
    def data(self) -> SimpleNamespace:
        """Where the array lies: `data.ptr` is its address."""
        return SimpleNamespace(ptr=self.ctypes.data)

    def fill(self, value: Any) -> None:
        streams.refuse_capture("fill")
        super().fill(value)

    def item(self, *where: Any) -> Any:
        streams.refuse_capture("item")
        return super().item(*where)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return item if isinstance(item, np.ndarray) else np.asarray(item).view(DeviceArray)

    def __setitem__(self, key: Any, value: Any) -> None:
        streams.refuse_capture("assignment")
        _refuse_host(value)
        super().__setitem__(key, value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        streams.refuse_capture(ufunc.__name__)
        for operand in (*inputs, *(options.get("out") or ())):
            _refuse_host(operand)
        if out := options.get("out"):
            options["out"] = tuple(_plain(array) for array in out)
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        if out:
            return out[0] if len(out) == 1 else out
        if isinstance(result, tuple):
            return tuple(np.asarray(part).view(DeviceArray) for part in result)
        return None if result is None else np.asarray(result).view(DeviceArray)


def _refuse_host(operand: object) -> None:
    if isinstance(operand, np.ndarray) and not isinstance(operand, DeviceArray):
        raise TypeError("an array of the host among arrays of the device: cupy.asarray takes it there")


def _plain(operand: Any) -> Any:
    return operand.view(np.ndarray) if isinstance(operand, DeviceArray) else operand
