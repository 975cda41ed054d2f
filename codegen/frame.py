"""What a generated file says around its statements: identity, parameters, hyper-parameters, training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sympy import Symbol

from chainrule.codegen.ir.program import Map, Program
from chainrule.codegen.ir.section import Section
from chainrule.derive.derivation import Derivation
from chainrule.derive.library import ONE_HOT, VALUES
from chainrule.derive.model import Spec
from chainrule.derive.network import KeptTensor
from chainrule.spec.initializers import parse_initializer


@dataclass(frozen=True)
class ParameterStart:
    """A parameter, and how it starts: a kind with its numbers, or explicit values."""

    name: str
    shape: tuple[int, ...]
    role: str
    fan_in: int
    fan_out: int
    kind: str
    arguments: tuple[float, ...]
    values: Any

    @property
    def count(self) -> int:
        total = 1
        for extent in self.shape:
            total *= extent
        return total


@dataclass(frozen=True)
class Frame:
    """Everything a target's file needs beside the statements.

    Targets are ``labels``, or values: within 0 … 1 where they are ``probabilities``, and rows that sum to 1
    where these are ``distributions``.  ``practice`` is what no program does, but the runtime.
    """

    name: str
    description: str
    summary: str
    spec_file: str
    spec_hash: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    labels: bool
    probabilities: bool
    distributions: bool
    mean: bool
    parameters: tuple[ParameterStart, ...]
    statistics: tuple[ParameterStart, ...]
    constants: tuple[tuple[str, float, str], ...]
    state: tuple[str, ...]
    counts_steps: bool
    reads_step: bool
    plans_steps: bool
    scheduled: bool
    optimizer: str
    batch_size: int
    epochs: int
    seed: int
    tensor_cores: str = "none"
    practice: tuple[str, ...] = ()

    @property
    def parameter_count(self) -> int:
        return sum(p.count for p in self.parameters)


def frame(derivation: Derivation, program: Program) -> Frame:
    """Return the frame of a derivation's programs, of which any will do: all have the same update.

    Steps are counted where the update reads their number, and where a step draws noise, which it numbers.
    """
    reads_step = _reads(program, "k")
    network = derivation.network
    spec = network.spec
    options = spec.optimizer.options
    return Frame(
        name=spec.name,
        description=spec.description,
        summary=summary(derivation),
        spec_file=spec.filename,
        spec_hash=spec.sha256,
        input_shape=spec.input_shape,
        output_shape=network.output_shape,
        labels=network.labels,
        probabilities=spec.objective.targets != VALUES and not network.labels,
        distributions=spec.objective.targets == ONE_HOT and not network.labels,
        mean=spec.loss.reduction == "mean",
        parameters=tuple(_start(p) for p in network.parameters),
        statistics=tuple(_start(p) for p in network.statistics),
        constants=tuple((identifier, options[name], name) for name, identifier in program.constants.items()),
        state=_state(program),
        counts_steps=reads_step or any(layer.noise for layer in network.layers),
        reads_step=reads_step,
        plans_steps=_reads(program, "K"),
        scheduled="eta" in program.values,
        optimizer=spec.optimizer.type,
        batch_size=spec.training.batch_size,
        epochs=spec.training.epochs,
        seed=spec.training.seed,
        tensor_cores=spec.training.tensor_cores,
        practice=_practice(spec),
    )


def _state(program: Program) -> tuple[str, ...]:
    return tuple(s.out for s in program.statements(Section.UPDATE) if program.values[s.out].kind == "state")


def _reads(program: Program, name: str) -> bool:
    """Whether the update reads k, the step it is, or K, the steps there will be."""
    symbol = Symbol(name, integer=True, positive=True)
    update = program.statements(Section.UPDATE)
    return any(isinstance(s, Map) and symbol in s.expression.free_symbols for s in update)


def _practice(spec: Spec) -> tuple[str, ...]:
    """Return the names of what happens around steps and not in them, as far as the spec asks for it."""
    training = spec.training
    asked = {
        "standardize": training.standardize != "none",
        "validation_split": training.validation_split > 0,
        "early_stopping": training.early_stopping > 0,
        "augmentation": bool(spec.augmentation.as_dict()),
    }
    return tuple(name for name, wanted in asked.items() if wanted)


def _start(parameter: KeptTensor) -> ParameterStart:
    kind, values = "values", parameter.initial
    arguments: tuple[float, ...] = ()
    if isinstance(values, str):
        initializer = parse_initializer(values)
        kind, arguments, values = initializer.kind, initializer.arguments, None
    return ParameterStart(
        parameter.name,
        parameter.shape,
        parameter.role,
        parameter.fan_in,
        parameter.fan_out,
        kind,
        arguments,
        values,
    )


def summary(derivation: Derivation) -> str:
    """Return one line: 784-16-16-10, sigmoid, softmax; cross_entropy; adam; 13,002 parameters."""
    network = derivation.network
    widths = [_size(network.spec.input_shape)]
    kinds: list[str] = []
    for layer in network.layers:
        if layer.parameters:
            widths.append(_size(layer.output_shape))
        elif layer.changes_values:
            kinds.append(layer.type)
    shape = "-".join(widths) if len(widths) <= 8 else f"{widths[0]}-…-{widths[-1]} ({len(widths) - 1} layers)"
    parts = [", ".join([shape, *dict.fromkeys(kinds)]), network.spec.loss.type, network.spec.optimizer.type]
    return "; ".join([*parts, f"{network.parameter_count:,} parameters"])


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
