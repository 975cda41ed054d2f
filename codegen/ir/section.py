"""The sections of a training program: what a statement belongs to, and which of them run together."""

from __future__ import annotations

from enum import StrEnum


class Section(StrEnum):
    """A part of a training program, of which targets make a function.

    ``EVALUATION`` is the way forward when not training (empty where it is ``FORWARD``), ``STATISTICS`` the
    change of running means and such, ``INPUT_GRADIENT`` what leads to the gradient of the input alone.
    """

    FORWARD = "forward"
    EVALUATION = "evaluation"
    LOSS = "loss"
    BACKWARD = "backward"
    STATISTICS = "statistics"
    INPUT_GRADIENT = "input_gradient"
    UPDATE = "update"


# In the order in which they run:
IN_STEP = (Section.FORWARD, Section.LOSS, Section.BACKWARD, Section.STATISTICS, Section.UPDATE)
EVALUATION = (Section.EVALUATION, Section.LOSS)
ON_BATCH = (*IN_STEP[:-1], Section.INPUT_GRADIENT)  # what may run on one batch, and share its memory

FORWARDS = (Section.FORWARD, Section.EVALUATION)  # in either mode
BACKWARDS = (Section.BACKWARD, Section.INPUT_GRADIENT)
IN_WORKSPACE = (*FORWARDS, Section.LOSS, Section.BACKWARD, Section.STATISTICS)  # what any step may store
