"""The check of the program's gradients, with a sign of life while it runs, and its table."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from chainrule.cli.handout.markup import formula
from chainrule.codegen.folder import Generated
from chainrule.derive.index import cotangent
from chainrule.derive.model import Spec
from chainrule.derive.prose import Prose, _, say
from chainrule.present.tree import Ref
from chainrule.running import gradient_report
from chainrule.runtime.gradreport import INTERPRETER, LOSS, OUTPUT, GradientReport

EVERY = 5.0  # seconds between two signs of life
VERDICTS: dict[str, Prose] = {
    "pass": _("good"),
    "fail": _("wrong"),
    "not exercised": _("not exercised"),
    "0 by derivation": _("0 by derivation"),
}


@dataclass(frozen=True)
class Checked:
    """A tensor at a point of the check, as the table shows it."""

    stage: str
    tensor: Markup
    shape: str
    checked: str
    nonzero: str
    worst: str
    tolerance: str
    verdict: str
    style: str


def checked(spec: Spec, generated: Generated) -> GradientReport:
    """Return the check of every gradient of a spec's program, as ``derive gradcheck`` makes it."""
    with alive(f"{spec.name}: checking gradients"):
        return gradient_report(spec, lambda _spec, _targets: generated)


@contextlib.contextmanager
def alive(what: str) -> Iterator[None]:
    """Say on stderr, now and then, that work goes on and for how long."""
    done, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(EVERY):
            print(f"{what}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def rows(report: GradientReport) -> tuple[Checked, ...]:
    """Return the lines of the table, in the reader's language."""
    return tuple(
        Checked(
            say(_("at the start") if row.stage == "initial" else _("after some steps of training")),
            _subject(row.tensor),
            " × ".join(map(str, row.shape)),
            f"{row.sampled:,}",
            f"{row.nonzero:,}",
            f"{row.worst_error:.1e}",
            f"{row.tolerance:.0e}",
            say(VERDICTS.get(row.verdict, row.verdict)),
            "good" if row.passed else "bad",
        )
        for row in report.rows
    )


def _subject(tensor: str) -> Markup:
    """What a row is about: the gradient of a tensor, or a value of the program held against the equations."""
    words = {LOSS: _("the loss"), OUTPUT: _("the output")}
    return Markup(escape(say(words[tensor]))) if tensor in words else formula(Ref(cotangent(tensor)))  # noqa: S704


def summary(report: GradientReport) -> Prose:
    """Return what the check did and found, in a sentence."""
    good = sum(row.passed for row in report.rows)
    by_equations = all(row.loss == INTERPRETER for row in report.rows)
    source = _("the interpreter of the equations") if by_equations else _("the program")
    values = {"good": good, "all": len(report.rows), "source": source}
    return _(
        "Every gradient of the program against central differences of the loss, which {source} gives: "
        "{good} of {all} checks good. The error is |a − n| / (|a| + |n|), a by the program, n by "
        "differences; loss and output of the program are held against the equations.",
        **values,
    )
