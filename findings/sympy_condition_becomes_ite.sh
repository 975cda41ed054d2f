#!/usr/bin/env bash
# SymPy 1.14.0 turns a comparison with a Piecewise, as soon as it is the condition of another Piecewise, into ITE.
#
# p >= 0 with p = Piecewise((x, x > 0), (2*x + 1, True)) is an ordinary relation (GreaterThan, with lhs and rhs).  As the
# condition of a Piecewise it is ITE(x > 0, x >= 0, x >= -1/2): a Boolean function with three arguments that is neither
# a Relational nor And, Or, Not, so that code which walks the conditions of a Piecewise by rel_op meets an
# AttributeError; evaluate=False, which keeps other rewriting away, does not keep this one away.
# piecewise_fold joins the two and leaves relations alone.
#
# What follows for who takes Piecewise expressions apart: expect ITE, or fold first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sympy==1.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import sympy
from sympy import ITE, Piecewise, Symbol, piecewise_fold
from sympy.core.relational import Relational

x = Symbol("x", real=True)
inner = Piecewise((x, x > 0), (2 * x + 1, True))
relation = inner >= 0
print(f"sympy {sympy.__version__}: the comparison alone is {relation.func.__name__}")
assert isinstance(relation, Relational) and relation.lhs == inner
for evaluate in (True, False):
    condition = Piecewise((1, relation), (0, True), evaluate=evaluate).args[0][1]
    print(f"as a condition (evaluate={evaluate}): {condition}")
    assert isinstance(condition, ITE) and not isinstance(condition, Relational)
    assert not hasattr(condition, "rel_op")
folded = piecewise_fold(Piecewise((1, relation), (0, True)))
print("folded:", folded)
assert not folded.atoms(ITE)
PYTHON
