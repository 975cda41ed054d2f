"""Loading a spec file: bytes to text, text to TOML, TOML to a checked ``Spec``."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Final

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, LOSSES, ONE_HOT, OPTIMIZERS, SCHEDULES, Formula, Loss
from chainrule.derive.model import (
    AugmentationSpec,
    InlineData,
    LayerSpec,
    LineColumn,
    LossSpec,
    OptimizerSpec,
    Spec,
    TrainingSpec,
)
from chainrule.formula.messages import nearest
from chainrule.spec.field_names import remedy
from chainrule.spec.formulas import formula_fault, read_formulas
from chainrule.spec.names import name_problem
from chainrule.spec.positions import Path
from chainrule.spec.problems import Problem, SpecError, SpecText
from chainrule.spec.sections import (
    ACTIVATION,
    ACTIVATION_VARIABLES,
    AUGMENTATION,
    INPUT,
    LOSS,
    LOSS_VARIABLES,
    OPTIMIZER_TYPE,
    SCHEDULE,
    SHORT_FORMS,
    SPEC_VERSION,
    TABLES,
    TOP,
    TRAINING,
    TYPE,
    layer_fields,
    loss_names,
    optimizer_fields,
)
from chainrule.spec.stack import Stack, explicit_values_fault
from chainrule.spec.syntax import read_toml
from chainrule.spec.tables import Table, TableReader, default_value, label, literal

MOST_BYTES: Final = 1_000_000
_UTF8: Final = "UTF-8; save the file again as UTF-8"
_WIDE_MARKS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def load_spec(path: FilePath | str) -> Spec:
    """Return the checked spec of a TOML file; raises SpecError with every problem in it."""
    path = FilePath(path)
    return parse_bytes(_read(path), path.name)


def parse_bytes(content: bytes, filename: str) -> Spec:
    """Return the checked spec that the bytes of a file are.  Raises SpecError with every problem in it."""
    return parse_spec(_text(content, filename), filename)


def parse_spec(text: str, filename: str) -> Spec:
    """Return the checked spec that ``text`` is; ``filename`` stands in the messages.

    A byte order mark and CRLF line ends are accepted.  Raises SpecError with every problem of the text.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    filename = FilePath(filename).name.encode(errors="replace").decode()
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise _refusal(filename, "E003", "the text holds half of a surrogate pair", "plain UTF-8") from None
    if len(encoded) > MOST_BYTES:
        raise _refusal(filename, "E002", _size(len(encoded)), f"at most {MOST_BYTES:,} bytes")
    source = SpecText(text, filename)
    data, positions, recovered = read_toml(source)
    reader = TableReader(source, positions, report_missing=not recovered)
    loader = _Loader(reader, data)
    spec = loader.spec(hashlib.sha256(encoded).hexdigest())
    source.refuse()
    if spec is None:
        raise _refusal(filename, "E004", "this spec is incomplete", "all required keys")
    return spec


def _read(path: FilePath) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise _refusal(path.name, "E001", "this is not a file", "a TOML file")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except SpecError:
        raise
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        message = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        there = {each.stem: each for each in path.parent.glob("*.toml")}
        near = nearest(path.stem, there)
        hint = f"did you mean {there[near]}?" if near else ""
        raise _refusal(path.name, "E001", message, "", hint=hint) from None


