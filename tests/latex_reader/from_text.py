"""Plain text as the tokens of LaTeX that says the same; every tensor and constant under a name of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chainrule.present import tree as t
from latex_reader.names import Names
from latex_reader.tokens import CannotRead

LOWER = dict(zip("ₙₘₖⱼᵢₗ", "nmkjil", strict=True))
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
BIG = {"Σ": r"\sum", "Π": r"\prod", "max": r"\max", "argmax": r"\operatorname*{argmax}"}
FUNCTIONS = {
    name: rf"\{name}" for name in ("log", "exp", "max", "min", "sin", "cos", "tan", "sinh", "cosh", "tanh")
} | {
    "σ": r"\sigma",
    "logcosh": r"\log\cosh",
}
SIMPLE = {
    "−": "-", "·": r"\cdot", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "←": r"\leftarrow", "π": r"\pi",
    "∧": r"\land", "∨": r"\lor",
}  # fmt: skip
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
WORD = re.compile(r"[A-Za-z_]\w*|σ")
LARGE = re.compile(r"(argmax|max|Σ|Π)(?:_\{([^}]*)\}|_([a-z0-9]+)|([ₙₘₖⱼᵢₗ]+)) ")


def text_names(tensors: Mapping[str, str], constants: Mapping[str, str]) -> Names:
    """Return names for texts: those of tensors by their text, those of constants by theirs."""
    names = Names()
    for text, symbol in tensors.items():
        names.tensors[(f"T{text}", "", "")] = t.Ref(symbol)
    names.letters |= {(f"C{text}", "", "") for text in constants}
    return names


def text_tokens(text: str, tensors: Mapping[str, str], constants: Mapping[str, str]) -> list[str]:
    """Return the tokens of a line; raises CannotRead for what no rule reads."""
    known = sorted((*tensors, *constants), key=len, reverse=True)
    found: list[str] = []
    place = 0

    def inside(closing: str) -> str:
        """Return what stands up to the bracket that closes, and go behind it."""
        nonlocal place
        depth, start = 1, place
        opening = {"]": "[", ")": "("}[closing]
        while depth:
            depth += {opening: 1, closing: -1}.get(text[place], 0)
            place += 1
        return text[start : place - 1]

    def group(mark: str, inner: str) -> list[str]:
        return [mark, "{", *text_tokens(inner, tensors, constants), "}"]

    while place < len(text):
        rest = text[place:]
        large = LARGE.match(rest)
        name = next((each for each in known if rest.startswith(each)), "")
        after = rest[len(name) : len(name) + 1]
        if rest[0] == " ":
            place += 1
        elif large:
            told, plain, small = large[2], large[3], large[4]
            lower = told or ",".join(plain or "".join(LOWER[c] for c in small))
            lower = re.sub(r"(^|,)((?:\w,)*\w)<", r"\1 0 \\le \2 <", lower) if told else lower
            below = re.findall(r"\\le|\d+|\w|.", lower.replace(" ", ""))
            found += [*_spread(BIG[large[1]]), "_", "{", *below, "}"]
            place += large.end()
        elif name and not (after.isalnum() and after.isascii()) and not (name.isalpha() and after == "("):
            place += len(name)
            found.append(f"T{name}" if name in tensors else f"C{name}")
            if name in tensors and after == "[":
                place += 1
                found += group("_", inside("]"))
        elif match := NUMBER.match(rest):
            found.append(match.group())
            place += match.end()
        elif rest[0] in RAISED:
            power = re.match(f"[{''.join(RAISED)}]+", rest)
            assert power is not None
            found += ["^", "{", *("-" if c == "⁻" else RAISED[c] for c in power.group()), "}"]
            place += power.end()
        elif rest.startswith("^("):
            place += 2
            found += group("^", inside(")"))
        elif rest[0] == "|":
            found.append(r"\rvert" if found.count(r"\lvert") > found.count(r"\rvert") else r"\lvert")
            place += 1
        elif (word := WORD.match(rest)) and rest[word.end() : word.end() + 1] == "(":
            found += _spread(FUNCTIONS.get(word.group(), rf"\operatorname{{{word.group()}}}"))
            place += word.end()
        elif rest[0] in "+=()[]/<>,^√" or (rest[0].isalpha() and rest[0].isascii()) or rest[0] in SIMPLE:
            found.append(SIMPLE.get(rest[0], rest[0]))
            place += 1
        else:
            raise CannotRead(f"{rest[:20]!r} in {text}")
    return found


def _spread(latex: str) -> list[str]:
    """Return \\operatorname{name} in its tokens."""
    return re.findall(r"\\[a-z]+\*?|[{}]|[A-Za-z0-9]", latex)
