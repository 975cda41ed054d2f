"""References and reasons: "from (n)" names what was used, and no derivative in prose is written by hand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tracked_files import PACKAGES, ROOT, tracked

from chainrule import topic
from chainrule.derive.deriving import derive_network
from chainrule.derive.index import cotangent, primal
from chainrule.derive.numbering import NumberedEquation
from chainrule.lectures import TOPICS
from chainrule.present.page import Entry
from chainrule.present.text import write
from chainrule.present.tree import Leaf, Node, Ref, Slope, children
from chainrule.spec import load_spec, parse_spec

SPECS = sorted((ROOT / "examples").glob("*.toml"))


# ---- P1: networks ----------------------------------------------------------------------------------


def objections(equations: tuple[NumberedEquation, ...], given: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with the references of a derivation."""
    for e in equations:
        refs = [equations[number - 1] for number in e.because]
        if len(set(e.because)) != len(e.because) or any(ref.number >= e.number for ref in refs):
            yield f"{e}: {e.because} are not earlier equations, each once"
        if e.role == "update":
            continue
        before = [other for other in equations[: e.number - 1] if other.mode in ("both", "training", e.mode)]
        reads = {*e.equation.reads(), *e.computed.reads()} - given
        for name in reads:
            if not any(ref.symbol == name for ref in refs) and any(b.symbol == name for b in before):
                yield f"{e}: {name} is read, and no reference defines it: {e.because}"
        if e.role == "backward" and e.equation.right != 0 and not _differentiates(e, refs):
            yield f"{e}: {e.because} does not begin with what was differentiated"
        whole = any(ref.shown_only for ref in refs)  # a compact form of a long one
        for ref in refs:
            if not whole and ref.symbol not in reads and not _leads(ref, e, refs):
                yield f"{e}: ({ref.number}) has nothing to do with it"


def _differentiates(e: NumberedEquation, refs: list[NumberedEquation]) -> bool:
    """The first reference is what was differentiated, from the cotangent that is read, or its long form."""
    first = refs[0] if refs else e
    if first.shown_only:
        of = primal(first.symbol)
        return first.symbol == e.symbol or any(ref.symbol == of and _leads(ref, e, refs) for ref in refs)
    seeded = first.role == "loss" or cotangent(first.symbol) in e.equation.reads()
    return seeded and _leads(first, e, refs)


def _leads(ref: NumberedEquation, e: NumberedEquation, refs: list[NumberedEquation]) -> bool:
    """Whether a forward equation reads what the cotangent is of, or what another reference makes of that."""
    of = primal(e.symbol)
    if ref.role not in ("forward", "loss"):
        return False
    reads = {*ref.equation.reads(), *ref.computed.reads()}
    return of in reads or any(r is not ref and r.symbol in reads and _leads(r, e, refs) for r in refs)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_p1_what_was_differentiated_comes_first(path: Path) -> None:
    derivation = derive_network(load_spec(path))
    assert list(objections(derivation.equations, derivation.network.given)) == []


def test_p1_of_every_layer() -> None:
    layers = ["layer_norm", "batch_norm", 'dropout"\nrate = 0.5\n#"', "gelu", "softplus"]
    layers += ['maxout"\nunits = 3\n#"', "softmax"]
    dense = '[[layers]]\ntype = "dense"\nunits = 3\n'
    tables = dense.join(f'[[layers]]\ntype = "{each}"\n' for each in layers)
    text = f'spec_version = 1\nname = "many"\n[input]\nshape = [3]\n{dense}{tables}{dense}'
    derivation = derive_network(parse_spec(text + '[loss]\ntype = "mse"\nl2 = 0.1\n', "all.toml"))
    assert list(objections(derivation.equations, derivation.network.given)) == []


def test_p1_a_reference_left_out_is_noticed() -> None:
    derivation = derive_network(load_spec(SPECS[0]))
    given = derivation.network.given
    for e in derivation.role("backward"):
        for kept in range(len(e.because)):
            fewer = tuple(n for at, n in enumerate(e.because) if at != kept)
            changed = [*derivation.equations]
            changed[e.number - 1] = type(e)(**{**vars(e), "because": fewer})
            assert list(objections(tuple(changed), given)), f"{e} without ({e.because[kept]})"


# ---- P2: topics ------------------------------------------------------------------------------------

GIVENS: dict[str, tuple[str, ...]] = {
    "softmax": ("z=1, 2, 3",),
    "softmax-cross-entropy": ("z=1, 2, 3", "t=0, 1, 0"),
    "cross-entropy": ("p=0.2, 0.7", "y=0, 1"),
    "logistic": ("x=1, 2", "y=0, 1"),
    "backprop-chain": ("x=0.5",),
    "forward-3-2-3": ("x=1, 2, 3",),
    "sigmoid": ("x=1, -2",),
    "elu": ("x=1, -2",),
    "swish": ("x=0.5",),
}


def letter(side: Node) -> str:
    """Return what a side is of, without its place: ∂E/∂x for ∂E/∂x[n]."""
    return re.sub(r"\[[^\]]*\]", "", write(side))


def symbols(side: Node) -> set[str]:
    """Return what stands on a side: tensors, letters and derivatives."""
    if isinstance(side, Slope):
        return {letter(side)}
    if isinstance(side, Ref):
        return {letter(side)}
    if isinstance(side, Leaf):
        return {side.text} if side.text[:1].isalpha() else set()
    return set().union(*map(symbols, children(side)))


def numeric(entry: Entry) -> bool:
    return not symbols(entry.line.right)


