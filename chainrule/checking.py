"""What ``derive check`` finds: layers, shapes, parameters, floating-point operations and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.checked import table
from chainrule.codegen.frame import frame
from chainrule.codegen.operations import flops
from chainrule.codegen.targets import DEFAULT, target
from chainrule.derive.accurate import overflows
from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.invariance import Ineffective, ineffective
from chainrule.derive.layers import LAYERS
from chainrule.derive.model import Spec
from chainrule.derive.network import Network
from chainrule.formula.turns import in_turn


@dataclass(frozen=True)
class Summary:
    """A checked network; ``totals`` is what ``derive check --json`` prints, printed it is the table."""

    network: Network
    totals: Mapping[str, Any]

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The layers in order: type, name and shape of the output of one sample, count of parameters."""
        return list(self.totals["layers"])

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return self.network.parameter_count

    def __str__(self) -> str:
        return table(self.totals)

    def __repr__(self) -> str:
        return (
            f"<network {self.network.spec.name}: {len(self.layers)} layers, {self.parameters:,} parameters>"
        )


def summary_of(derivation: Derivation) -> Summary:
    """Return the network of a derivation with its totals."""
    return Summary(derivation.network, totals_of(derivation))


def totals(spec: Spec, name: str = DEFAULT, threads: int | None = None) -> dict[str, Any]:
    """Return layers, parameter counts, FLOPs a sample, and the bytes that training in float32 takes.

    The memory is that of the program for a target, on some threads or on those that it takes.  Raises
    ValueError for a target of which it is not known.
    """
    return totals_of(derive_network(spec), name, threads)


@in_turn
def totals_of(derivation: Derivation, name: str = DEFAULT, threads: int | None = None) -> dict[str, Any]:
    """Return the totals of the network of a derivation, with the memory of its program for a target."""
    spec = derivation.network.spec
    program = target(DEFAULT).program(derivation)
    batch = spec.training.batch_size
    parameters = derivation.network.parameter_count
    chosen = target(name)
    if chosen.memory is None or chosen.threads is None:
        raise ValueError(f"{name}: what its programs take is not known")
    own = program if name == DEFAULT else chosen.program(derivation)
    threads = threads or chosen.threads()
    memory = chosen.memory(own, frame(derivation, program), batch, threads)
    found = ineffective(derivation.network)
    return {
        "name": spec.name,
        "input": list(spec.input_shape),
        "output": list(derivation.network.output_shape),
        "layers": _layers(derivation),
        "parameters": parameters,
        "loss": spec.loss.type,
        "optimizer": spec.optimizer.type,
        "batch_size": batch,
        "target": name,
        "threads": threads,
        "flops": flops(program),
        "memory": {**memory, "total": sum(memory.values())},
        "ineffective": [_without_effect(one) for one in found],
        "overflows": _overflows(derivation),
    }


def _overflows(derivation: Derivation) -> list[str]:
    """Say of formulas of one's own where what is computed is not finite although its value is."""
    spec = derivation.network.spec
    said = []
    for equation in derivation.role("forward", "loss", "backward") if spec.activations or spec.losses else ():
        for kind, arguments in overflows(equation.computed.right).items():
            above, below = [a for a in arguments if a > 0], [a for a in arguments if a <= 0]
            sides = [f"{above[0]:g} and more"] if above else []
            sides += [f"{below[-1]:g} and less"] if below else []
            at = " or ".join(sides)
            said.append(
                f"({equation.number}) {equation.text()} is not finite in {kind} for arguments of {at}"
            )
    return said


def _without_effect(one: Ineffective) -> dict[str, str]:
    """A parameter that the loss does not depend on, with the layer that makes it so and what to write."""
    fields = {field.name for field in LAYERS[one.layer.type].fields}
    remedy = "bias = false" if one.name.startswith("b") and "bias" in fields else ""
    return {"parameter": one.name, "layer": one.layer.type, "undone_by": one.ends.type, "remedy": remedy}


def _layers(derivation: Derivation) -> list[dict[str, Any]]:
    network = derivation.network
    return [
        {
            "type": layer.type,
            "name": layer.output,
            "output": list(layer.output_shape),
            "parameters": sum(p.count for p in layer.parameters),
        }
        for layer in network.shown_layers
    ]
