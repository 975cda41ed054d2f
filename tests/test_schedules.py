"""Learning-rate schedules, warm-up, clipping and weight decay: equations, programs, and PyTorch's own."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small import DENSE

from chainrule.derive.deriving import derive_network
from chainrule.derive.differentiate import CannotDifferentiate
from chainrule.derive.library import OPTIMIZERS, SCHEDULES
from chainrule.present import present
from chainrule.programs import scratch_program
from chainrule.runtime.datasets.dataset import Dataset
from chainrule.runtime.program import LoadedProgram
from chainrule.runtime.settings import Settings
from chainrule.runtime.training import train
from chainrule.spec.load import parse_spec

SPEC = f"{DENSE}[training]\nbatch_size = 10\nepochs = 4\n[optimizer]\n"
SCHEDULED = {
    "constant": 'schedule = "constant"',
    "step": 'schedule = "step"\ndecay_factor = 0.5\ndecay_every = 3',
    "cosine": 'schedule = "cosine"',
}
RATE = 0.3


@contextmanager
def built(optimizer: str, *lines: str) -> Iterator[LoadedProgram]:
    text = "\n".join((SPEC, f'type = "{optimizer}"', f"learning_rate = {RATE}", *lines, ""))
    with scratch_program(parse_spec(text, "small.toml")) as program:
        yield program


def batch(seed: int = 0, size: int = 10) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, 6)), rng.integers(0, 3, size)


def multiplier(schedule: str, warmup: int, steps: int) -> Any:
    """PyTorch's way to say it: a function of the steps that are done, from 0."""

    def rate(done: int) -> float:
        value = {
            "constant": lambda: 1.0,
            "step": lambda: 0.5 ** (done // 3),
            "cosine": lambda: (1 + math.cos(math.pi * done / steps)) / 2,
        }[schedule]()
        return value * min(1, (done + 1) / warmup) if warmup else value

    return rate


# ---- Against PyTorch --------------------------------------------------------------------------


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("clip", [0.0, 0.2])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_steps_are_those_of_pytorch(
    torch: ModuleType, optimizer: str, schedule: str, clip: float, warmup: int
) -> None:
    lines = [SCHEDULED[schedule]]
    lines += [f"clip_norm = {clip}"] if clip else []
    lines += [f"warmup = {warmup}"] if warmup else []
    steps, clipped = 12, 0
    with built(optimizer, *lines) as program:
        module = program.module
        ours = program.init_parameters(3, np.float64)
        state = module.init_optimizer(ours)
        if "steps" in state:
            state["steps"] = steps
        theirs = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in ours.items()}
        kinds = {
            "sgd": lambda p: torch.optim.SGD(p, lr=RATE),
            "momentum": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9),
            "adam": lambda p: torch.optim.Adam(p, lr=RATE),
        }
        reference = kinds[optimizer](list(theirs.values()))
        plan = torch.optim.lr_scheduler.LambdaLR(reference, multiplier(schedule, warmup, steps))
        for step in range(steps):
            x, t = batch(step)
            value, gradients = module.loss_and_gradients(ours, x, t)
            assert module.train_step(ours, x, t, state) == value, "the loss is not touched by clipping"
            a = torch.tanh(torch.tensor(x) @ theirs["W1"].T + theirs["b1"])
            logits = a @ theirs["W2"].T + theirs["b2"]
            reference.zero_grad()
            torch.nn.functional.cross_entropy(logits, torch.tensor(t)).backward()
            if clip:
                norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
                clipped += norm > clip
                # PyTorch divides by ‖g‖ + 1e-6; this asks it for the length that c/‖g‖ gives.
                torch.nn.utils.clip_grad_norm_(theirs.values(), clip * (norm + 1e-6) / norm)
            reference.step()
            plan.step()
            for name, mine in ours.items():
                np.testing.assert_allclose(mine, theirs[name].detach().numpy(), rtol=1e-10, atol=1e-12)
    assert clipped > 0 or not clip


@pytest.mark.parametrize("decoupled", ["adam", "sgd"])
def test_weight_decay_is_pytorchs(torch: ModuleType, decoupled: str) -> None:
    with built(decoupled, "weight_decay = 0.1", SCHEDULED["step"]) as program:
        ours = program.init_parameters(1, np.float64)
        state = program.module.init_optimizer(ours)
        theirs = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in ours.items()}
        kind = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD}[decoupled]  # for SGD they are the same
        reference = kind(list(theirs.values()), lr=RATE, weight_decay=0.1)
        plan = torch.optim.lr_scheduler.LambdaLR(reference, multiplier("step", 0, 1))
        for step in range(8):
            x, t = batch(step)
            _, gradients = program.module.loss_and_gradients(ours, x, t)
            for name, parameter in theirs.items():
                parameter.grad = torch.tensor(gradients[name].copy())
            program.module.update(ours, gradients, state)
            reference.step()
            plan.step()
        for name, mine in ours.items():
            np.testing.assert_allclose(mine, theirs[name].detach().numpy(), rtol=1e-12, atol=1e-14)


