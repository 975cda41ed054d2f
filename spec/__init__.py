"""The spec file: TOML in, a checked ``Spec`` or every problem with its place out."""

from chainrule.spec.documents import field_documentation, json_schema
from chainrule.spec.initializers import Initializer, parse_initializer
from chainrule.spec.load import load_spec, parse_spec
from chainrule.spec.problems import Problem, SpecError
from chainrule.spec.starters import starter

__all__ = [
    "Initializer",
    "Problem",
    "SpecError",
    "field_documentation",
    "json_schema",
    "load_spec",
    "parse_initializer",
    "parse_spec",
    "starter",
]
