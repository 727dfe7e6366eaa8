"""What holds for every component of every table."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from nnexp.component import Component
from nnexp.testing.contracts import assert_rejected
from nnexp.testing.variations import broken, components, other, tables

EVERY = [pytest.param(cls, id=f"{cls.__module__.rpartition('.')[2]}-{cls.name}") for cls in components()]
FIELDS = [pytest.param(cls, field.name, id=f"{cls.name}-{field.name}") for cls in components() for field in fields(cls)]
BROKEN = [
    pytest.param(cls, field.name, value, id=f"{cls.name}-{field.name}-{value}")
    for cls in components()
    for field in fields(cls)
    for value in broken(cls(), field.name)
]


def test_all_tables_are_found() -> None:
    assert set(tables()) >= {
        *("ACTIVATIONS", "ARCHITECTURES", "DATASETS", "DROPOUTS", "INITIALIZERS"),
        *("LOSSES", "OPTIMIZERS", "L2_PENALTIES", "SCHEDULES"),
    }


@pytest.mark.parametrize("name", sorted(tables()))
def test_the_keys_of_a_table_are_the_names_of_its_components(name: str) -> None:
    assert tables()[name]
    for key, cls in tables()[name].items():
        assert key == cls.name == cls().name


@pytest.mark.parametrize("cls", EVERY)
def test_a_component_cannot_be_changed(cls: type[Component]) -> None:
    component = cls()
    for name in [field.name for field in fields(component)] or ["anything"]:
        with pytest.raises(FrozenInstanceError):
            setattr(component, name, None)


@pytest.mark.parametrize("cls", EVERY)
def test_a_component_takes_its_fields_by_name_only(cls: type[Component]) -> None:
    with pytest.raises(TypeError, match="positional"):
        cls(1)  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", EVERY)
def test_a_component_equals_its_copies_and_its_pickles(cls: type[Component]) -> None:
    assert cls() == pickle.loads(pickle.dumps(cls()))
    assert hash(cls()) == hash(cls())


@pytest.mark.parametrize("cls", EVERY)
def test_a_component_describes_its_name_and_every_field(cls: type[Component]) -> None:
    assert list(cls().describe()) == ["name", *(field.name for field in fields(cls))]
    assert cls().describe()["name"] == cls.name


@pytest.mark.parametrize(("cls", "field"), FIELDS)
def test_a_component_with_another_value_is_another_component(cls: type[Component], field: str) -> None:
    changed = other(cls(), field)
    assert changed != cls()
    assert changed.describe() != cls().describe()


@pytest.mark.parametrize(("cls", "field", "value"), BROKEN)
def test_a_value_out_of_range_is_refused_by_thing_and_value(cls: type[Component], field: str, value: object) -> None:
    shown = list(value) if isinstance(value, tuple) else value
    assert_rejected(lambda: cls(**{field: value}), field, repr(shown))
