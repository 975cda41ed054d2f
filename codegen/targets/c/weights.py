"""What goes with predict.c of one trained network: its weights in C, how inputs are scaled, and a check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chainrule.codegen.targets.c.naming import identifier

A_LINE = 8  # numbers
TOLERANCE = 1e-4  # of the check, beside the greatest output


def weights_source(name: str, values: Iterable[float]) -> str:
    """Return weights.c: all weights as one array, each number the float32 that it was."""
    symbol = identifier(name)
    return f"""\
/* {symbol}: the weights of a trained network, in the order that predict.h tells. */
#include "predict.h"

const REAL {symbol}_infer_weights[{symbol}_INFER_WEIGHTS] = {{
{_rows(values)}
}};
"""


def inputs_source(name: str, offset: Sequence[float], scale: Sequence[float]) -> str:
    """Return inputs.h: a function that moves and scales an input as those of training were."""
    symbol, channels = identifier(name), len(offset)
    return f"""\
/* {symbol}: inputs are moved and scaled as in training, after what are bytes was divided by 255. */
#ifndef {symbol}_INPUTS_H
#define {symbol}_INPUTS_H
#include "predict.h"

static inline void {symbol}_infer_scale(REAL *x)
{{
    static const REAL offset[{channels}] = {{
{_rows(offset, "        ")}
    }};
    static const REAL scale[{channels}] = {{
{_rows(scale, "        ")}
    }};
    for (int i = 0; i < {symbol}_INFER_INPUT; ++i)
        x[i] = (x[i] - offset[i % {channels}]) * scale[i % {channels}];
}}
#endif
"""


def check_source(name: str, x: Iterable[float], y: Sequence[float]) -> str:
    """Return check.c: a program that ends with 0 where the device computes what NumPy does of an input."""
    symbol = identifier(name)
    most = TOLERANCE * max(map(abs, y))
    return f"""\
/* {symbol}: ends with 0 where outputs are those that NumPy computed of the same input. */
#include "predict.h"

static const REAL input[{symbol}_INFER_INPUT] = {{
{_rows(x)}
}};
static const REAL wanted[{symbol}_INFER_OUTPUT] = {{
{_rows(y)}
}};

int main(void)
{{
    static REAL output[{symbol}_INFER_OUTPUT];
    int wrong = 0;
    {symbol}_infer({symbol}_infer_weights, input, output);
    for (int i = 0; i < {symbol}_INFER_OUTPUT; ++i)
        if (!(output[i] - wanted[i] <= {most:.3g}f && wanted[i] - output[i] <= {most:.3g}f)) wrong = 1;
    return wrong;
}}
"""


def _rows(values: Iterable[float], indent: str = "    ") -> str:
    texts = [_number(value) for value in values]
    rows = (", ".join(texts[at : at + A_LINE]) for at in range(0, len(texts), A_LINE))
    return ",\n".join(indent + row for row in rows)


def _number(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
