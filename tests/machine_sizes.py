"""NumPy programs for machines of other sizes: small networks run in pieces of the batch on small ones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import chainrule.codegen.targets.numpy as numpy_target
from chainrule.codegen.target import Target

SMALL_PIECES = {"sample": 1, "piece": 2**9, "rows": 1}  # with which small networks have loops, too


def numpy_with(**sizes: Any) -> Target:
    """The NumPy target, for a machine of these sizes."""
    target = numpy_target.TARGET
    return replace(target, machine=replace(target.machine, **sizes))


def generated_with(**sizes: Any) -> AbstractContextManager[Any]:
    """Within it, NumPy programs are generated for a machine of these sizes."""
    return patch.object(numpy_target, "TARGET", numpy_with(**sizes))
