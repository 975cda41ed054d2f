"""Errors of the runtime; each knows the exit code of the command that meets it."""

from __future__ import annotations


class RuntimeFault(Exception):
    """A user's mistake or a fault of the surroundings: one message with the place and the remedy."""

    exit_code = 1


class RunError(RuntimeFault):
    """Bad usage or a bad file: a manifest, a program, a run folder, saved parameters."""

    exit_code = 2


class DataError(RuntimeFault):
    """Data that are missing, corrupt or do not fit the network."""

    exit_code = 3


class DeviceError(RuntimeFault):
    """A GPU, its driver or CuPy is missing, or a compiler."""

    exit_code = 3


class TrainingStopped(RuntimeFault):
    """The loss became NaN or infinite; the last good parameters are saved, `result` has the rest."""

    exit_code = 1

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class EditedProgramWarning(UserWarning):
    """A generated file differs from the hash that its manifest records."""
