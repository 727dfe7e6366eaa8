"""nnexp: exact, stacked, tracked sweeps of neural networks written in NumPy."""

from typing import TYPE_CHECKING

from nnexp import errors as errors

if TYPE_CHECKING:
    from nnexp.config.registration import register as register
    from nnexp.python import compose as compose
    from nnexp.python import sweep as sweep
    from nnexp.python import train as train

__version__ = "0.1.0"
_HOMES = {"register": "config.registration", "compose": "python", "sweep": "python", "train": "python"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
