"""A CUDA program under the protocol of a NumPy program: NumPy arrays outside, the device's between steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import ModuleType
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike

from chainrule.runtime.batches import Batches
from chainrule.runtime.errors import DeviceError
from chainrule.runtime.trainer import Array, Parameters, State, Trainer

Result = TypeVar("Result")

ROWS = 4096  # samples that are uploaded at a time
SHARE = 0.5  # of the device's free memory that a data set may take


def require_device() -> None:
    """Raises DeviceError, with what to do, where CuPy, a driver or a GPU is missing."""
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            "--target cuda needs CuPy: pip install 'cupy-cuda12x[ctk]' (for a driver of CUDA 13: "
            "'cupy-cuda13x[ctk]'), or use --target numpy"
        ) from error
    try:
        count, why = cupy.cuda.runtime.getDeviceCount(), "none was found"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        count, why = 0, str(error)
    if not count:
        raise DeviceError(
            f"--target cuda needs an NVIDIA GPU with its driver ({why}); use a machine that has one, or "
            "--target numpy"
        )


class Mirror(MutableMapping[str, Any]):
    """Named arrays and numbers of the device, for who looks into it as arrays and numbers of the host.

    What was looked at may have been changed, in place too, and goes back to the device before its next use
    there.  An array taken out of it is that of this moment: after the next step it must be taken anew.
    """

    def __init__(self, device: dict[str, Any]) -> None:
        self._device = device
        self._host: dict[str, Any] = {}
        self._behind = True  # the host's values are older than the device's
        self._seen = False  # the host's values may be newer

    def device(self) -> dict[str, Any]:
        """The arrays of the device, which hold what the host's hold."""
        if self._seen:
            for name, value in self._host.items():
                if isinstance(value, np.ndarray):
                    self._device[name][...] = _uploaded(value)
                else:
                    self._device[name].fill(value)
            self._seen = False
        return self._device

    def changed(self) -> None:
        """Says that the device's values are newer from here on."""
        self._behind = True

    def _fetch(self) -> dict[str, Any]:
        if self._behind:
            for name, value in self._device.items():
                found, there = _downloaded(value), self._host.get(name)
                if isinstance(there, np.ndarray):
                    np.copyto(there, found)
                else:
                    self._host[name] = found
            self._behind = False
        self._seen = True
        return self._host

    def __getitem__(self, name: str) -> Any:
        return self._fetch()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._device:
            raise KeyError(f"{name}: the device holds {', '.join(self._device)}")
        self._fetch()[name] = value

    def __delitem__(self, name: str) -> None:
        raise KeyError(f"{name}: what the device holds stays there")

    def __iter__(self) -> Iterator[str]:
        return iter(self._device)

    def __len__(self) -> int:
        return len(self._device)


