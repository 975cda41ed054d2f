"""What the page shows of a training run: its curves, its accuracy, and who was taken for whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from chainrule.cli.handout.charts import Chart, Series, chart, number, percent, said
from chainrule.cli.handout.confusion import confusion
from chainrule.cli.handout.markup import user_text
from chainrule.codegen.folder import Generated
from chainrule.derive.model import Spec
from chainrule.derive.prose import Prose, _, say
from chainrule.runtime.datasets.dataset import TEST, TRAINING, VALIDATION
from chainrule.runtime.errors import RunError
from chainrule.runtime.files import NotRead, read_json
from chainrule.runtime.run import read_summary
from chainrule.runtime.runfolder import SUMMARY
from chainrule.same_spec import spec_differences

EVALUATION = "evaluation.json"
CONFUSIONS = {
    TEST: _("Confusions on the test data"),
    VALIDATION: _("Confusions on the validation data"),
    TRAINING: _("Confusions on the training data"),
}


@dataclass(frozen=True)
class Trained:
    """A run's files, read: its summary, and its evaluation if there is one ({} otherwise)."""

    folder: Path
    summary: dict[str, Any]
    evaluation: dict[str, Any]


@dataclass(frozen=True)
class ShownRun:
    """A run on the page."""

    text: str
    charts: tuple[Chart, ...]
    confusion: Markup | None
    confusion_title: str
    missing: str


def trained(folder: Path, spec: Spec, generated: Generated) -> Trained:
    """Return what lies in a run's folder.

    Raises RunError for a folder that holds no run, or that of another network.
    """
    summary = read_summary(folder)
    found = spec_differences(folder, spec, generated)
    if found:
        raise RunError(
            f"{folder}: a run of another spec: {'; '.join(found)}; train anew, or use the old spec"
        )
    return Trained(folder, summary, _object(folder / EVALUATION))


def _object(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from error
    except NotRead as error:
        raise RunError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(found, dict):
        raise RunError(f"{path}: not a JSON object")
    return found


def shown(run: Trained) -> ShownRun:
    """Return a run as it stands on the page, in the reader's language."""
    try:
        return _shown(run)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.folder}: {SUMMARY} or {EVALUATION} is damaged ({error!r}); run it anew"
        ) from error


def _shown(run: Trained) -> ShownRun:
    summary, evaluation = run.summary, run.evaluation
    history = summary["history"]
    charts = [
        _curves(_("Loss"), history, "loss", "validation_loss", summary.get("test_loss"), False),
        _curves(
            _("Accuracy"), history, "accuracy", "validation_accuracy", summary.get("test_accuracy"), True
        ),
    ]
    counts = evaluation.get("confusion") or []
    names = [user_text(str(row["name"])) for row in evaluation.get("classes", [])]
    title = say(CONFUSIONS.get(str(evaluation.get("part", TEST)), CONFUSIONS[TEST]))
    labels = (title, say(_("true class")), say(_("taken for")))
    missing = "" if evaluation else say(_("There are no confusions yet: `derive evaluate` counts them."))
    return ShownRun(
        say(_text(summary, evaluation)),
        tuple(each for each in charts if each),
        confusion(counts, names, labels) if counts else None,
        title,
        missing,
    )


def _text(summary: dict[str, Any], evaluation: dict[str, Any]) -> Prose:
    """Return in a sentence how long was trained, on what, and how well."""
    origin = user_text(str(evaluation.get("data", summary["data"])["origin"]))
    loss = evaluation.get("test_loss", summary.get("test_loss"))
    accuracy = evaluation.get("test_accuracy", summary.get("test_accuracy"))
    values = {
        "epochs": f"{summary['epochs']:,}",
        "batch": f"{summary['settings']['batch_size']:,}",
        "data": origin,
    }
    if accuracy is not None:
        return _(
            "{epochs} epochs in batches of {batch}; data: {data}. Accuracy on the test data: {accuracy}.",
            accuracy=percent(accuracy),
            **values,
        )
    if loss is not None:
        return _(
            "{epochs} epochs in batches of {batch}; data: {data}. Loss on the test data: {loss}.",
            loss=number(loss),
            **values,
        )
    return _("{epochs} epochs in batches of {batch}; data: {data}.", **values)


def _curves(
    title: Prose, history: list[dict[str, Any]], own: str, held: str, test: float | None, shares: bool
) -> Chart | None:
    """Return a chart of one quantity over the epochs, None where nothing was measured."""
    lines = (
        Series(_("training"), "training", _points(history, own)),
        Series(_("validation"), "held", _points(history, held)),
    )
    series = [line for line in lines if line.points]
    if not series:
        return None
    if test is not None:
        ends = [x for line in series for x, _y in line.points]
        first, last = min(ends), max(ends)
        series.append(Series(_("test, at the end"), "test", ((first, test), (last, test))))
    return chart(say(title), say(_("epoch")), said(series), percent if shares else number)


def _points(history: list[dict[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(row["epoch"]), float(row[key])) for row in history if row.get(key) is not None)
