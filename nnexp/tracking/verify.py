"""Verifying: what the ledger has of a sweep is compared with what MLflow has, point by point and byte by byte.

Reading goes through MLflow's own client, whichever way was written. What MLflow lacks is put into the outbox again; a
run that has something else is deleted first, as params and points cannot be changed.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.sweeps.files import SNAPSHOT, snapshot_files, trial_folder
from nnexp.sweeps.kept import OWN_RUN, Standing
from nnexp.sweeps.ledger import Ledger
from nnexp.tracking.entries import WHOLE, cut, name_of
from nnexp.tracking.limits import LONGEST_DIGEST, LONGEST_TAG
from nnexp.tracking.store import Store, open_store
from nnexp.tracking.told import Told
from nnexp.tracking.tracker import AT_FIRST, AT_LAST, Tracker, sha256
from nnexp.tracking.writer import Point

if TYPE_CHECKING:
    from mlflow.entities import Run

NEWEST = ("agg/", "sweep/")  # metrics of which an earlier training's points may be there: the last one counts
PARENT = "mlflow.parentRunId"
NAMED = 3  # metrics, files, … that a line names


@dataclass(frozen=True)
class Difference:
    """What MLflow has otherwise than the ledger, of a trial or, under the key '', of the sweep itself.

    replaced: whether its run has something that cannot be changed.
    """

    key: str
    line: str
    replaced: bool = False


def verify(ledger: Ledger, sweep: str, store: Store, *, mending: bool = True) -> list[Difference]:
    """Compare a sweep with MLflow. mending: what differs is in the outbox afterwards.

    Raises: what MLflow raises if it cannot be asked.
    """
    tracker = Tracker(ledger, sweep, store)
    label, there = tracker.account.label, tracker.runs.there
    found = [Difference(key, f"{label(key)}: had a run too many, which was deleted") for key in tracker.runs.surplus]
    found += [
        Difference(key, f"{label(key)}: its run is not there") for key in ledger.outbox(sweep) if key not in there
    ]
    found += _Comparison(tracker, store).differences()
    if mending:
        for key in {each.key for each in found if each.replaced}:
            tracker.runs.delete(key)
        ledger.deliver_again(sweep, {each.key for each in found})
    tracker.close()
    return found


class _Comparison:
    """A sweep's runs, compared one after another."""

    def __init__(self, tracker: Tracker, store: Store) -> None:
        self.tracker, self.runs, self.account = tracker, tracker.runs, tracker.account
        self.client, _ = open_store(store)
        self._listed: tuple[tuple[str, str], set[str]] = (("", ""), set())  # a run and a folder, and what is in it

    def differences(self) -> Iterator[Difference]:
        """Yield what differs."""
        standings = self.account.ledger.standing(self.account.sweep.id)
        for key, standing in standings.items():
            if key in self.runs.there and standing.state != "planned":
                yield from self._of_trial(key, standing)
        if OWN_RUN in self.runs.there:
            yield from self._of_sweep(standings)

    def _of_trial(self, key: str, standing: Standing) -> Iterator[Difference]:
        told = self.account.of_trial(standing, self.account.ledger.history(self.account.sweep.id, key))
        run = self.client.get_run(self.runs.there[key].id)
        yield from self._of_run(key, run, told)
        params = run.data.params
        other = [name for name, text in told.params.items() if params.get(name, text) != text]
        yield from self._difference(key, "other params", other, replaced=True)
        yield from self._difference(key, "params missing", [name for name in told.params if name not in params])
        inputs = [] if run.inputs is None else run.inputs.dataset_inputs
        data = {(each.dataset.name, each.dataset.digest, each.dataset.source) for each in inputs}
        if told.data is not None and (told.data[0], told.data[1][:LONGEST_DIGEST], told.data[2]) not in data:
            yield self._named(key, "its data set is missing")
        files = {} if standing.result is None or not standing.ended else standing.result.files
        yield from self._of_files(key, run, files, trial_folder(self.tracker.folder, key))
        if told.whole is not None and self._hash(run, WHOLE) != hashlib.sha256(told.whole.encode()).hexdigest():
            yield self._named(key, f"{WHOLE} missing or damaged")

    def _of_sweep(self, standings: Mapping[str, Standing]) -> Iterator[Difference]:
        run = self.client.get_run(self.runs.there[OWN_RUN].id)
        yield from self._of_run(OWN_RUN, run, self.account.of_sweep(standings, over=True))
        snapshot = [f"{SNAPSHOT}/{path.name}" for path in snapshot_files(self.tracker.folder)]
        files = {name: sha256(self.tracker.folder / name) for name in (*AT_FIRST, *AT_LAST, *snapshot)}
        there = {name: digest for name, digest in files.items() if digest is not None}
        yield from self._of_files(OWN_RUN, run, there, self.tracker.folder)

    def _of_run(self, key: str, run: Run, told: Told) -> Iterator[Difference]:
        """Yield what differs of status, tags and points."""
        if (run.info.status, run.info.end_time) != (told.status, told.ended):
            yield self._named(key, f"it is {run.info.status}, not {told.status}, or ended at another time")
        tags = run.data.tags
        wanted = {name_of(name): cut(text, LONGEST_TAG) for name, text in {**told.lasting, **told.tags}.items()}
        own = self.runs.there.get(OWN_RUN)
        if key != OWN_RUN and own is not None:
            wanted[PARENT] = own.id
        # how a run looks, a user may have changed
        mine = {name: text for name, text in wanted.items() if name.startswith("nnexp.") or name == PARENT}
        lacking = [name for name, text in mine.items() if tags.get(name) != text]
        yield from self._difference(key, "tags missing or others", lacking)
        yield from self._of_points(key, run, told.points)

    def _of_points(self, key: str, run: Run, points: Iterable[Point]) -> Iterator[Difference]:
        expected: dict[str, set[tuple[int, float, int]]] = {}
        for name, value, stamp, step in points:
            expected.setdefault(name, set()).add((step, value, stamp))
        missing, other = [], []
        for name in {**expected, **run.data.metrics}:
            wanted = expected.get(name, set())
            history = self.client.get_metric_history(run.info.run_id, name) if name in run.data.metrics else []
            there = {(each.step, each.value, each.timestamp) for each in history}
            if name.startswith(NEWEST) and wanted and there:
                there = {max(there)}
            missing += [name] * len(wanted - there)
            other += [name] * len(there - wanted if wanted or not name.startswith(NEWEST) else ())
        yield from self._difference(key, f"{len(missing)} points missing", missing)
        yield from self._difference(key, f"{len(other)} other points", other, replaced=key != OWN_RUN)

    def _of_files(self, key: str, run: Run, files: Mapping[str, str], folder: Path) -> Iterator[Difference]:
        for name, digest in files.items():
            there, here = self._hash(run, name) == digest, sha256(folder / name) == digest
            if not there:
                yield self._named(key, f"{name} missing or damaged{'' if here else ', here too'}")
            elif not here:
                yield self._named(key, f"{name} missing or damaged here: the sweep's command makes it again")

    def _hash(self, run: Run, name: str) -> str | None:
        """Return the SHA-256 of an artifact; None if there is none."""
        place = run.info.run_id, name.rpartition("/")[0]
        if self._listed[0] != place:
            self._listed = place, {each.path for each in self.client.list_artifacts(place[0], place[1] or None)}
        if name not in self._listed[1]:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(self.client.download_artifacts(run.info.run_id, name, folder))
            return sha256(path)

    def _difference(self, key: str, what: str, names: Iterable[str], *, replaced: bool = False) -> Iterator[Difference]:
        names = list(dict.fromkeys(names))
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            yield self._named(key, f"{what}: {', '.join(names[:NAMED])}{more}", replaced=replaced)

    def _named(self, key: str, what: str, *, replaced: bool = False) -> Difference:
        return Difference(key, f"{self.account.label(key)}: {what}", replaced)
