"""The source of components that are not nnexp's own: its digest is part of the keys of the trials that use them."""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from nnexp import own
from nnexp.component import Component
from nnexp.errors import ConfigError
from nnexp.network.activations import ACTIVATIONS, Activation
from nnexp.training.settings import TrialConfig


@dataclass(frozen=True)
class Foreign:
    """A component of a trial that is not nnexp's own.

    source: SHA-256 of the files that define its class and the classes it is made from. package: that announces it, with
    its version; None for one that was registered.
    """

    kind: str
    name: str
    source: str
    package: str | None

    def __str__(self) -> str:
        return f"{self.package or 'registered'} sha256:{self.source}"


def foreign(config: TrialConfig) -> tuple[Foreign, ...]:
    """Return the components of a trial that are not nnexp's own, in the order of its settings.

    Raises: ConfigError if the source of one cannot be found.
    """
    found = [(field.name, getattr(config, field.name)) for field in fields(config)]
    classes = [each for kind, value in found for each in _classes(kind, value)]
    output = config.architecture.output
    if output in ACTIVATIONS:
        classes.append(("activation", ACTIVATIONS[output]))
    return tuple(_describe(kind, cls) for kind, cls in dict.fromkeys(classes) if _is_foreign(cls))


def _classes(kind: str, value: Any) -> Iterator[tuple[str, type[Component]]]:
    """Yield the classes of a setting's component and of those below it."""
    if isinstance(value, tuple):
        for each in value:
            yield from _classes(kind, each)
    elif isinstance(value, Component):
        kind = "activation" if isinstance(value, Activation) else kind
        yield kind, type(value)
        for field in fields(value):
            yield from _classes(kind, getattr(value, field.name))


def _describe(kind: str, cls: type[Component]) -> Foreign:
    entry = own.announced(kind).get(cls.name)
    return Foreign(kind, cls.name, source_digest(cls), None if entry is None else entry.package)


def _is_foreign(cls: type) -> bool:
    return cls.__module__.partition(".")[0] != "nnexp"


def source_digest(cls: type[Component]) -> str:
    """Return the SHA-256 of what defines a class: its module's file, and those of the classes below nnexp's it is from.

    A class of a notebook, which has no file, is its own text. What a module imports is not looked into.
    Raises: ConfigError if there is no source.
    """
    return _digest(cls)  # type: ignore[arg-type]  # a class is hashable, whatever its instances are


@cache
def _digest(cls: type[Component]) -> str:
    modules: dict[str, bytes] = {}
    for each in cls.__mro__:
        if _is_foreign(each) and (issubclass(each, Component) or not _is_pythons(each)):
            source = _file(each)
            place, text = (each.__module__, source) if source is not None else (each.__qualname__, _cell(each))
            if text is None:
                raise ConfigError(
                    f"{cls.name}: the source of {each.__qualname__} cannot be found, but a trial's key needs it: "
                    "define it in a file or in a notebook's cell"
                )
            modules[place] = text
    sha = hashlib.sha256()
    for text in modules.values():
        sha.update(len(text).to_bytes(8, "big") + text)
    return sha.hexdigest()


def _is_pythons(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in sys.stdlib_module_names


def _file(cls: type) -> bytes | None:
    """Return the file of a class's module; None if there is none."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file).read_bytes() if file is not None and Path(file).is_file() else None


def _cell(cls: type) -> bytes | None:
    """Return the text of a class that was typed in: inspect finds it by a method only, before Python 3.13."""
    for code in _codes(cls):
        lines = linecache.getlines(code.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first <= code.co_firstlineno <= (node.end_lineno or first):
                    return "".join(lines[first - 1 : node.end_lineno]).encode()
    try:
        return inspect.getsource(cls).encode()
    except (OSError, TypeError):
        return None


def _codes(cls: type) -> Iterator[Any]:
    """Yield the code of a class's methods and properties that was written, not generated."""
    for member in vars(cls).values():
        function = getattr(member, "fget", None) or inspect.unwrap(getattr(member, "__func__", member))
        code = getattr(function, "__code__", None)
        if code is not None and linecache.getlines(code.co_filename):
            yield code
