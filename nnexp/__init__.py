"""nnexp: exact, stacked, tracked sweeps of neural networks written in NumPy."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnexp.config.registration import register as register

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name != "register":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nnexp.config.registration import register

    return register
