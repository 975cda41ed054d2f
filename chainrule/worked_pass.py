"""``derive SPEC --numbers``: where the parameters, the samples and the masks of a worked pass come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.derive.prose import _
from chainrule.derive.reader import reader

if TYPE_CHECKING:
    from chainrule.derive.derivation import Derivation
    from chainrule.present.page import Page
    from chainrule.runtime.program import LoadedProgram


@dataclass(frozen=True)
class ChosenSamples:
    """Samples of a network: inputs (N, …), targets, and a sentence on where they come from."""

    x: Any
    t: Any
    origin: str


def worked_page(
    derivation: Derivation,
    samples: Sequence[int] = (1,),
    seed: int | None = None,
    form: str = "index",
    steps: bool = False,
) -> Page:
    """Return the page of a spec's derivation with one step of training in numbers.

    ``samples`` counts from 1 into the data of the spec; a spec whose data stand elsewhere gets as many at
    random.  ``seed`` (else the spec's) draws parameters, masks and samples, as the generated program does.
    Raises NumbersError for samples that are not there and for a network that is too large to be read,
    TypeError for what is no whole number, ValueError for a seed below 0.
    """
    import numpy as np

    from chainrule.arguments import whole
    from chainrule.present.numbers import Given, NumbersError, require_readable, work
    from chainrule.present.worked import page_of_numbers
    from chainrule.programs import scratch_program

    if reader().batch != "example":
        raise NumbersError("numbers are shown of each example by itself: leave the reader's batch out")
    if not isinstance(samples, Iterable):
        raise TypeError(f"samples = {samples!r}: they are a list, as in [1, 2]")
    samples = [whole("a sample", each) for each in samples]
    if not samples or min(samples) < 1:
        raise NumbersError(f"samples {samples}: give at least one, counted from 1")
    require_readable(derivation, len(samples))
    spec = derivation.network.spec
    seed = spec.training.seed if seed is None else whole("seed", seed, least=0)
    with scratch_program(spec) as program:
        chosen = chosen_samples(derivation, program, samples, seed)
        given = Given(
            parameters=program.init_parameters(seed, np.float64),
            x=chosen.x,
            t=chosen.t,
            masks=drawn_masks(program, len(samples), seed),
            steps=planned_steps(program),
        )
        notes = [chosen.origin, *_origins(derivation, given.masks, seed)]
        return page_of_numbers(work(derivation, given), form, steps, notes)


def chosen_samples(
    derivation: Derivation, program: LoadedProgram, samples: Sequence[int], seed: int
) -> ChosenSamples:
    """Return samples of the spec's own table, or random ones.  Raises NumbersError."""
    import numpy as np

    from chainrule.derive.model import InlineData
    from chainrule.present.numbers import NumbersError
    from chainrule.runtime.datasets import load_dataset

    data = derivation.network.spec.training.data
    count = len(samples)
    listed = ", ".join(map(str, samples))
    if not isinstance(data, InlineData):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 101, (count, *program.input_shape)) / 100
        return ChosenSamples(
            x, random_targets(derivation, program, count, rng), _random_origin(data, count, seed)
        )
    table = load_dataset(
        data.as_dict(),
        input_shape=program.input_shape,
        output_shape=program.output_shape,
        target_kind=program.target_kind,
        classes=program.classes,
    )
    rows = len(table.train_x)
    if max(samples) > rows:
        raise NumbersError(f"sample {listed}: the spec's data have {rows} samples; take 1 to {rows}")
    at = [each - 1 for each in samples]
    origin = (
        _("One sample, N = 1: number {listed} of the spec's data.", listed=listed)
        if count == 1
        else _("N = {count} samples: numbers {listed} of the spec's data.", count=count, listed=listed)
    )
    return ChosenSamples(table.train_x[at], table.train_t[at], origin)


def _random_origin(data: object, count: int, seed: int) -> str:
    if data is None:
        return _(
            "The spec has no data: N = {count}, drawn at random with seed {seed}.", count=count, seed=seed
        )
    return _(
        "The data of the spec ({data}) do not stand in it: N = {count}, drawn at random with seed {seed}.",
        data=data,
        count=count,
        seed=seed,
    )


def random_targets(derivation: Derivation, program: LoadedProgram, count: int, rng: Any) -> Any:
    """Return random labels, or values that the loss takes: probabilities are 0 or 1."""
    if program.target_kind == "labels":
        return rng.integers(0, program.classes, count).astype(float)
    shape = (count, *program.output_shape)
    import numpy as np

    from chainrule.derive.library import ONE_HOT, SHARES

    wanted = derivation.network.spec.objective.targets
    if wanted == ONE_HOT:  # rows of hundredths that sum to 1
        cuts = np.sort(rng.integers(0, 101, (*shape[:-1], shape[-1] - 1)), axis=-1)
        return np.diff(cuts, axis=-1, prepend=0, append=100) / 100
    if wanted == SHARES:
        return rng.integers(0, 2, shape).astype(float)
    return rng.integers(0, 101, shape) / 100


def drawn_masks(program: LoadedProgram, count: int, seed: int) -> Mapping[str, Any]:
    """Return the masks that a step of the program draws with a seed; {} where it draws none."""
    masks = getattr(program.module, "masks", None)
    return masks(count, seed) if masks is not None else {}


def planned_steps(program: LoadedProgram) -> int:
    """Return how many steps the program plans for, 1 where nothing asks for it."""
    module = program.module
    state = module.init_optimizer(module.init_parameters(0))
    return int(state.get("steps", 1))


def _origins(derivation: Derivation, masks: Mapping[str, Any], seed: int) -> list[str]:
    notes: list[str] = []
    starts = [p.initial for p in derivation.network.parameters]
    drawn = any(isinstance(start, str) and start not in ("zeros", "ones") for start in starts)
    if drawn:
        notes.append(_("Parameters as the generated program draws them with seed {seed}.", seed=seed))
    if derivation.network.spec.training.standardize != "none":
        notes.append(_("Inputs as they stand in the data: training standardizes them first."))
    if masks:
        notes.append(_("Masks as the generated program draws them with seed {seed}.", seed=seed))
    return notes
