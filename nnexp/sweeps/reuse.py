"""What a sweep takes over from earlier ones of its ledger, and how its plan differs from the last one of its name."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.kept import PlannedSweep
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan
from nnexp.sweeps.results import TrialResult

TOLD = 6  # settings whose change is told


@dataclass(frozen=True)
class Reused:
    """Trials that were taken over, by key: the sweep that each comes from. codes: digests of the code that trained
    them."""

    origins: Mapping[str, str]
    codes: frozenset[str]


def reuse(ledger: Ledger, plan: Plan, keys: Sequence[str], sweeps: Path) -> Reused:
    """Take over the trials that an earlier sweep of the ledger finished, with their files as they were.

    Args: keys: of the trials to look for. sweeps: the folder of all sweeps' folders.
    """
    origins, codes = {}, set()
    for key, (origin, code) in ledger.ended_elsewhere(plan.id, keys).items():
        result = ledger.standing_of(origin, key).result
        source, target = trial_folder(sweeps / origin, key), trial_folder(sweeps / plan.id, key)
        if result is not None and _take_over(source, target, result):
            origins[key] = origin
            codes.add(code)
    if origins:
        ledger.reuse(plan.id, origins)
    return Reused(origins, frozenset(codes))


def _take_over(source: Path, target: Path, result: TrialResult) -> bool:
    """Link a trial's files, or copy them where that cannot be; return whether they are all there and as they were."""
    if not are_whole(source, result.files):
        return False
    building = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for name in result.files:
        try:
            os.link(source / name, building / name)
        except OSError:
            shutil.copy2(source / name, building / name)
    shutil.rmtree(target, ignore_errors=True)
    building.replace(target)
    return True


def are_whole(folder: Path, files: Mapping[str, str]) -> bool:
    """Return whether a trial's files are there and have the digests that they had."""
    try:
        return all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha for name, sha in files.items())
    except OSError:
        return False


@dataclass(frozen=True)
class Changes:
    """How a plan differs from an earlier one of the same name, by the trials' labels.

    changed: labels of both whose trials differ. settings: by dotted path what it was and is, in changed trials.
    """

    earlier: str
    kept: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    settings: Mapping[str, tuple[Any, Any]]

    def lines(self) -> list[str]:
        """Return what to tell: one line, and one for each kind of difference."""
        lines = [f"the plan differs from that of {self.earlier}; {_trials(self.kept)} in common"]
        for kind, labels in (("added", self.added), ("removed", self.removed), ("changed", self.changed)):
            if labels:
                what = f": {self._what()}" if kind == "changed" else f": {_few(labels)}"
                lines.append(f"  {kind:8} {_trials(len(labels))}{what}")
        return lines

    def _what(self) -> str:
        told = [f"{path} {old} → {new}" for path, (old, new) in list(self.settings.items())[:TOLD]]
        more = len(self.settings) - len(told)
        return ", ".join(told) + (f" and {more} more" if more else "")


def changes(ledger: Ledger, plan: Plan, earlier: PlannedSweep) -> Changes:
    """Return how a plan differs from an earlier sweep's."""
    before = {trial.key: trial.label for trial in ledger.planned(earlier.id)}
    now = {trial.key: trial for trial in plan.trials}
    old = {label: key for key, label in before.items() if key not in now}
    new = {trial.label: trial for trial in plan.trials if trial.key not in before}
    settings: dict[str, tuple[Any, Any]] = {}
    both = [label for label in new if label in old]
    for label in both:
        settings |= _differences(ledger.about(earlier.id, old[label]), new[label].describe())
    return Changes(
        earlier.id,
        len(before.keys() & now.keys()),
        tuple(label for label in new if label not in old),
        tuple(label for label in old if label not in new),
        tuple(both),
        settings,
    )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what makes two trials differ: settings, data, own components or, if nothing else, nnexp's numerics."""
    before, after = dict(_flat(old["config"])), dict(_flat(new["config"]))
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    found = {path: (before.get(path, "–"), after.get(path, "–")) for path in paths}
    if not found and old["data"] != new["data"]:
        found["the data"] = (old["data"][:8], new["data"][:8])
    if not found and old.get("components") != new.get("components"):
        found["own components"] = ("others", "these")
    return found or {"nnexp's numerics": ("another version", "this one")}


def _flat(node: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, list(node) if isinstance(node, tuple) else node


def _trials(count: int) -> str:
    return f"{count:,} trial{'s' * (count != 1)}"


def _few(labels: Sequence[str], most: int = 3) -> str:
    return ", ".join(labels[:most]) + (f", … ({len(labels)})" if len(labels) > most else "")
