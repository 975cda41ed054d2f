"""Where a network comes from: a spec file, the text of one, a mapping, or a derivation made before."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from chainrule.derive.derivation import Derivation
from chainrule.derive.deriving import derive_network
from chainrule.derive.model import Spec
from chainrule.spec import load_spec, parse_spec

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Derivation
TEXT = "spec.toml"  # what messages call a spec that is in no file


def spec_of(source: Source) -> Spec:
    """Return the checked spec of a source; a string of more than a line is the text of one.

    Raises SpecError, and TypeError for what is no source.
    """
    if isinstance(source, Derivation):
        return source.network.spec
    if isinstance(source, Mapping):
        return parse_spec(toml_of(source), TEXT)
    file = _file(source)
    if file is not None:
        return load_spec(file)
    if isinstance(source, str):
        return parse_spec(source, TEXT)
    raise TypeError(
        f"a {type(source).__name__} is no network: give a path, a spec's text, a mapping or a derivation"
    )


def derivation_of(source: Source) -> Derivation:
    """Return the derivation of a source.  Raises SpecError, CannotDifferentiate."""
    return source if isinstance(source, Derivation) else derive_network(spec_of(source))


def path_of(source: Source) -> Path:
    """Return the file of a source, from whose folder its paths start; else one in the current folder."""
    return _file(source) or Path(TEXT)


def _file(source: Source) -> Path | None:
    """Return the file that a source names, None for one that is in none."""
    if isinstance(source, os.PathLike) or (isinstance(source, str) and "\n" not in source):
        return Path(source)
    return None


def toml_of(table: Mapping[str, Any]) -> str:
    """Return a mapping as the text of a spec, a line for each key at its top.

    >>> print(toml_of({"name": "net", "input": {"shape": [2]}, "layers": [{"type": "tanh"}]}), end="")
    "name" = "net"
    "input" = {"shape" = [2]}
    "layers" = [{"type" = "tanh"}]

    Raises TypeError for a value that TOML does not have.
    """
    return "".join(f"{_text(str(key))} = {_value(value)}\n" for key, value in table.items())


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case numbers.Integral():
            return str(int(value))
        case numbers.Real():
            return repr(float(value))
        case str():
            return _text(value)
        case Mapping():
            return f"{{{', '.join(f'{_text(str(key))} = {_value(each)}' for key, each in value.items())}}}"
        case Sequence():
            return f"[{', '.join(map(_value, value))}]"
        case _ if hasattr(value, "tolist"):  # an array
            return _value(value.tolist())
    raise TypeError(f"{value!r}: a spec holds texts, numbers, true and false, lists and mappings")
