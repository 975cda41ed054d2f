"""Write the forward formula; everything else is derived.

What the command ``derive`` does, from Python or a notebook.  A network is given as the path of a spec file,
as the text of one, as a mapping with the same keys, or as a derivation that was made before:

>>> from chainrule import derivation, network, topic
>>> xor = derivation("examples/xor_backprop.toml")
>>> print(xor.equation(9))
(9) δ1[n,j] = (Σₖ W2[k,j] δ2[n,k]) a1[n,j] (1 − a1[n,j])
>>> xor.equation(9).text("matrix")
'δ1 = (W2ᵀ δ2) ⊙ a1 ⊙ (1 − a1)'
>>> network(xor).parameters
12
>>> topic("mse-minimum").results["w"]
'55/31'

Equations, derivations, pages and topics print as text and show themselves in Jupyter.  A reader's choices
hold inside a block; in a notebook, ``display`` what is to be shown in it:

>>> with reading(Reader(language="ko")):
...     page = str(topic("softmax"))

Mistakes are exceptions with the messages of the command: SpecError for a spec, CannotDifferentiate where no
gradient passes, RunError and DataError for what training needs.  Importing this package imports neither SymPy
nor NumPy; the first call does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

# Python takes a package in the current folder for the one that is installed. In the repository that is this
# folder, and its subpackages lie beside it.
__path__ = __path__ if find_spec("chainrule.derive") else [*__path__, str(Path(__file__).parents[1])]

from chainrule.derive.reader import Reader, reading
from chainrule.derive.shown import Display, shown_by

if TYPE_CHECKING:
    from os import PathLike

    from chainrule.checking import Summary
    from chainrule.codegen.folder import Generated
    from chainrule.derive.derivation import Derivation
    from chainrule.lectures.model import Topic
    from chainrule.present.page import Page
    from chainrule.running import TrainingReport
    from chainrule.runtime.gradreport import GradientReport
    from chainrule.sources import Source

__all__ = [
    "Reader",
    "derivation",
    "generate",
    "gradcheck",
    "handout",
    "network",
    "numbers",
    "reading",
    "topic",
    "train",
]


def _display() -> Display:
    from chainrule.present import display

    return display


shown_by(_display)  # whatever was derived, and however it was obtained, shows itself


def derivation(source: Source) -> Derivation:
    """Return all equations that training a network needs, numbered, each with its reason.

    >>> derivation("examples/or.toml")
    <derivation of or_gate: 9 equations>
    >>> derivation("examples/or.toml").equation(3).equation.name
    'a1'

    Raises SpecError, whose text names every mistake with its line, also for a file that is missing;
    CannotDifferentiate where no gradient passes.

    >>> derivation("no.toml")
    Traceback (most recent call last):
    chainrule.spec.problems.SpecError: no.toml:1:1: E001 cannot read no.toml: No such file or directory
    """
    from chainrule.sources import derivation_of

    return derivation_of(source)


def topic(id: str, given: Mapping[str, str] | Sequence[str] = ()) -> Topic:
    """Return what the lectures derive under a name; ``chainrule.lectures.TOPICS`` has all.

    ``given`` replaces the numbers of a worked example, as ``--given`` does: by name, or as "name=numbers".

    >>> topic("mse-minimum", given={"y": "2*w, w", "t": "1, 0"}).results["w"]
    '2/5'

    Raises ValueError for a name that is no topic and for givens that the topic cannot take.

    >>> topic("sigmod")
    Traceback (most recent call last):
    ValueError: 'sigmod' is no topic. Did you mean sigmoid?
    """
    from chainrule.lectures import TOPICS
    from chainrule.lectures import topic as derived

    if not isinstance(id, str):
        raise TypeError(f"{id!r} is no topic: give the name of one, a text")
    if id not in TOPICS:
        import difflib

        near = ", ".join(difflib.get_close_matches(id, TOPICS, n=3))
        raise ValueError(f"{id!r} is no topic." + (f" Did you mean {near}?" if near else ""))
    if isinstance(given, Mapping):
        return derived(id, [f"{name}={text}" for name, text in given.items()])
    return derived(id, [given] if isinstance(given, str) else [str(each) for each in given])


def network(source: Source) -> Summary:
    """Return a checked network: layers with shapes and parameters, operations, memory; ``derive check``.

    >>> found = network({
    ...     "spec_version": 1, "name": "gate", "input": {"shape": [2]}, "loss": {"type": "mse"},
    ...     "layers": [{"type": "dense", "units": 3, "activation": "tanh"}],
    ... })
    >>> found.layers[0]
    {'type': 'dense', 'name': 'z1', 'output': [3], 'parameters': 9}
    >>> [parameter.name for parameter in found.network.parameters]
    ['W1', 'b1']

    Printed, it is the table of the command.  Raises SpecError, CannotDifferentiate.
    """
    from chainrule.checking import summary_of
    from chainrule.sources import derivation_of

    return summary_of(derivation_of(source))


def generate(
    source: Source,
    targets: str | Iterable[str] = "numpy",
    output: str | PathLike[str] | None = None,
    force: bool = False,
) -> Generated:
    """Return the generated program, equations and manifest of a network: the text of each file by its name.

    The NumPy program is always among them; "cuda" is another target.  With ``output`` they are written too,
    to output/NAME, for all targets that this folder has; ``force`` writes outside the current folder and over
    edited files.

    >>> list(generate("examples/or.toml").files)
    ['equations.tex', 'numpy_trainer.py', 'manifest.json']

    Raises SpecError, CannotDifferentiate, LoweringError; ValueError for another target; OutputRefused for
    what is not written without force.
    """
    from pathlib import Path

    from chainrule.codegen.folder import recorded_targets, write
    from chainrule.codegen.generate import generate as generated
    from chainrule.codegen.targets import TARGETS
    from chainrule.sources import spec_of

    spec, asked = spec_of(source), {targets} if isinstance(targets, str) else set(targets)
    if asked - set(TARGETS):
        unknown = ", ".join(sorted(map(repr, asked - set(TARGETS))))
        raise ValueError(f"{unknown}: a target is one of {', '.join(TARGETS)}")
    if output is None:
        return generated(spec, asked)
    found = generated(spec, asked | recorded_targets(Path(output) / spec.name))
    write(found, Path(output), force)
    return found


def train(
    source: Source,
    *,
    target: str | None = None,
    data: str | None = None,
    data_dir: str | PathLike[str] | None = None,
    download: bool | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    run_dir: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    threads: int | None = None,
    checkpoint_every: int | None = None,
    quiet: bool = True,
) -> TrainingReport:
    """Train a network's program and return what the run came to; the options are those of ``derive train``.

    What is not given is as the spec has it, the target C where training is long and there is a compiler;
    paths in a spec file start from its folder, others from the current one.  The run's folder is
    ``run_dir``, new or empty, else runs/NAME-n; ``resume`` goes on with the run in a folder ("": the
    newest of this network).  The result has the history and the parameters; ``load()`` gives the run to be
    used:

        run = train("examples/mnist_mlp.toml", data="mnist_embedded", epochs=20)
        run.result.test_accuracy
        run.load().outputs(images)

    Unless ``quiet``, the data and the progress are told on stderr.  Raises SpecError, RunError, DataError,
    TrainingStopped where the loss is finite no more.
    """
    from pathlib import Path

    from chainrule.running import train_spec
    from chainrule.sources import path_of, spec_of

    def path(given: str | PathLike[str] | None) -> Path | None:
        return None if given is None else Path(given)

    return train_spec(
        spec_of(source),
        path_of(source),
        target=target,
        data=data,
        data_dir=path(data_dir),
        download=download,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        run_dir=path(run_dir),
        resume=None if resume is None else str(resume),
        threads=threads,
        checkpoint_every=checkpoint_every,
        quiet=quiet,
    )


def gradcheck(
    source: Source, *, target: str = "numpy", seed: int = 0, steps: int = 5, samples: int = 24, batch: int = 4
) -> GradientReport:
    """Return the check of every gradient of a network's program against finite differences of its loss.

    ``seed`` draws the point, the batch and the ``samples`` coordinates of each tensor that are looked at one
    by one, at the start and again after ``steps`` steps of training.  The gradients of another ``target`` are
    held against the NumPy program's.  Printed, it is the command's table.

    >>> gradcheck("examples/or.toml", samples=4).passed
    True

    Raises SpecError, CannotDifferentiate, LoweringError; ValueError for fewer than 2 samples, 1 of the batch;
    TypeError for what is no whole number.
    """
    from chainrule.running import gradient_report
    from chainrule.sources import spec_of

    return gradient_report(
        spec_of(source), target=target, seed=seed, steps=steps, samples=samples, batch=batch
    )


def numbers(
    source: Source,
    samples: Sequence[int] = (1,),
    *,
    seed: int | None = None,
    form: str = "index",
    steps: bool = False,
) -> Page:
    """Return a derivation's page with one step of training in numbers, as ``derive SPEC --numbers`` does.

    ``samples`` counts from 1 into the data of the spec; a spec whose data stand elsewhere gets as many at
    random.  ``seed`` (else the spec's) draws parameters, masks and samples, as the generated program does.

    >>> page = numbers("examples/or.toml", samples=[2, 3])
    >>> page.notes[0]
    "N = 2 samples: numbers 2, 3 of the spec's data."

    Raises NumbersError for samples that are not there and for a network that is too large to be read,
    TypeError for what is no whole number, ValueError for a seed below 0.
    """
    from chainrule.sources import derivation_of
    from chainrule.worked_pass import worked_page

    return worked_page(derivation_of(source), samples, seed, form, steps)


def handout(
    source: Source, *, form: str = "matrix", gradcheck: bool = True, run: str | PathLike[str] | None = None
) -> str:
    """Return a network's handout as the text of one HTML file; ``derive handout`` writes the same.

    Without ``gradcheck`` the gradients are not checked, with ``run``, a run's folder, it shows its curves.

    >>> handout("examples/or.toml", gradcheck=False).startswith("<!doctype html>")
    True

    Raises SpecError, CannotDifferentiate, LoweringError; RunError for a folder that is no run of it.
    """
    from pathlib import Path

    from chainrule.cli.handout.document import handout_of, page
    from chainrule.sources import spec_of

    return page(handout_of(spec_of(source), form, gradcheck, None if run is None else Path(run)))
