"""What a command loads: as little as its answer needs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMAND = """import sys
from chainrule.cli.main import main
sys.argv[1:] = {arguments!r}
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
ENGINE = {"chainrule.derive.backward", "chainrule.derive.deriving"}


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--help"], {"sympy", "numpy", "hashlib", "difflib", "chainrule.cli.cache"}),
        (
            [str(ROOT / "examples/mnist_mlp.toml")],
            {"numpy", "jinja2", "chainrule.lectures.model", "chainrule.codegen.lower"},
        ),
        (["mse"], {"numpy", "jinja2", *ENGINE}),
        (["adam"], {"numpy", "jinja2", *ENGINE}),
        (["gradient-descent", "--format", "text"], {"numpy", "chainrule.present.mathml"}),
    ],
    ids=lambda value: Path(value[0]).stem if isinstance(value, list) else "",
)
def test_a_command_loads_no_more_than_it_needs(arguments: list[str], without: set[str]) -> None:
    code = COMMAND.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert without & set(done.stderr.split()) == set()


def test_what_is_listed_here_is_loaded_where_it_is_needed() -> None:
    """The names above are those of modules: none of them could be misspelt."""
    loaded = COMMAND.format(arguments=["check", str(ROOT / "examples/mnist_mlp.toml")])
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    needed = {"sympy", "numpy", "hashlib", "chainrule.cli.cache", "chainrule.codegen.lower", *ENGINE}
    assert needed - set(done.stderr.split()) == set()
