"""Entries: what MLflow is told of a trial, as plain texts and numbers within MLflow's limits, and a config read back.

A config's settings are params by dotted path. A value is JSON, a text that is no JSON is itself: `adam`, `[64, 64]`,
`null`, but `"null"` for the text. What MLflow cannot hold is a param's digest, and whole in the artifact params.json.
Names that MLflow refuses have the characters in question written as their number between colons, `:3d:` for `=`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nnexp.errors import TrackingError
from nnexp.sweeps.results import History
from nnexp.tracking.limits import LONGEST_NAME, LONGEST_PARAM
from nnexp.tracking.writer import Point

WHOLE = "params.json"  # the artifact with what params cannot hold
DIGEST = "sha256:"

_REFUSED = re.compile(r"[^\w\-. /]")
_WRITTEN = re.compile(r":([0-9a-f]*):")
_BOUND_SLASH = re.compile(r"^/|/$|(?<=/)/")
_DOTS = re.compile(r"(^|/)(\.\.?)(?=/|$)")


@dataclass(frozen=True)
class Params:
    """A config as params. whole: what does not fit, by the param's name: its own name and its value."""

    texts: Mapping[str, str]
    whole: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def artifact(self) -> str:
        """Return what params.json holds."""
        return json.dumps({name: list(each) for name, each in self.whole.items()}, indent=1) + "\n"


def params(config: Mapping[str, Any]) -> Params:
    """Return a config as params."""
    texts: dict[str, str] = {}
    whole: dict[str, tuple[str, str]] = {}
    for name, value in flatten(config).items():
        short = name if len(name) <= LONGEST_NAME else f"{name[:160]}:{DIGEST}{_digest(name)}"
        texts[short] = value if len(value) <= LONGEST_PARAM else DIGEST + _digest(value)
        if short != name or texts[short] != value:
            whole[short] = (name, value)
    return Params(texts, whole)


def config_of(texts: Mapping[str, str], whole: Mapping[str, tuple[str, str]] | None = None) -> dict[str, Any]:
    """Return the config that some params are of.

    Raises: TrackingError if params.json lacks what a param stands for, or has something else.
    """
    config: dict[str, Any] = {}
    for short, text in texts.items():
        name, value = (short, text)
        if text.startswith(DIGEST) or f":{DIGEST}" in short:
            name, value = _whole(short, text, whole or {})
        *path, last = [_part(each) for each in name.split(".")]
        here = config
        for each in path:
            here = here.setdefault(each, {})
        here[last] = _value(value)
    return config


def _whole(short: str, text: str, whole: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    name, value = whole.get(short, ("", ""))
    same = text == value or text == DIGEST + _digest(value)
    if not same or (short != name and not short.endswith(f":{DIGEST}{_digest(name)}")):
        raise TrackingError(f"{WHOLE} does not have what param {short!r} stands for")
    return name, value


def flatten(config: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return a config as dotted paths and texts, of any length."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        part = _encode(str(key), r"[^\w\- ]") or "::"
        here = f"{path}.{part}" if path else part
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, here)
        else:
            flat[here] = _text(value)
    return flat


def _text(value: Any) -> str:
    """Return a value as a text that says which it is."""
    if (
        isinstance(value, str)
        and value
        and value.isprintable()
        and not value.startswith(DIGEST)
        and not _is_json(value)
    ):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _part(encoded: str) -> str:
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", encoded)


@lru_cache(maxsize=4096)
def name_of(name: str) -> str:
    """Return a metric's or tag's name as MLflow takes it: slashes stay where they divide."""
    encoded = _encode(name, _REFUSED)
    encoded = _BOUND_SLASH.sub(":2f:", encoded)
    encoded = _DOTS.sub(lambda found: found[1] + found[2].replace(".", ":2e:"), encoded) or "::"
    return encoded if len(encoded) <= LONGEST_NAME else f"{encoded[:160]}:{DIGEST}{_digest(encoded)}"


def original_name(encoded: str) -> str:
    """Return the name that `name_of` made this of, if it was not too long."""
    return _part(encoded)


def _encode(text: str, refused: str | re.Pattern[str]) -> str:
    return re.sub(refused, lambda found: f":{ord(found[0]):x}:", text)


def cut(text: str, longest: int, rest: str = "…") -> str:
    """Return a text, cut where it is too long."""
    return text if len(text) <= longest else text[: longest - len(rest)] + rest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def points(history: History) -> list[Point]:
    """Return a history's points. For a value that is not finite `not_finite/…` has one: 1 for infinity, -1 for minus
    infinity, 0 for NaN."""
    stamps = [milliseconds(each) for each in history.times]
    return [
        _point(name, value, stamp, step)
        for name, values in history.values.items()
        for step, value, stamp in zip(history.epochs, values, stamps, strict=True)
    ]


def points_of(values: Mapping[str, float], seconds: float, step: int) -> list[Point]:
    """Return metrics that are measured once, as points."""
    return [_point(name, value, milliseconds(seconds), step) for name, value in values.items()]


def _point(name: str, value: float, stamp: int, step: int) -> Point:
    """Return a point. MLflow would store infinity as the largest number there is."""
    if math.isfinite(value):
        return name_of(name), float(value), stamp, step
    told = 0.0 if math.isnan(value) else math.copysign(1.0, value)
    return name_of(f"not_finite/{name}"), told, stamp, step


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow counts it."""
    return round(seconds * 1000)
