"""What was trained, by the witness component's own account: it tells a file of every epoch, in the worker itself.

An epoch is known by its objective: the control's history says whose it is. So this counts what was executed without
believing anything that nnexp says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Known = Mapping[str, tuple[str, int]]  # trial's key and epoch, by the objective's value in hexadecimal digits


@dataclass(frozen=True)
class Seen:
    """An epoch that was trained. time: seconds since 1970. key, epoch: None where several trials have such a value."""

    time: float
    process: int
    value: str
    key: str | None = None
    epoch: int | None = None


def read(path: Path, known: Known) -> list[Seen]:
    """Return what was told, in the order of time; a torn last line is left out."""
    if not path.exists():
        return []
    seen = []
    for line in path.read_text().splitlines():
        time, _, rest = line.partition(" ")
        process, _, value = rest.partition(" ")
        key, epoch = known.get(value, (None, None))
        seen.append(Seen(float(time), int(process), value, key, epoch))
    return sorted(seen, key=lambda each: each.time)


def again(seen: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    """Return the epochs that were trained more than once, each with the time before."""
    last: dict[tuple[str, int], Seen] = {}
    found = []
    for each in seen:
        if each.key is not None and each.epoch is not None:
            if (each.key, each.epoch) in last:
                found.append((last[each.key, each.epoch], each))
            last[each.key, each.epoch] = each
    return found


def overlap(seen: Sequence[Seen]) -> float:
    """Return the seconds in which two processes trained the same trial."""
    spans: dict[tuple[str, int], tuple[float, float]] = {}
    for each in seen:
        if each.key is not None:
            begin, _ = spans.get((each.key, each.process), (each.time, each.time))
            spans[each.key, each.process] = begin, each.time
    total = 0.0
    for (key, process), (begin, end) in spans.items():
        for (other_key, other), (begins, ends) in spans.items():
            if key == other_key and process < other:
                total += max(0.0, min(end, ends) - max(begin, begins))
    return total