class DeviceTrainer:
    """The functions of a CUDA program's module, for the runtime; `numpy` is the NumPy program's module.

    What `init_parameters` and `init_optimizer` give stays on the device from step to step (a Mirror); other
    tables are uploaded for every call, and changed in place where a function does so.
    """

    def __init__(self, module: ModuleType, numpy: Trainer) -> None:
        self.module, self.numpy = module, numpy
        self.PARAMETERS: dict[str, tuple[int, ...]] = module.PARAMETERS
        self.STATISTICS: dict[str, tuple[int, ...]] = module.STATISTICS

    def init_parameters(self, seed: int = 0, dtype: DTypeLike = np.float32) -> Parameters:
        return _as_table(Mirror(self.module.init_parameters(seed, dtype)))

    def init_optimizer(self, parameters: Parameters) -> State:
        return _as_table(Mirror(self.module.init_optimizer(_on_device(parameters))))

    def predict(self, parameters: Parameters, x: Array) -> Array:
        return _array(self.module.predict(_on_device(parameters), x))

    def loss(self, parameters: Parameters, x: Array, t: Array, **seed: Any) -> float:
        return float(self.module.loss(_on_device(parameters), x, t, **seed))

    def evaluation_loss(self, parameters: Parameters, x: Array, t: Array) -> float:
        return float(self.module.evaluation_loss(_on_device(parameters), x, t))

    def loss_and_gradients(
        self, parameters: Parameters, x: Array, t: Array, seed: int | None = None
    ) -> tuple[float, Parameters]:
        value, gradients = self.module.loss_and_gradients(_on_device(parameters), x, t, seed=seed)
        return float(value), {name: _array(gradient) for name, gradient in gradients.items()}

    def input_gradient(self, parameters: Parameters, x: Array, t: Array, seed: int | None = None) -> Array:
        return _array(self.module.input_gradient(_on_device(parameters), x, t, seed=seed))

    def branches(self, parameters: Parameters, x: Array, t: Array, **seed: Any) -> Array:
        """Computed by the NumPy program: the device need not know on which side of a kink a value lies."""
        return self.numpy.branches(dict(parameters), x, t, **seed)

    def update(self, parameters: Parameters, gradients: Parameters, state: State) -> None:
        def act(p: dict[str, Any], s: dict[str, Any]) -> None:
            self.module.update(p, _on_device(gradients), s)

        _in_place(act, parameters, state)

    def train_step(
        self, parameters: Parameters, x: Array, t: Array, state: State, seed: int | None = None
    ) -> float:
        step = self.module.train_step if isinstance(x, np.ndarray) else self.module.step_on_device

        def act(p: dict[str, Any], s: dict[str, Any]) -> float:
            return float(step(p, x, t, s, seed=seed))

        return _in_place(act, parameters, state)

    def batches(self, batches: Batches) -> Batches:
        """The same batches from a data set that is on the device, where it fits and is not augmented."""
        import cupy

        room = SHARE * cupy.cuda.Device().mem_info[0]
        wanted = batches.x.size * np.dtype(np.float32).itemsize + batches.t.nbytes
        return batches if batches.augmentation or wanted > room else DeviceBatches(batches, self.module)


class DeviceBatches(Batches):
    """Batches of samples that lie on the device as the network takes them: float32, preprocessed."""

    def __init__(self, batches: Batches, module: ModuleType) -> None:
        import cupy

        vars(self).update(vars(batches))
        self._inputs = cupy.empty(self.x.shape, np.float32)
        for start in range(0, len(self.x), ROWS):
            part = self.preprocessing(self.x[start : start + ROWS])
            self._inputs[start : start + ROWS] = _uploaded(part.astype(np.float32))
        self._targets = module.upload_targets(self.t, len(self.t), np.dtype(np.float32))

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Array, Array]]:
        """(inputs, targets) on the device; only the order of the samples is uploaded."""
        order = _uploaded(self.order(epoch)) if self.steps > 1 else None
        for step in range(first_step, self.steps):
            if order is None:
                yield self._inputs, self._targets
            else:
                rows = order[step * self.size : (step + 1) * self.size]
                yield self._inputs[rows], self._targets[rows]


def _in_place(
    act: Callable[[dict[str, Any], dict[str, Any]], Result], parameters: Parameters, state: State
) -> Result:
    """Does what changes two tables, and sees to it that the change is seen in them."""
    tables = [parameters, state]
    devices = [_on_device(table) for table in tables]
    result = act(*devices)
    for table, device in zip(tables, devices, strict=True):
        if isinstance(table, Mirror):
            table.changed()
            continue
        for name, value in device.items():
            found = _downloaded(value)
            if isinstance(found, np.ndarray):
                np.copyto(table[name], found)
            else:
                table[name] = found
    return result


def _on_device(table: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the device: a mirror's own, or copies of the host's; numbers become arrays too."""
    if isinstance(table, Mirror):
        return table.device()
    return {name: _uploaded(_numbers(value)) for name, value in table.items()}


def _numbers(value: Any) -> Array:
    """An array as it is, an integer as the int32 and a number as the float64 that kernels read."""
    if isinstance(value, np.ndarray):
        return value
    return np.array(value, np.int32 if isinstance(value, int) else np.float64)


def _as_table(mirror: Mirror) -> dict[str, Any]:
    return cast("dict[str, Any]", mirror)


def _uploaded(value: Array) -> Any:
    import cupy

    return cupy.asarray(value)


def _downloaded(value: Any) -> Any:
    """An array of the host, or a number where it has no dimensions."""
    array = _array(value)
    return array if array.ndim else array.item()


def _array(value: Any) -> Array:
    import cupy

    return cast("Array", cupy.asnumpy(value))
