"""Where the command ``derive`` begins and ends: its streams, its faults and their exit codes.

Nothing but the standard library is imported before `main` runs, so that Ctrl-C finds it ready at any time.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import os
import signal
import sys
from typing import Final, NoReturn

BAD_FILE: Final = 2
INTERRUPTED: Final = 130
READER_GONE: Final = 128 + signal.SIGPIPE  # `derive … | head -1`: what a shell reports of other commands
MANY: Final = 100_000  # objects between two looks for garbage: what a command makes, it mostly keeps
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)
# The errors that are a user's to mend, of the packages that have been imported.
FAULTS: Final = {
    "chainrule.spec.problems": ("SpecError",),
    "chainrule.formula.parser": ("FormulaError",),
    "chainrule.derive.differentiate": ("CannotDifferentiate",),
    "chainrule.present.numbers": ("NumbersError",),
    "chainrule.codegen.folder": ("OutputRefused",),
    "chainrule.codegen.lower.lowering": ("LoweringError",),
    "chainrule.cli.typeset": ("NoTypesetting",),
    "chainrule.runtime.errors": ("RuntimeFault",),
}


def main() -> NoReturn:
    """Run the command; a user's mistake is one message and an exit code, never a traceback."""
    gc.set_threshold(MANY)
    atexit.register(gc.freeze)  # nor is there anything to look for at the end
    try:
        code = _open_streams() or _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("interrupted")
        code = INTERRUPTED
    except OSError as error:
        code = _failed(error)
    sys.exit(code)


def _open_streams() -> int:
    """Make stdin, stdout and stderr usable, whatever this process was given; return 2 without a stdout.

    A closed one becomes the null device, so that no file takes its number; letters that an encoding lacks
    are escaped.
    """
    closed = sys.stdout is None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w")  # noqa: SIM115 - for the rest of the process
    if closed:
        sys.stdout = open(1, "w")  # noqa: SIM115
        _say("standard output is closed: send it to a file, or to /dev/null")
        return BAD_FILE
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return 0


def _run() -> int:
    """Run the command and return its exit code.  Raises OSError, KeyboardInterrupt."""
    import click

    from chainrule.cli.commands import derive

    if "_DERIVE_COMPLETE" in os.environ:  # what a shell asks for
        derive.main(prog_name="derive")
    try:
        with derive.make_context("derive", sys.argv[1:]) as context:
            derive.invoke(context)
        return 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        if not isinstance(error, _faults()):
            raise
        _say(str(error))
        return int(getattr(error, "exit_code", BAD_FILE))


def _faults() -> tuple[type[Exception], ...]:
    modules = ((sys.modules.get(module), names) for module, names in FAULTS.items())
    return tuple(
        getattr(module, name) for module, names in modules for name in names if hasattr(module, name)
    )


def _failed(error: OSError) -> int:
    """Say which file failed, or the output, and return the exit code; nothing more is written to stdout."""
    if error.filename is None and (isinstance(error, BrokenPipeError) or error.errno in FULL):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return READER_GONE
    where = error.filename or ("standard output" if error.errno in FULL else "a file")
    _say(f"{os.fsdecode(where) if isinstance(where, bytes) else where}: {error.strerror or error}")
    return BAD_FILE


def _say(text: str) -> None:
    """Print a line on stderr, if anybody can still read that."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
