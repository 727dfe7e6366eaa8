"""What every component is: a frozen dataclass whose fields are its hyperparameters, found by name in a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from nnexp import own
from nnexp.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Component:
    """A choice and its hyperparameters. `name` is what configs, messages and tables call it."""

    name: ClassVar[str]

    def describe(self) -> dict[str, Any]:
        """Return the component as plain data: its name and its hyperparameters."""
        return {"name": self.name, **settings(self)}

    def identity(self) -> dict[str, Any]:
        """Return what determines a trial's numbers, as plain data, for its key: by default what is described.

        Components within a component are asked for theirs.
        """
        return {"name": self.name, **settings(self, identity=True)}


def settings(config: Any, *, identity: bool = False) -> dict[str, Any]:
    """Return a dataclass's fields as plain data: lists for tuples, and for components what they describe, or are."""
    return {field.name: _plain(getattr(config, field.name), identity) for field in fields(config)}


def _plain(value: Any, identity: bool) -> Any:
    if isinstance(value, Component):
        found = value.identity() if identity else value.describe()
        return found if found.keys() != {"name"} else value.name
    if isinstance(value, tuple):
        return [_plain(each, identity) for each in value]
    return value


C = TypeVar("C", bound=Component)


class Table(Mapping[str, type[C]]):
    """Component classes by name: nnexp's own, those that installed packages announce, those registered in a notebook.

    Names are known without importing a package; its class is loaded when it is looked up.

    Attributes: kind: what its components are called in configs. base: the class that all of them are below. builtin:
    nnexp's own.
    Raises: ConfigError where a name is claimed twice, or a class is asked for that is no component of the kind.
    """

    def __init__(self, kind: str, *classes: type[C]) -> None:
        self.kind = kind
        self.builtin: Mapping[str, type[C]] = {each.name: each for each in classes}
        self.base = next(
            each for each in reversed(classes[0].__mro__) if issubclass(each, Component) and each is not Component
        )
        self._loaded: dict[str, type[C]] = {}

    def __getitem__(self, name: str) -> type[C]:
        for known in (self.builtin, own.REGISTERED[self.kind], self._loaded):
            if name in known:
                return known[name]
        self._loaded[name] = self._announced()[name].load(self.base)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in own.REGISTERED[self.kind] or name in self._announced()

    def __iter__(self) -> Iterator[str]:
        return iter([*self.builtin, *self._announced(), *own.REGISTERED[self.kind]])

    def __len__(self) -> int:
        return len(self.builtin) + len(self._announced()) + len(own.REGISTERED[self.kind])

    def register(self, cls: type[C]) -> None:
        """Add a class for as long as this process lives; it replaces one of its name that was registered before.

        Raises: ConfigError if it is no component of the kind, or its name is taken by nnexp or a package.
        """
        if problem := own.flaw(cls, self.base):
            raise ConfigError(f"{self.kind} {cls.__name__} {problem}")
        if cls.name in self.builtin:
            raise ConfigError(f"{self.kind} {cls.__name__} needs a name of its own: {cls.name!r} is nnexp's")
        if cls.name in self._announced():
            raise ConfigError(f"{self._announced()[cls.name]}: {cls.__name__} needs another name")
        own.REGISTERED[self.kind][cls.name] = cls

    def _announced(self) -> Mapping[str, own.Announced]:
        found = own.announced(self.kind)
        for name in found.keys() & self.builtin.keys():
            raise ConfigError(f"{found[name]}, but {name!r} is nnexp's own")
        return found


def table(kind: str, *classes: type[C]) -> Table[C]:
    """Return the table of a kind of components, of which nnexp has these classes."""
    return Table(kind, *classes)