def _text(content: bytes, filename: str) -> str:
    if len(content) > MOST_BYTES:
        raise _refusal(filename, "E002", _size(None), f"at most {MOST_BYTES:,} bytes")
    if content.startswith(_WIDE_MARKS) or (b"\0" in content[:64]):
        raise _refusal(filename, "E003", "the text is in UTF-16 or UTF-32", _UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        message = f"byte 0x{content[error.start]:02X} is not UTF-8"
        raise _refusal(filename, "E003", message, _UTF8, line, column) from None


def _size(count: int | None) -> str:
    return f"the spec has {f'{count:,}' if count else f'more than {MOST_BYTES:,}'} bytes"


def _refusal(
    filename: str, code: str, message: str, expected: str, line: int = 1, column: int = 1, hint: str = ""
) -> SpecError:
    return SpecError((Problem(filename, line, column, code, message, expected=expected, hint=hint),))


class _Loader:
    """Reads the tables of one spec; what was refused is None and was reported."""

    def __init__(self, reader: TableReader, data: dict[str, Any]) -> None:
        self.reader = reader
        self.data = data
        self.activations: dict[str, Formula] = {}
        self.losses: dict[str, Loss] = {}

    def spec(self, sha256: str) -> Spec | None:
        """Return the spec, or None when something was reported."""
        self.check_version()
        top = self.reader.table(self.data, (), TOP, TABLES)
        self.check_name(top)
        taken: list[str] = []
        activations, losses = self.data.get("activations", {}), self.data.get("losses", {})
        self.activations, _ = read_formulas(
            self.reader, activations, "activations", Formula, ACTIVATION_VARIABLES, taken
        )
        self.losses, _ = read_formulas(self.reader, losses, "losses", Loss, LOSS_VARIABLES, taken)
        input_shape = self.section("input", INPUT, required=True).values.get("shape")
        stack = Stack(self.reader, input_shape) if input_shape else None
        layers, stacked = self.layers(stack)
        loss = self.loss()
        optimizer = self.optimizer()
        training = self.training()
        augmentation = self.augmentation()
        formula = self.objective(loss.type) if loss else None
        if stack is not None and stacked:
            if loss and formula:
                stack.check_loss(loss.type, formula)
            stack.check_data(training.data if training else None, formula)
        if stack is not None and augmentation is not None:
            stack.check_augmentation(augmentation)
        if self.reader.source.problems:
            return None
        if loss and formula and training and isinstance(training.data, InlineData):
            loss = replace(loss, soft=training.data.soft and formula.targets == ONE_HOT)
        if not (top.complete and input_shape and loss and optimizer and training and augmentation):
            return None
        return Spec(
            name=top.values["name"],
            description=top.values["description"],
            input_shape=input_shape,
            layers=tuple(layers),
            loss=loss,
            optimizer=optimizer,
            training=training,
            activations=self.activations,
            losses=self.losses,
            source=self.reader.source.text,
            sha256=sha256,
            filename=self.reader.source.filename,
            augmentation=augmentation,
        )

    # ---- top level -------------------------------------------------------------------------

    def check_version(self) -> None:
        version = self.data.get("spec_version")
        if isinstance(version, int) and not isinstance(version, bool) and version != SPEC_VERSION:
            message = f"spec_version = {literal(version)}: this program reads version {SPEC_VERSION}"
            write = f"write spec_version = {SPEC_VERSION}"
            remedy = f"{write}, or use a newer release" if version > SPEC_VERSION else write
            self.reader.at_value("E108", ("spec_version",), message, hint=remedy)
            self.data["spec_version"] = SPEC_VERSION  # reported once

    def check_name(self, top: Table) -> None:
        name = top.values.get("name")
        problem = name_problem(name) if name is not None else None
        if problem:
            code, reason = problem
            self.reader.at_value(code, ("name",), f"name = {literal(name)} cannot be used: {reason}")

    def section(self, name: str, fields: Any, *, required: bool = False) -> Table:
        if name not in self.data and required:
            self.reader.missing((), f"[{name}]", expected=", ".join(field.name for field in fields))
            return Table({}, False, (name,))
        return self.reader.table(self.data.get(name, {}), (name,), fields)

    def objective(self, name: str) -> Loss | None:
        """Return the formula of a loss; None for one of the user's that cannot be read."""
        return self.losses.get(name) or LOSSES.get(name)

    # ---- layers ----------------------------------------------------------------------------

    def layers(self, stack: Stack | None) -> tuple[list[LayerSpec], bool]:
        """Return the layers, and whether all of them stand on one another."""
        tables = self.data.get("layers")
        if tables is None or tables == []:
            self.reader.missing((), "[[layers]]", expected='at least one layer, as in type = "dense"')
            return [], False
        if not isinstance(tables, list):
            self.reader.wrong_table(tables, ("layers", 0))
            return [], False
        layers: list[LayerSpec] = []
        stacked = stack is not None
        for i, table in enumerate(tables):
            path: Path = ("layers", i)
            specs = self.layer(table, path)
            stacked = stacked and specs is not None
            for spec in specs or ():
                layers.append(spec)
                stacked = stacked and stack is not None and stack.add(spec, path)
        return layers, stacked

    def layer(self, table: object, path: Path) -> list[LayerSpec] | None:
        """Return a layer and its short activation as a layer of its own; None after a problem."""
        if not isinstance(table, dict):
            self.reader.wrong_table(table, path)
            return None
        own = self.own("activations")
        types = list(dict.fromkeys((*LAYERS, *ACTIVATIONS, *own)))
        if not self.check_type(table, path, TYPE.name, types):
            return None
        fields = layer_fields(table["type"], self.activations)
        if fields is None:
            return None  # a user's activation that was reported itself
        read = self.reader.table(table, path, fields)
        options = {k: v for k, v in read.values.items() if k not in (TYPE.name, ACTIVATION.name)}
        defaults = {field.name: default_value(field) for field in fields if not field.required}
        for key, fault in explicit_values_fault(options, defaults):
            self.reader.at_key("E407", (*path, key), f"{label(path)}: {fault}")
        short = read.values.get(ACTIVATION.name)
        shorts = list(dict.fromkeys((*ACTIVATIONS, *SHORT_FORMS, *own)))
        if short is not None and not self.check_type(table, path, ACTIVATION.name, shorts):
            return None
        if not read.complete or not self.has_values(table["type"], options, path):
            return None
        layers = [LayerSpec(table["type"], options, self.reader.place(path))]
        if short is not None:
            activation = layer_fields(short, self.activations)
            if activation is None:
                return None
            constants = {f.name: default_value(f) for f in activation if f not in (TYPE, ACTIVATION)}
            layers.append(LayerSpec(short, constants, self.reader.place((*path, ACTIVATION.name))))
        return layers

    def has_values(self, type_name: str, options: dict[str, Any], path: Path) -> bool:
        """Report an activation whose formula has no value at the constants that its layer gives it."""
        formula = self.activations.get(type_name) or ACTIVATIONS.get(type_name)
        given = [key for key in options if (*path, key) in self.reader.positions.keys]
        if formula is None or not given:
            return True
        fault = formula_fault(replace(formula, constants=options), ACTIVATION_VARIABLES)
        if fault is not None:
            place = (*path, given[0])
            self.reader.at_key("E301", place, f"{label(path)}: {formula.text}: {fault.message}")
        return fault is None

    def own(self, section: str) -> tuple[str, ...]:
        """Return the names of the user's own formulas, the refused ones too: they were reported once."""
        tables = self.data.get(section)
        return tuple(tables) if isinstance(tables, dict) else ()

    def check_type(self, table: dict[str, Any], path: Path, key: str, known: list[str]) -> bool:
        value = table.get(key)
        place = (*path, key)
        if key not in table:
            self.reader.missing(path, key, expected=f"one of {', '.join(known)}")
        elif not isinstance(value, str):
            expected = "the name of a layer or activation in quotes"
            self.reader.at_value("E103", place, f"{label(place)} = {literal(value)}", expected=expected)
        elif value not in known:
            hint = remedy(value, known, "activations")
            expected = f"one of {', '.join(known)}"
            message = f"{label(place)} = {literal(value)}"
            self.reader.at_value("E105", place, message, expected=expected, hint=hint)
        else:
            return True
        return False

    # ---- the other tables ------------------------------------------------------------------

    def loss(self) -> LossSpec | None:
        table = self.section("loss", LOSS, required=True)
        name = table.values.get("type")
        known = [*loss_names(self.losses), *self.own("losses")]
        if name is not None and name not in known:
            place = ("loss", "type")
            hint = remedy(name, known, "losses")
            expected = f"one of {', '.join(dict.fromkeys(known))}"
            self.reader.at_value("E105", place, f"loss.type = {literal(name)}", expected=expected, hint=hint)
            return None
        if not table.complete:
            return None
        values = table.values
        smoothing = values["label_smoothing"]
        formula = self.objective(str(name))
        if smoothing and (formula is None or formula.targets != ONE_HOT):
            message = f"loss.label_smoothing = {literal(smoothing)} with the loss {literal(name)}"
            where = ("loss", "label_smoothing")
            self.reader.at_value("E408", where, message, expected='the loss "cross_entropy"')
        reduction, l2 = values["reduction"], values["l2"]
        return LossSpec(values["type"], reduction, l2, self.place("loss"), label_smoothing=smoothing)

    def optimizer(self) -> OptimizerSpec | None:
        table = self.data.get("optimizer", {})
        chosen = table.get("type", OPTIMIZER_TYPE.default) if isinstance(table, dict) else None
        known = OPTIMIZERS.get(chosen) if isinstance(chosen, str) else None
        if known is None and isinstance(chosen, str):
            place, names = ("optimizer", "type"), list(OPTIMIZERS)
            message, hint = f"optimizer.type = {literal(chosen)}", remedy(chosen, names, "")
            self.reader.at_value("E105", place, message, expected=f"one of {', '.join(names)}", hint=hint)
            return None
        if known is None and isinstance(table, dict):  # the keys of no optimizer: only the type is looked at
            table = {"type": chosen}
        schedule = table.get(SCHEDULE.name, SCHEDULE.default) if isinstance(table, dict) else None
        read = self.reader.table(
            table,
            ("optimizer",),
            optimizer_fields(chosen, schedule),
            ()
            if isinstance(schedule, str) and schedule in SCHEDULES
            else [f.name for plan in SCHEDULES.values() for f in plan.fields],
        )
        if not read.complete:
            return None
        words = (OPTIMIZER_TYPE.name, SCHEDULE.name)
        options = {key: value for key, value in read.values.items() if key not in words and value is not None}
        kind, plan = (read.values[word] for word in words)
        return OptimizerSpec(kind, options, self.place("optimizer"), plan)

    def training(self) -> TrainingSpec | None:
        table = self.section("training", TRAINING)
        if not table.complete:
            return None
        values = table.values
        data = values["data"]
        own = data is None or (isinstance(data, str) and ":" in data)  # may have a validation set of its own
        if values["early_stopping"] and not values["validation_split"] and not own:
            message = f"training.early_stopping = {values['early_stopping']} watches the validation loss"
            remedy = "a validation_split above 0, as in validation_split = 0.1"
            self.reader.at_value("E507", ("training", "early_stopping"), message, expected=remedy)
        return TrainingSpec(**values, place=self.place("training"))

    def augmentation(self) -> AugmentationSpec | None:
        table = self.section("augmentation", AUGMENTATION)
        return AugmentationSpec(**table.values) if table.complete else None

    def place(self, section: str) -> LineColumn:
        return self.reader.place((section,))
