"""The check of the program's gradients, with a sign of life while it runs, and its table."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from cli.handout.markup import formula
from cli.running import scratch_program
from derive.index import cotangent
from derive.present.tree import Ref
from derive.prose import Prose, _, say
from derive.spec.model import Spec
from runtime.gradcheck import check_gradients
from runtime.gradreport import GradientReport

EVERY = 5.0  # seconds between two signs of life
VERDICTS: dict[str, Prose] = {
    "pass": _("good"),
    "fail": _("wrong"),
    "not exercised": _("not exercised"),
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


def checked(spec: Spec) -> GradientReport:
    """Return the check of every gradient of a spec's program, as ``derive gradcheck`` makes it."""
    with scratch_program(spec) as program, alive(f"{spec.name}: checking gradients"):
        return check_gradients(program)


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
            formula(Ref(cotangent(row.tensor))),
            " × ".join(map(str, row.shape)),
            f"{row.sampled:,}",
            f"{row.nonzero:,}",
            f"{row.worst_error:.1e}",
            f"{row.tolerance:.0e}",
            say(VERDICTS.get(row.verdict, row.verdict)),
            "good" if row.verdict == "pass" else "bad",
        )
        for row in report.rows
    )


def summary(report: GradientReport) -> Prose:
    """Return what the check did and found, in a sentence."""
    good = sum(row.verdict == "pass" for row in report.rows)
    values = {"good": good, "all": len(report.rows)}
    return _(
        "Every gradient of the program against central differences of its loss, in double precision: "
        "{good} of {all} checks good. The error is |a − n| / (|a| + |n|), a by the program, n by "
        "differences.",
        **values,
    )
