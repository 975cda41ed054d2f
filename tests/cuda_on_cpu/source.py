"""What module.py must know of a kernel source, and the end that is put behind it.

The text is read after the preprocessor, so comments, conditions and macros are out of the way.
"""

import re
from dataclasses import dataclass

from cuda_on_cpu.errors import CompileError

# Room for each `extern __shared__` array: what a block can have on an H100. A launch is held to less.
SHARED_CAPACITY = 227 * 1024

_KERNEL = re.compile(
    r"__global__\s+(?:__launch_bounds__\s*\((?P<before>[^)]*)\)\s*)?void\s+"
    r"(?:__launch_bounds__\s*\((?P<after>[^)]*)\)\s*)?(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)
_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*|alignas\s*\(\s*\d+\s*\)\s*)?"
    r"(?P<type>[\w ]+?)\s+(?P<name>\w+)\s*\[\s*\]"
)


@dataclass(frozen=True)
class KernelText:
    """A kernel as it stands in the source."""

    name: str
    parameters: tuple[str, ...]
    max_threads: str  # of a block: the expression in __launch_bounds__, or 1024


def kernels(preprocessed: str) -> list[KernelText]:
    """The kernels of a source in order; raises CompileError for one that CuPy would not find by its name."""
    found = []
    for match in _KERNEL.finditer(preprocessed):
        before = preprocessed[: match.start()].rstrip()
        if before.endswith(">"):  # a template: no name to launch it by
            continue
        if not before.endswith('extern "C"') and 'extern "C" {' not in before:
            raise CompileError(f'kernel {match["name"]} is not extern "C": get_function would not find it')
        bounds = (match["before"] or match["after"] or "1024").split(",")[0].strip()
        declarations = [text for text in match["parameters"].split(",") if text.strip() not in ("", "void")]
        names = tuple(re.findall(r"\w+", declaration)[-1] for declaration in declarations)
        found.append(KernelText(match["name"], names, bounds))
    return found


def uses_vector_types(preprocessed: str) -> bool:
    """True when kernels may access more than one element at once, and so need aligned addresses."""
    return re.search(r"\b(float|double|u?int)[234]\b", preprocessed) is not None


def ending(preprocessed: str) -> str:
    """The text behind the source: the `extern __shared__` arrays and an entry for each kernel."""
    arrays = {match["name"]: match["type"] for match in _SHARED.finditer(preprocessed)}
    lines = ['#line 1 "ending"', '#include "entries.h"']
    for name, element in arrays.items():
        lines.append(f"alignas(128) thread_local {element} {name}[{SHARED_CAPACITY} / sizeof({element})];")
    fill = "".join(f"out[{i}] = {{(char*){name}, sizeof {name}}}; " for i, name in enumerate(arrays))
    head = "unsigned cuda_on_cpu::shared_arrays([[maybe_unused]] SharedArray* out)"
    lines.append(f"static_assert({len(arrays)} <= cuda_on_cpu::MAX_SHARED_ARRAYS);")
    lines.append(f"{head} {{ {fill}return {len(arrays)}; }}")
    lines += [f"CUDA_ON_CPU_EXPORT({kernel.name}, {kernel.max_threads})" for kernel in kernels(preprocessed)]
    return "\n".join(lines) + "\n"