def faults(entries: tuple[Entry, ...], alone: int = 0) -> Iterator[str]:
    """Yield what is wrong with the references of a topic's steps, or of one ``alone``."""
    for e in entries[alone - 1 : alone] if alone else entries:
        refs = [entries[number - 1] for number in e.because]
        shown = f"({e.number}) {write(e.line.left)}"
        if len(set(e.because)) != len(e.because) or any(ref.number >= e.number for ref in refs):
            yield f"{shown}: {e.because} are not earlier steps, each once"
        if not e.symbol.endswith(", worked"):
            continue
        if not refs or numeric(refs[0]):
            if any(
                letter(f.line.left) == letter(e.line.left) and not numeric(f) for f in entries[: e.number - 1]
            ):
                yield f"{shown}: {e.because} does not begin with a formula"
            continue
        formula, values = refs[0], refs[1:]
        left, own = letter(formula.line.left), letter(e.line.left)
        if isinstance(e.line.left, Slope) and not isinstance(formula.line.left, Slope):
            if letter(e.line.left.by) not in symbols(formula.line.right):  # what was differentiated
                yield f"{shown}: ({formula.number}) does not read {letter(e.line.left.by)}"
            continue
        if left.partition("/")[2] != own.partition("/")[2] or ("/" not in own and left != own):
            yield f"{shown}: ({formula.number}) is of {left}"
        needed = symbols(formula.line.right)
        there = {letter(other.line.left) for other in entries[: e.number - 1] if numeric(other)}
        named = {letter(ref.line.left) for ref in values}
        for missing in sorted(needed & there - named):
            yield f"{shown}: the numbers of {missing} are used, and not named in {e.because}"
        for other in sorted(named - needed):
            yield f"{shown}: {other} is named in {e.because}, and not used"


@pytest.mark.parametrize(
    "name", [name for name in TOPICS if name != "errata"]
)  # those have none of their own
def test_p2_a_step_in_numbers_names_its_formula_and_its_numbers(name: str) -> None:
    assert list(faults(topic(name, GIVENS.get(name, ())).entries)) == []


def test_p2_a_wrong_reference_is_noticed() -> None:
    """Every reference of a step in numbers, left out or to the step after it, is an objection."""
    entries = topic("batch-norm").entries
    for e in entries:
        if e.symbol.endswith(", worked") and not numeric(entries[e.because[0] - 1]):
            for kept in range(len(e.because)):
                fewer = tuple(n for at, n in enumerate(e.because) if at != kept)
                changed = [*entries]
                changed[e.number - 1] = replace(e, because=fewer)
                lost = letter(entries[e.because[kept] - 1].line.left)
                alike = any(letter(entries[n - 1].line.left) == lost for n in fewer[kept > 0 :])
                assert alike or list(faults(tuple(changed), e.number)), (
                    f"({e.number}) without ({e.because[kept]})"
                )


def test_p2_a_reason_names_the_rewrites_that_show() -> None:
    shown = [entry.rule for entry in topic("gelu").entries]
    assert shown == ["definition", "chain rule", "simplified"]
    assert "logistic function" in topic("swish").entries[-1].rule


# ---- P7, P8: what reasons say ----------------------------------------------------------------------

BY_HAND = (
    re.compile(r"(′|'(?=\s*=))(\([^)]*\))?\s*=(?!\s*\{)"),  # σ′ = a(1 − a)
    re.compile(r"[∂d]\S*/[∂d]\w[^\s:;,]*\s*=(?!\s*(\{|0\b))"),  # ∂x̂/∂x = 1/√(v + ε)
    re.compile(r"\bderivative of [^.;:,{}]* is (?!\{|0[;,]|chosen)"),  # the derivative of ε² is 2ε
    re.compile(r"\bderived: |whose derivative"),
)


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module that are no docstrings, with their lines."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    raised = {id(each) for node in ast.walk(tree) if isinstance(node, ast.Raise) for each in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in raised:
            parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in docstrings | raised | skipped:
            yield node.lineno, str(node.value)


def by_hand(source: str) -> list[str]:
    return [f"{line}: {text}" for line, text in prose(source) if any(p.search(text) for p in BY_HAND)]


TOLD = tracked(*(f"{package}/*.py" for package in PACKAGES))


@pytest.mark.parametrize("path", TOLD, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_p8_no_sentence_states_a_derivative_by_hand(path: Path) -> None:
    assert by_hand(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "(u²/2)′ = u",
        "σ′ = a(1 − a)",
        "only the term k has a_k in it; (log u)′ = 1/u",
        "∂x̂_n/∂x_n = 1/√(v + ε)",
        "∂z_k/∂b_k = 1: the same",
        "quotient rule (u/v)′ = (u′v − uv′)/v²",
        "chain rule: the derivative of ε² is 2ε",
        "(v + ε)^(−1/2) derived: −1/2 (v + ε)^(−3/2)",
        "for E = Σ y, so that ∂E/∂y = 1 everywhere",
        "log(1 + e^x), whose derivative is σ",
        "dS/dz = S (1 − S)",
    ],
)
def test_p8_a_derivative_by_hand_is_found(text: str) -> None:
    assert by_hand(f"rule = _({text!r})")
    assert by_hand(f"rule = f{text!r}")


def test_p7_what_is_said_of_others_is_what_they_do() -> None:
    """PyTorch, Flax, Keras and MyGrad give the first of equals all of it; MLX and tinygrad share it."""
    (note,) = topic("pooling").notes
    assert "PyTorch, Flax, Keras and MyGrad; MLX and tinygrad share" in note
    for path in [*TOLD, ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert "the frameworks do" not in path.read_text(encoding="utf-8"), path
