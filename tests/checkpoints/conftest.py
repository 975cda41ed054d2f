"""The small program that tests of checkpoints run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from checkpoints.runs_of_small import SPEC

from chainrule.derive.library import OPTIMIZERS
from chainrule.programs import scratch_program
from chainrule.runtime.program import LoadedProgram
from chainrule.spec.load import parse_spec


@pytest.fixture(scope="module", params=[*OPTIMIZERS])
def program(request: pytest.FixtureRequest) -> Iterator[LoadedProgram]:
    with scratch_program(parse_spec(SPEC.replace("OPTIMIZER", request.param), "small.toml")) as found:
        yield found


@pytest.fixture(scope="module")
def adam() -> Iterator[LoadedProgram]:
    with scratch_program(parse_spec(SPEC.replace("OPTIMIZER", "adam"), "small.toml")) as found:
        yield found
