"""What a sweep did and what it holds on disk, for people who look after a ledger's sweeps."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnexp.sweeps.database import DamageError
from nnexp.sweeps.holding import held_by
from nnexp.sweeps.kept import PlannedSweep, PlannedTrial, Standing
from nnexp.sweeps.leaderboard import Row, leaderboard
from nnexp.sweeps.ledger import Ledger

PARTS = ("trials", "data", "checkpoints")  # folders of a sweep's; whatever else there is belongs to its plan
ID = re.compile(r"[^.].*-[0-9a-f]{8}")  # a name and the first digits of a hash
DELETED = ".{}.deleted"  # what a sweep's folder is called while it is being deleted


@dataclass(frozen=True)
class Disk:
    """Bytes of a sweep's files. parts: by folder, `plan` is the rest. shared: of files that other sweeps have, too."""

    parts: Mapping[str, int]
    shared: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.parts.values())

    @property
    def freed(self) -> int:
        """What deleting frees."""
        return self.total - self.shared


@dataclass(frozen=True)
class Survey:
    """A sweep as its ledger and its folder say.

    pending: what MLflow lacks, in rows of the outbox. holder: the process that works on it. damage: what cannot be
    read, in one line.
    """

    sweep: PlannedSweep
    trials: Sequence[PlannedTrial]
    standing: Mapping[str, Standing]
    rows: Sequence[Row]
    pending: int
    holder: str | None
    disk: Disk
    damage: str | None = None

    @property
    def states(self) -> Counter[str]:
        """How many trials are in each state."""
        return Counter(each.state for each in self.standing.values())

    @property
    def best(self) -> Row | None:
        """The configuration that leads."""
        return self.rows[0] if self.rows and self.rows[0].n else None


def survey(ledger: Ledger, sweeps: Path, sweep: PlannedSweep) -> Survey:
    """Return what a sweep did. Args: sweeps: the folder of all sweeps' folders."""
    folder = sweeps / sweep.id
    trials: Sequence[PlannedTrial] = ()
    standing: Mapping[str, Standing] = {}
    rows: Sequence[Row] = ()
    damage = None
    try:
        trials, standing = ledger.planned(sweep.id), ledger.standing(sweep.id)
        results = {key: each.result for key, each in standing.items() if each.result is not None}
        rows = leaderboard(trials, results) if trials else ()
    except DamageError as error:
        damage = str(error)
    pending = ledger.pending(sweep.id)
    return Survey(sweep, trials, standing, rows, pending, held_by(folder), disk(folder), damage)


def disk(folder: Path) -> Disk:
    """Return what a sweep's files take. A file of which another sweep has a link is not freed with this one."""
    parts = dict.fromkeys((*PARTS, "plan"), 0)
    links: dict[tuple[int, int], list[int]] = {}  # of a file: its bytes, its links, and how many of them are here
    for path in _files(folder):
        found = path.stat()
        part = path.relative_to(folder).parts[0]
        file = links.setdefault((found.st_dev, found.st_ino), [found.st_size, found.st_nlink, 0])
        parts[part if part in PARTS else "plan"] += 0 if file[2] else found.st_size
        file[2] += 1
    return Disk(parts, sum(size for size, all, here in links.values() if here < all))


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        yield from (Path(where) / name for name in names if not (Path(where) / name).is_symlink())


def leftovers(ledger: Ledger, sweeps: Path) -> list[str]:
    """Return the ids of sweeps that have a folder, but are not in the ledger: their deletion was cut off."""
    known = {each.id for each in ledger.sweeps()} | {*ledger.damaged_sweeps()}
    names = [path.name for path in sweeps.iterdir() if path.is_dir()] if sweeps.is_dir() else []
    before, after = DELETED.split("{}")
    ids = {name.removeprefix(before).removesuffix(after) if name.endswith(after) else name for name in names}
    return sorted(id for id in ids if ID.fullmatch(id) and id not in known)
