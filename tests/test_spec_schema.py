"""What the table of fields gives: the schema and the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from spec_texts import EXAMPLES, GOOD, IMAGES, changed, valid

from chainrule.derive.layers import LAYERS
from chainrule.derive.library import ACTIVATIONS, CLIPPING, LOSSES, OPTIMIZERS, PRACTICE, SCHEDULES, WARMUP
from chainrule.spec import field_documentation, json_schema, parse_spec


def test_the_schema_is_a_schema() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == json.loads(json.dumps(schema))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples_are_valid_by_the_schema(path: Path) -> None:
    assert valid(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("units = 3", "unit = 3"),
        ("units = 3", "units = -3"),
        ("units = 3", "units = 3\nbais = true"),
        ("units = 3", 'units = 3\ninit = "uniform(0)"'),
        ("learning_rate", "lerning_rate"),
        ("[training]", "[traning]"),
        ("epochs = 3", 'data = "mnistt"'),
        ("epochs = 3", "validation_split = 1"),
        ('name = "tiny"', 'name = "1"'),
        ('name = "tiny"\n', ""),
        ('type = "adam"', 'type = "adan"'),
        ("spec_version = 1", "spec_version = 2"),
        ('activation = "sigmoid"', '[[layers]]\ntype = "leaky_relu"\nslop = 1'),
    ],
)
def test_the_schema_finds_typos(old: str, new: str) -> None:
    assert valid(GOOD)
    assert not valid(changed(old, new))


def test_the_schema_knows_formulas_of_ones_own() -> None:
    text = changed('activation = "sigmoid"', '[[layers]]\ntype = "sharp"\nbeta = 2')
    text += '[activations.sharp]\nformula = "beta * x"\nbeta = 1\n'
    parse_spec(text, "tiny.toml")
    assert valid(text)
    assert not valid(changed("formula", "fomula", text))


def test_the_schema_knows_augmentation() -> None:
    assert valid(IMAGES) and not valid(changed("flip", "flop", IMAGES))
    assert not valid(changed("shift = 3", "shift = 1.5", IMAGES))
    assert not valid(changed("zoom = 0.1", "zoom = 1", IMAGES))


def test_the_documentation_names_every_field() -> None:
    text = field_documentation()
    for layer in LAYERS.values():
        assert f'type = "{layer.name}"' in text
        assert all(f"| `{field.name}` |" in text for field in layer.fields)
    for optimizer in OPTIMIZERS.values():
        assert all(f"| `{field.name}` |" in text for field in optimizer.fields)
    for field in (*PRACTICE, *(field for plan in SCHEDULES.values() for field in plan.fields)):
        assert f"| `{field.name}` |" in text
    assert WARMUP in text and CLIPPING in text
    assert all(f"`{name}`" in text for name in (*ACTIVATIONS, *LOSSES))
