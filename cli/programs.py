"""Programs that are loaded: one in a folder that is removed again, one that its reader may have edited."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import click

from chainrule.cli.specs import generated_for
from chainrule.codegen.folder import write
from chainrule.derive.model import Spec
from chainrule.runtime.errors import EditedProgramWarning
from chainrule.runtime.program import Program, load_program


@contextlib.contextmanager
def scratch_program(spec: Spec) -> Iterator[Program]:
    """Give a spec's program, generated into a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield load_program(write(generated_for(spec), Path(folder), force=True))


@contextlib.contextmanager
def edits_told() -> Iterator[None]:
    """Say on stderr, in a line, that a program which is loaded within was edited."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", EditedProgramWarning)
        yield
    for each in noted:
        click.echo(str(each.message), err=True)