# ---- Programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_with_everything_around_it(optimizer: str) -> None:
    everything = ("warmup = 3", "clip_norm = 0.1", "weight_decay = 0.01", SCHEDULED["cosine"])
    with built(optimizer, *everything) as program:
        x, t = batch()
        for dtype in (np.float32, np.float64):
            fast, slow = (program.init_parameters(0, dtype) for _ in range(2))
            slow = {name: value.copy() for name, value in slow.items()}  # not views of one vector
            states = [program.module.init_optimizer(p) for p in (fast, slow)]
            for _ in range(4):
                program.module.train_step(fast, x, t, states[0])
                _, gradients = program.module.loss_and_gradients(slow, x, t)
                before = {name: value.copy() for name, value in gradients.items()}
                program.module.update(slow, gradients, states[1])
                assert all((gradients[name] == before[name]).all() for name in before), "not the caller's"
            assert all(value.dtype == dtype for value in fast.values())
            tolerance = 1e-5 if dtype is np.float32 else 1e-12
            for name in fast:
                np.testing.assert_allclose(fast[name], slow[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("zero", [True, False])
def test_clipping_of_a_zero_and_of_a_short_gradient_changes_nothing(zero: bool) -> None:
    with built("sgd", "clip_norm = 1e9") as clipped, built("sgd") as plain:
        x, t = batch()
        found = []
        for program in (clipped, plain):
            p = program.init_parameters(0, np.float64)
            _, g = program.module.loss_and_gradients(p, x, t)
            g = {name: value * (not zero) for name, value in g.items()}
            program.module.update(p, g, program.module.init_optimizer(p))
            found.append(p)
        assert all((found[0][name] == found[1][name]).all() for name in found[0])


def test_plain_programs_know_nothing_of_it() -> None:
    with built("adam") as program:
        text = (program.directory / "numpy_trainer.py").read_text()
        assert set(program.module.init_optimizer(program.init_parameters(0))) == {"step", "m", "v"}
    assert not any(word in text for word in ('"steps"', " eta =", "kappa", "norm"))


def test_the_program_alone_plans_its_steps() -> None:
    with built("sgd", SCHEDULED["cosine"]) as program:
        module: Any = program.module
        seen = []
        init = module.init_optimizer
        module.init_optimizer = lambda p: seen.append(init(p)) or seen[-1]
        x, t = batch(size=25)
        list(module.train(program.init_parameters(0, np.float64), x, t, epochs=4, batch_size=10))
        assert seen[0].pop("learning_rate") == pytest.approx(RATE * (1 + math.cos(math.pi * 11 / 12)) / 2)
        assert seen[0] == {"step": 12, "steps": 12}


def test_a_run_plans_its_steps(tmp_path: Path) -> None:
    x, t = batch(size=25)
    data = Dataset("synthetic", x.astype(np.float32), t, x.astype(np.float32), t, "synthetic")
    with built("adam", SCHEDULED["cosine"], "warmup = 2") as program:
        by_hand = program.init_parameters(0)
        state = program.module.init_optimizer(by_hand) | {"steps": 3}
        for _ in range(3):
            program.module.train_step(by_hand, data.train_x, data.train_t, state)
        result = train(
            program, data, Settings(3, 25), run_dir=tmp_path / "r", stream=io.StringIO(), plots=False
        )
        assert all((result.parameters[name] == by_hand[name]).all() for name in by_hand)


# ---- Equations --------------------------------------------------------------------------------


def equations(*lines: str) -> list[dict[str, Any]]:
    text = "\n".join((SPEC, 'type = "sgd"', *lines, ""))
    shown = json.loads(present(derive_network(parse_spec(text, "small.toml")), "index", "json", False))
    return [e for e in shown["equations"] if e["role"] == "update"]


def test_equations_are_printed_with_their_reasons() -> None:
    eta, norm, kappa, decay, theta = equations(
        SCHEDULED["cosine"], "warmup = 5", "clip_norm = 1", "weight_decay = 0.1"
    )
    assert eta["text"] == "η_τ = η (cos(π (τ − 1)/K) + 1) min(1, τ/w)/2" and eta["because"] == []
    assert r"\eta_\tau" in eta["latex"] and "cosine, warm-up" in eta["rule"]
    assert norm["text"] == "r = √(Σᵢ g[i]²)" and len(norm["because"]) == 4
    assert kappa["because"] == [norm["number"]] and "c/r" in kappa["text"]
    assert decay["text"] == "θ[i] ← (1 − η_τ λ_w) θ[i]" and decay["because"] == [eta["number"]]
    assert theta["text"] == "θ[i] ← θ[i] − η_τ κ g[i]"
    assert set(theta["because"]) == {eta["number"], kappa["number"], decay["number"]}


def test_step_decay_in_an_equation() -> None:
    eta, theta = equations(SCHEDULED["step"])
    assert eta["text"] == "η_τ = γ^⌊(τ − 1)/s⌋ η"
    assert theta["because"][-1] == eta["number"] and len(theta["because"]) == 5


def test_plain_equations_stay_what_they_were() -> None:
    (theta,) = equations()
    assert theta["text"] == "θ[i] ← θ[i] − η g[i]" and len(theta["because"]) == 4


def test_floor_can_be_computed_and_not_be_differentiated() -> None:
    text = SPEC.replace('"tanh"', '"stairs"') + 'type = "sgd"\n[activations.stairs]\nformula = "floor(x)"\n'
    with pytest.raises(CannotDifferentiate, match="⌊z1"):
        derive_network(parse_spec(text, "small.toml"))
