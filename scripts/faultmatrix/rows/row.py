"""What a row is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faultmatrix.bench import Bench
from faultmatrix.case import Case
from faultmatrix.workload import Workload


@dataclass(frozen=True)
class Row:
    """A fault of the matrix.

    fault, injection, required: what the table says. act: what happens in a case. seeds, short: cases of the long and of
    the short form. needs: programs or rights without which it cannot run. workload: its sweep, if it is a special one.
    points: finds what there is to enumerate, one case each, where that takes trying.
    """

    number: int
    fault: str
    injection: str
    required: str
    act: Callable[[Case], None]
    seeds: int = 20
    short: int = 1
    needs: tuple[str, ...] = ()
    workload: Workload | None = None
    points: Callable[[Bench], Sequence[object]] | None = None
