"""What MLflow takes: how long names and values may be, and which names it refuses."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping

from nnexp.errors import TrackingError

LONGEST_NAME = 250  # of params, metrics, tags and runs, in characters
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_DATA_NAME, LONGEST_DIGEST, LONGEST_SOURCE = 500, 36, 65535

_NAME = re.compile(r"[/\w.\- :]+" if os.name != "nt" else r"[/\w.\- ]+")


def check_names(kind: str, names: Iterable[str]) -> None:
    """Raise TrackingError for a name that MLflow would refuse. kind: metric, param or tag."""
    for name in names:
        norm = posixpath.normpath(name)
        plain = _NAME.fullmatch(name) and norm == name and norm != "." and not norm.startswith(("..", "/"))
        _require(bool(plain) and len(name) <= LONGEST_NAME, f"{kind} {name!r} is not a name that MLflow takes")


def check_params(params: Mapping[str, str]) -> None:
    """Raise TrackingError for params that MLflow would refuse or cut."""
    check_names("param", params)
    for name, value in params.items():
        _require(len(value) <= LONGEST_PARAM, f"param {name!r} is longer than {LONGEST_PARAM} characters")


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise TrackingError for tags that MLflow would refuse or cut."""
    check_names("tag", tags)
    for name, value in tags.items():
        _require(len(value) <= LONGEST_TAG, f"tag {name!r} is longer than {LONGEST_TAG} characters")


def check_data(name: str, digest: str, source: str) -> None:
    """Raise TrackingError for what MLflow would refuse of a data set."""
    for text, longest in ((name, LONGEST_DATA_NAME), (digest, LONGEST_DIGEST), (source, LONGEST_SOURCE)):
        _require(len(text) <= longest, f"{text[:60]!r}… of a data set is longer than {longest} characters")


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise TrackingError(problem)
