"""CUDA programs of specs, run on the CPU beside the NumPy programs of the same specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from cuda_on_cpu.module import CpuModule
from numpy.typing import NDArray

from chainrule.codegen.frame import frame
from chainrule.codegen.ir.program import Program
from chainrule.codegen.targets.cuda import TARGET as CUDA
from chainrule.codegen.targets.cuda.plan import Plan
from chainrule.codegen.targets.cuda.planning import plan
from chainrule.codegen.targets.numpy import TARGET as NUMPY
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.model import Spec
from chainrule.spec.load import parse_spec

Array = NDArray[np.generic]
ELEMENTS = {
    "double": np.float64,
    "int": np.int32,
    "unsigned char": np.uint8,
    "unsigned long long": np.uint64,
}
JUNK = 77  # what memory holds before a kernel writes to it


@dataclass(frozen=True)
class Programs:
    """Both programs of a spec."""

    spec: Spec
    derivation: Derivation
    program: Program
    plan: Plan

    @cached_property
    def numpy(self) -> ModuleType:
        """The NumPy program, on one thread."""
        lowered = NUMPY.program(self.derivation)
        module = ModuleType(f"numpy_{self.spec.name}")
        (text,) = NUMPY.render(lowered, frame(self.derivation, lowered)).values()
        exec(text, module.__dict__)  # noqa: S102  it is what is tested
        module.__dict__["THREADS"] = 1
        return module

    def compiled(
        self, real: type = np.float64, change: Callable[[str], str] = str, **kind: object
    ) -> CpuModule:
        """The kernels, for the CPU; ``change`` plants something in their source."""
        source = change(self.plan.source)
        return CpuModule(source, options=("-DREAL=double",) if real is np.float64 else (), **kind)


def programs(text: str) -> Programs:
    """Return the programs of a spec's text."""
    spec = parse_spec(text, "spec.toml")
    derivation = derive_network(spec)
    program = CUDA.program(derivation)
    return Programs(spec, derivation, program, plan(program, frame(derivation, program)))


class Device:
    """The memory of a CUDA program for N samples, and its launches section by section."""

    def __init__(self, programs: Programs, module: CpuModule, N: int, real: type, blocks: int = 0) -> None:
        self.plan, self.module, self.N, self.real, self.blocks = programs.plan, module, N, real, blocks
        trainer = programs.numpy
        self.theta = np.zeros(trainer.COUNT, real)
        self.gradient = np.full(trainer.COUNT, np.nan, real)
        self.parameters = trainer.views(self.theta)
        self.gradients = trainer.views(self.gradient)
        self.memory: dict[str, Array] = {}
        for name in self.plan.buffers:
            self.memory[name] = self._room(name)

    def _room(self, name: str) -> Array:
        buffer = self.plan.buffers[name]
        if buffer.slot:
            return self.memory.get(buffer.slot) if buffer.slot in self.memory else self._room(buffer.slot)
        if name in ("theta", "g"):
            return self.theta if name == "theta" else self.gradient
        if buffer.kind == "parameter":
            return self.parameters[name]
        if buffer.kind == "gradient":
            return self.gradients[buffer.of]
        if name in self.memory:
            return self.memory[name]
        shape = tuple(self.N if e == "N" else int(e) for e in buffer.shape) or (1,)
        room = np.zeros(shape, ELEMENTS.get(buffer.element, self.real))
        if buffer.kind == "local":
            room.fill(np.nan if room.dtype.kind == "f" else JUNK)
        self.memory[name] = room
        return room

    def address(self, name: str) -> int:
        """Return where a buffer lies."""
        return int(self._room(name).ctypes.data)

    def put(self, parameters: dict[str, Array], x: Array, t: Array) -> None:
        """Fill parameters, statistics and the batch."""
        for name, values in parameters.items():
            target = self.parameters.get(name, self.memory.get(name))
            if target is not None:
                target[...] = values
        self.memory["x"][...] = x
        self.memory["t"][...] = t

    def set(self, **scalars: int) -> None:
        """Set what the driver keeps on the device: seed, step, steps, where the program reads them."""
        for name, value in scalars.items():
            if name in self.plan.buffers:
                self.memory[name][0] = value

    def run(self, *sections: str) -> None:
        """Launch what sections consist of."""
        for section in sections:
            for launch in self.plan.launches[section]:
                blocks = self.blocks or max(1, eval(launch.blocks, {"N": self.N}))  # noqa: S307  our own text
                arguments = tuple(np.int32(self.N) if a == "N" else self.memory[a] for a in launch.arguments)
                self.module.get_function(launch.kernel)(
                    (blocks,),
                    (launch.threads,),
                    arguments,
                    shared_mem=launch.shared * np.dtype(self.real).itemsize // 4,
                )


def batch(programs: Programs, N: int, seed: int = 1) -> tuple[dict[str, Array], Array, Array]:
    """Return parameters off their starting point, inputs and targets."""
    rng = np.random.default_rng(seed)
    trainer = programs.numpy
    parameters = trainer.init_parameters(0, np.float64)
    for name in trainer.PARAMETERS:
        parameters[name] += rng.uniform(-0.2, 0.2, parameters[name].shape)
    x = rng.standard_normal((N, *trainer.INPUT))
    classes = int(np.prod(trainer.OUTPUT))
    if programs.program.values["t"].integer:
        return parameters, x, rng.integers(0, classes if classes > 1 else 2, N)
    return parameters, x, rng.standard_normal((N, *trainer.OUTPUT))


def distance(found: Array, wanted: Array) -> float:
    """Return the greatest difference over the greatest entry."""
    if not np.size(wanted):
        return 0.0
    scale = max(float(np.abs(wanted).max()), np.finfo(float).tiny)
    worst = float(np.abs(np.asarray(found, float).reshape(np.shape(wanted)) - wanted).max()) / scale
    return worst if np.isfinite(worst) else np.inf


def disagreements(
    programs: Programs, device: Device, N: int, steps: int, tolerance: float
) -> dict[str, float]:
    """Return by name what differs by more: loss, gradients, outputs, parameters after steps."""
    trainer = programs.numpy
    parameters, x, t = batch(programs, N)
    device.put(parameters, x, t)
    device.set(seed=5)
    loss, gradients = trainer.loss_and_gradients(parameters, x, t, seed=5)
    device.run("forward", "loss", "backward")
    found = {"loss": distance(device.memory[device.plan.loss], np.array([loss]))}
    found |= {f"d{name}": distance(device.gradients[name], gradients[name]) for name in gradients}
    device.run("input_gradient")
    wanted = trainer.input_gradient(parameters, x, t, seed=5)
    found["dx"] = distance(device.memory[device.plan.input_gradient], wanted)
    device.run("evaluation" if device.plan.launches["evaluation"] else "forward")
    found["outputs"] = distance(device.memory[device.plan.output], trainer.predict(parameters, x))
    state = trainer.init_optimizer(parameters)
    device.set(steps=state.get("steps", 0))
    for step in range(steps):
        device.set(seed=step, step=step + 1)
        device.run("forward", "loss", "backward", "statistics", "update")
        trainer.train_step(parameters, x, t, state, seed=step)
    if steps:
        found |= {f"{n} then": distance(device.parameters[n], parameters[n]) for n in trainer.PARAMETERS}
        kept = [n for n in trainer.STATISTICS if n in device.memory]
        found |= {f"{n} then": distance(device.memory[n], parameters[n]) for n in kept}
    return {name: worst for name, worst in found.items() if not worst <= tolerance}
