"""The words of the handout that stand on it whatever the network is."""

from __future__ import annotations

from typing import Final

from chainrule.derive.prose import Prose, _, say

WORDS: Final[dict[str, Prose]] = {
    "network": _("The network"),
    "notation": _("Notation"),
    "equations": _("Equations"),
    "program": _("The program"),
    "program_note": _("numpy_trainer.py as generated from this network; it needs NumPy and nothing else."),
    "pairing": _(
        "Point at an equation to see its lines of the program, or at a line to see its equations. Tap, or "
        "press Enter, to keep them lit; Escape lets go. The arrow keys walk."
    ),
    "where": _("Where"),
    "computed": _("computed as"),
    "by": _("by"),
    "shape": _("shape"),
    "gradients": _("Gradient check"),
    "run": _("A training run"),
    "symbol": _("Symbol"),
    "meaning": _("Meaning"),
    "tensor": _("Tensor"),
    "size": _("Shape"),
    "stage": _("Point"),
    "checked": _("Checked"),
    "nonzero": _("Not zero"),
    "worst": _("Greatest error"),
    "tolerance": _("Allowed"),
    "verdict": _("Verdict"),
    "close": _("Close"),
    "skip": _("Skip to the equations"),
    "contents": _("Contents"),
}


def words() -> dict[str, str]:
    """Return the words in the reader's language."""
    return {key: say(text) for key, text in WORDS.items()}
