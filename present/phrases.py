"""What the writers of all formats say around formulas, in the reader's language."""

from __future__ import annotations

from typing import Final

from chainrule.derive.prose import _, say
from chainrule.derive.rewrites import PICK
from chainrule.present.page import Entry

GIVEN: Final = _("Given")
WHERE: Final = _("Where")
NOTES: Final = _("Notes")
NOTE: Final = _("Note: {note}")
INDEX_FORM: Final = _("index form")
MATRIX_FORM: Final = _("matrix form")
SHAPE: Final = _("shape")
COMPUTED: Final = _("computed as {formula}")
OVER_WINDOWS: Final = _("over windows alone {formula} (by {rewrite})")
BY: Final = _("by {rewrites}")
SHAPED: Final = _("{reason}; shape {shape}")


def note(text: str) -> str:
    """Return a note as one: "Note: …"."""
    return say(NOTE).format(note=say(text))


def reason(entry: Entry) -> str:
    """Return why a line holds, and its shape."""
    if not entry.shape:
        return say(entry.reason)
    return say(SHAPED).format(reason=say(entry.reason), shape=entry.shape)


def computed_as() -> tuple[str, str]:
    """Return what is said before and after the form that programs compute."""
    before, _formula, after = say(COMPUTED).partition("{formula}")
    return before, after


def over_windows() -> tuple[str, str]:
    """Return what is said before and after a sum over the windows of a maximum."""
    before, _formula, after = say(OVER_WINDOWS).partition("{formula}")
    return before, after.format(rewrite=say(PICK.name))


def by(entry: Entry) -> str:
    """Return which rewrites gave the form that programs compute, "" if none did."""
    return say(BY).format(rewrites=say(entry.rewrites)) if entry.rewrites else ""
