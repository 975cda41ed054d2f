"""A slice of bench/fuzz: hostile parameters, checkpoints and folders of runs, through the command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.fuzz import finished_run, run_folders, safetensors
from bench.fuzz.harness import run

COUNT = 40


@pytest.fixture(scope="module", autouse=True)
def finished() -> Iterator[None]:
    with finished_run.spared():
        finished_run.base()
        yield


@pytest.mark.parametrize("campaign", [safetensors, run_folders])
def test_hostile_files_are_read_or_refused(campaign: object) -> None:
    found = list(run(campaign.make, campaign.check, range(COUNT)))
    assert [(each.number, each.word, each.detail) for each in found if each.fault] == []
    assert {each.word for each in found} == {"read", "refused"}


def test_a_fault_is_found() -> None:
    """The check of the command's answer is one that can fail."""
    for arguments, where in (
        (("list",), "cli.listing.listing"),
        (("schema",), "spec.json_schema"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"chainrule.{where}", lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                finished_run.derive(finished_run.base(), arguments)
