"""Generated programs: their public face, and the file that they are."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from random_specs import SPECS, Built, build, built, random_spec

from chainrule.codegen.generate import generate
from chainrule.spec.load import load_spec, parse_spec

ROOT = Path(__file__).parent.parent
SOME = range(0, SPECS, 10)  # random specs that stand for all: every loss and optimizer is among them
Array = NDArray[Any]


def batch(one: Built, size: int, dtype: Any = np.float64) -> tuple[Array, Array]:
    rng = np.random.default_rng(size)
    x = rng.standard_normal((size, *one.program.input_shape)).astype(dtype)
    if one.program.target_kind == "labels":
        return x, rng.integers(0, one.program.classes, size)
    return x, rng.uniform(0, 1, (size, *one.program.output_shape)).astype(dtype)


def small_spec(
    last: str = "softmax",
    loss: str = "cross_entropy",
    hidden: str = "tanh",
    optimizer: str = "adam",
    head: str = 'name = "small"',
    tail: str = "",
) -> str:
    return f"""spec_version = 1
{head}

[input]
shape = [5]

[[layers]]
type = "dense"
units = 4
activation = "{hidden}"

[[layers]]
type = "dense"
units = 3
activation = "{last}"

[loss]
type = "{loss}"

[optimizer]
type = "{optimizer}"
{tail}"""


@cache
def plain_program() -> Built:
    """The program of the small spec as it is, built once."""
    return build(small_spec())


# ---- Public face -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SOME)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_the_type_of_the_parameters_is_the_type_of_everything(seed: int, dtype: Any) -> None:
    module = built(seed).program.module
    parameters = module.init_parameters(3, dtype)
    assert {name: value.shape for name, value in parameters.items()} == module.PARAMETERS
    assert list(parameters) == list(module.PARAMETERS) and module.STATISTICS == {}
    for given in (np.float32, np.float64):  # the type of a batch has no say
        x, t = batch(built(seed), 4, given)
        y = module.predict(parameters, x)
        assert y.dtype == dtype and y.shape == (4, *built(seed).program.output_shape)
        loss, gradients = module.loss_and_gradients(parameters, x, t)
        assert isinstance(loss, float) and np.isfinite(loss)
        assert loss == module.loss(parameters, x, t)
        assert {name: (g.shape, g.dtype) for name, g in gradients.items()} == {
            name: (shape, dtype) for name, shape in module.PARAMETERS.items()
        }
        inputs = module.input_gradient(parameters, x, t)
        assert inputs.dtype == dtype and inputs.shape == x.shape
        state = module.init_optimizer(parameters)
        step = module.train_step(parameters, x, t, state)
        assert step == loss
        module.update(parameters, gradients, state)
        arrays = [*parameters.values(), *(v for v in state.values() if isinstance(v, np.ndarray))]
        assert {a.dtype for a in arrays} == {np.dtype(dtype)}


@pytest.mark.parametrize("seed", SOME)
def test_gradients_change_nothing_and_calls_repeat_bit_by_bit(seed: int) -> None:
    one = built(seed)
    module = one.program.module
    parameters = module.init_parameters(1, np.float64)
    x, t = batch(one, 5)
    kept = {name: value.copy() for name, value in parameters.items()}, x.copy(), t.copy()
    loss, gradients = module.loss_and_gradients(parameters, x, t)
    first = {name: g.copy() for name, g in gradients.items()}
    y, inputs = module.predict(parameters, x), module.input_gradient(parameters, x, t)
    again, more = module.loss_and_gradients(parameters, x, t)
    other_x, other_t = batch(one, 5)[0][::-1].copy(), t[::-1].copy()
    module.loss_and_gradients(parameters, other_x, other_t)  # results are the caller's own
    assert loss == again
    for name, value in first.items():
        assert np.array_equal(value, gradients[name]) and np.array_equal(value, more[name])
        assert np.array_equal(parameters[name], kept[0][name])
    assert np.array_equal(y, module.predict(parameters, x))
    assert np.array_equal(inputs, module.input_gradient(parameters, x, t))
    assert np.array_equal(x, kept[1]) and np.array_equal(t, kept[2])


@pytest.mark.parametrize("seed", SOME)
def test_samples_do_not_see_each_other(seed: int) -> None:
    """A batch of one, of any other size, and the batches of an epoch with a short last one."""
    one = built(seed)
    module = one.program.module
    parameters = module.init_parameters(1, np.float64)
    x, t = batch(one, 7)
    whole = module.predict(parameters, x)
    for size in (1, 3, 7):
        parts = [module.predict(parameters, x[i : i + size]) for i in range(0, 7, size)]
        assert np.allclose(np.concatenate(parts), whole, rtol=1e-12, atol=1e-14)
    share = 1.0 if one.spec.loss.reduction == "sum" else 1 / 7
    losses = [module.loss(parameters, x[i : i + 1], t[i : i + 1]) for i in range(7)]
    penalty = one.spec.loss.l2 * sum(
        float((value**2).sum()) for name, value in parameters.items() if name.startswith("W")
    )
    mean = share * sum(loss - penalty for loss in losses) + penalty
    assert mean == pytest.approx(module.loss(parameters, x, t), rel=1e-12)


@pytest.mark.parametrize("loss", ("cross_entropy", "mse"))
def test_no_samples_at_all(loss: str) -> None:
    """Outputs of no samples are no outputs; a loss they do not have."""
    module = build(small_spec(loss=loss)).program.module
    parameters = module.init_parameters(0, np.float64)
    x, t = np.zeros((0, 5)), np.zeros(0, int) if loss == "cross_entropy" else np.zeros((0, 3))
    assert module.predict(parameters, x).shape == (0, 3)
    state = module.init_optimizer(parameters)
    for call in (module.loss, module.loss_and_gradients, module.input_gradient):
        with pytest.raises(ValueError, match="no samples"):
            call(parameters, x, t)
    with pytest.raises(ValueError, match="no samples"):
        module.train_step(parameters, x, t, state)
    assert state["step"] == 0


def test_a_wrong_batch_is_refused() -> None:
    labels = plain_program().program.module
    values = build(small_spec("sigmoid", "mse")).program.module
    parameters = labels.init_parameters(0)
    x = np.zeros((2, 5), np.float32)
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\); expected \(N, 5\)"):
        labels.predict(parameters, x[:, :4])
    with pytest.raises(ValueError, match=r"expected .* integer labels"):
        labels.loss(parameters, x, np.zeros(2))
    with pytest.raises(ValueError, match=r"expected .* integer labels"):
        labels.loss(parameters, x, np.zeros(3, int))
    with pytest.raises(ValueError, match=r"t has shape \(2,\); expected \(2, 3\)"):
        values.train_step(parameters, x, np.zeros(2), {})


def test_parameters_are_views_of_one_vector() -> None:
    module = plain_program().program.module
    parameters = module.init_parameters(0, np.float64)
    (vector,) = {id(p.base): p.base for p in parameters.values()}.values()
    assert vector.shape == (sum(p.size for p in parameters.values()),)
    vector[:] = 7
    assert all((p == 7).all() for p in parameters.values())


def test_starting_values() -> None:
    """A seed decides; initializers have their spread; explicit values are kept."""
    one = build(random_spec(3))
    first, again = one.program.init_parameters(5, np.float64), one.program.init_parameters(5, np.float64)
    other = one.program.init_parameters(6, np.float64)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
    spreads = {
        "glorot_uniform": 2 / 500, "glorot_normal": 2 / 500, "he_uniform": 2 / 200, "he_normal": 2 / 200,
        "lecun_uniform": 1 / 200, "lecun_normal": 1 / 200, "uniform(-1, 2)": 9 / 12, "normal(0, 0.5)": 0.25,
    }  # fmt: skip
    for init, variance in spreads.items():
        text = small_spec(tail="").replace("shape = [5]", "shape = [200]").replace("units = 4", "units = 300")
        text = text.replace('activation = "tanh"', f'activation = "tanh"\ninit = "{init}"')
        parameters = build(text).program.init_parameters(0, np.float64)
        assert parameters["W1"].var() == pytest.approx(variance, rel=0.05), init
        assert not parameters["b1"].any()


# ---- The file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SOME)
def test_the_file_imports_numpy_and_the_standard_library(seed: int) -> None:
    tree = ast.parse(built(seed).code)
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert imported - set(sys.stdlib_module_names) == {"numpy"}


@pytest.mark.parametrize(("last", "loss"), (("softmax", "cross_entropy"), ("sigmoid", "mse")))
def test_the_file_trains_from_the_command_line(last: str, loss: str, tmp_path: Path) -> None:
    path = tmp_path / "numpy_trainer.py"
    path.write_text(build(small_spec(last, loss, optimizer="momentum")).code, encoding="utf-8")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 5)).astype(np.float32)
    labels = x[:, :3].argmax(axis=1)
    t = labels if loss == "cross_entropy" else np.eye(3, dtype=np.float32)[labels]
    np.savez(tmp_path / "data.npz", x_train=x[:90], t_train=t[:90], x_test=x[90:], t_test=t[90:])
    command = [sys.executable, "-W", "error", str(path), "--data", "data.npz", "--epochs", "2", "--seed", "0"]
    runs = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False) for _ in range(2)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert runs[0].stdout == runs[1].stdout and not runs[0].stderr
    losses = [float(value) for value in re.findall(r"epoch \d: loss (\S+?),", runs[0].stdout)]
    assert len(losses) == 2 and losses[1] < losses[0]
    assert runs[0].stdout.count("test loss") == 2
    assert runs[0].stdout.count("test accuracy") == (2 if loss == "cross_entropy" else 0)


REPRODUCE = """
import hashlib, json, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from chainrule.codegen.generate import generate
from chainrule.spec.load import load_spec, parse_spec
from random_specs import random_spec
specs = [load_spec(path) for path in sorted(Path(sys.argv[1], "examples").glob("*.toml"))[:3]]
specs += [parse_spec(random_spec(seed), "spec.toml") for seed in (0, 1, 2, 3, 21)]
files = {f"{spec.name}/{name}": text for spec in specs for name, text in generate(spec).files.items()}
print(json.dumps({name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}))
"""


def test_generation_is_the_same_in_every_process() -> None:
    """Byte for byte, whatever the seed of Python's hashes is."""
    found = []
    for seed in ("0", "31415"):
        done = subprocess.run(
            [sys.executable, "-c", REPRODUCE, str(ROOT), str(ROOT / "tests")],
            env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert len(found[0]) == 24
    here = generate(load_spec(ROOT / "examples" / "and.toml"))
    for name, text in here.files.items():
        assert found[0][f"{here.name}/{name}"] == hashlib.sha256(text.encode()).hexdigest()


HOSTILE = (
    '"""', '""""""', '"', "\\", "\\N{BULLET}", '\\"""\nimport os\nos.abort()\n"""', "*/ int main() {", "'''",
    "a\nb\r\nc\u2028d\u0085e\x0c", "# (3)", "{{ 7 * 7 }} {% raw %}", "</script><script>",
    "${PATH} %s %(x)s {0}", "\u202egnp.exe", "\\write18{rm} \\input{x} \\end{document}", "\ufeff\u200b",
    'ends with quotes""',
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_description_is_text_and_nothing_else(text: str) -> None:
    """The program is the same tree of statements as without a description, but for its docstring."""
    plain = plain_program()
    described = build(small_spec(head=f'name = "small"\ndescription = {json.dumps(text)}'))
    assert described.spec.description == text
    assert statements(described.code) == statements(plain.code)
    assert len(described.code.splitlines()) - len(plain.code.splitlines()) in (0, 2)
    assert lines_of(described) == {
        n: [line + 2 for line in found] for n, found in lines_of(plain).items()
    } or (lines_of(described) == lines_of(plain))


@pytest.mark.parametrize(
    "filename", ('a""".toml', "a\\.toml", 'x"""\nimport os\n"""y.toml', "a (3)", "ü*/#.toml")
)
def test_the_name_of_the_file_is_text_and_nothing_else(filename: str) -> None:
    plain, named = plain_program(), build(small_spec(), filename)
    assert statements(named.code) == statements(plain.code)
    assert len(named.code.splitlines()) == len(plain.code.splitlines())


def test_hostile_names_of_formulas_and_constants() -> None:
    """Names that stand elsewhere in the program, and a formula's own text, do not alter what it does."""
    plain = build(small_spec(hidden="swish"))
    for name in ("forward", "views", "real", "W1", "z1", "exp1", "N", "np", "p", "sigmoid2"):
        text = small_spec(hidden=name, tail=f'\n[activations.{name}]\nformula = "\\n x\\t/ (1 + exp(-x))"\n')
        try:
            one = build(text)
        except ValueError as refused:
            assert name in str(refused)
            continue
        assert statements(one.code) == statements(plain.code), name


def statements(code: str) -> str:
    """The program without comments, without its own docstring and the hash of its spec."""
    tree = ast.parse(re.sub(r'(?m)^SPEC = "[0-9a-f]{64}"$', "", code))
    assert isinstance(tree.body[0], ast.Expr)
    assert isinstance(tree.body[1], ast.Import)
    return ast.dump(ast.Module(tree.body[1:], []))


def lines_of(one: Built) -> dict[int, list[int]]:
    return {e["number"]: e["lines"]["numpy_trainer.py"] for e in one.program.manifest["equations"]}


@pytest.mark.parametrize("seed", SOME)
def test_every_equation_has_its_lines(seed: int) -> None:
    """Each line that the manifest names ends with its number, and the first one says the equation."""
    one = built(seed)
    code = one.code.splitlines()
    seen: set[int] = set()
    for equation in one.program.manifest["equations"]:
        lines = equation["lines"]["numpy_trainer.py"]
        assert lines, f"({equation['number']}) {equation['text']} has no line"
        assert lines == sorted(lines) and not seen & set(lines)
        seen |= set(lines)
        for line in lines:
            assert code[line - 1].endswith(f"({equation['number']})")
        assert equation["matrix_text"] in code[lines[0] - 1]
    numbered = {n for n, line in enumerate(code, 1) if re.search(r" # .*\(\d+\)$", line)}
    assert numbered == seen


def test_the_manifest_says_what_the_program_is() -> None:
    one = plain_program()
    manifest = one.program.manifest
    spec = parse_spec(small_spec(), "spec.toml")
    assert manifest["spec"] == {"file": "spec.toml", "sha256": spec.sha256}
    assert [(p["name"], tuple(p["shape"])) for p in manifest["parameters"]] == list(
        one.program.module.PARAMETERS.items()
    )
    assert manifest["target"] == {"kind": "labels"} and manifest["classification"] is True
    assert manifest["optimizer"]["type"] == "adam" and manifest["optimizer"]["beta2"] == 0.999
    assert manifest["files"]["numpy_trainer.py"] == hashlib.sha256(one.code.encode()).hexdigest()
