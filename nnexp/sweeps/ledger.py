"""The ledger: the local SQLite file that is written first; one process writes to a sweep, a crash leaves whole slices.

    sweep     a plan: its head, and where it is tracked
    trial     a trial of a plan, how it stands, and its result once it has one
    record    a trial's records of one saved slice
    stack     a stack under way: its trials and its checkpoint
    outbox    what MLflow may lack: a trial's key, or '' for the sweep's own run
    delivery  what MLflow has of it

A saved slice, with all that it changes of these, is one transaction: whatever is in MLflow was here before, and what is
not there yet is in the outbox.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from sqlite3 import Cursor
from typing import Any

from nnexp.sweeps.database import DamageError, Database, Row, Table
from nnexp.sweeps.kept import OWN_RUN, Delivered, PlannedSweep, PlannedTrial, SavedSlice, SavedStack, Standing
from nnexp.sweeps.plan import Plan
from nnexp.sweeps.results import ENDS, History, TrialResult
from nnexp.sweeps.tables import (
    DELIVERY,
    OUTBOX,
    RECORD,
    STACK,
    SWEEP,
    TABLES,
    TRIAL,
    VERSION,
    delivered_of,
    planned_sweep_of,
    saved_stack_of,
    stack_row,
    standing_of,
    sweep_row,
    trial_row,
)


class Ledger:
    """The ledger of one root folder. A connection belongs to the thread that made it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Database(path, TABLES, VERSION, "ledger")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # plans

    def add(self, plan: Plan, code: str, settings: Mapping[str, Any], planned_at: float | None = None) -> list[str]:
        """Record a plan; of one that is there, mend what is damaged, so that it is trained again.

        Args: planned_at: when it was planned, if that is known although the ledger has lost it; now by default.
        Returns: a line for everything that was mended, and for other sweeps whose row is damaged.
        Raises: DamageError if the file's structure is broken, which only salvaging mends.
        """
        self.check()
        lines = [
            f"the ledger's row of sweep {id} is damaged: its own command mends it"
            for id in self.damaged_sweeps()
            if id != plan.id
        ]
        found, damaged = self._file.sound(SWEEP, {"id": plan.id})
        if not found and not damaged and not self._has_rows(plan.id):
            with self._file.transaction() as cursor:
                self._file.put(cursor, SWEEP, [sweep_row(plan, code, settings, planned_at)])
                self._file.put(cursor, TRIAL, [trial_row(plan, trial) for trial in plan.trials])
                self._due(cursor, plan.id, [OWN_RUN])
            return lines
        row = sweep_row(plan, code, settings, planned_at)
        if found:
            row |= {name: found[0][name] for name in ("code", "planned_at")}
        return [*lines, *self._mend(plan, row, [SWEEP] if damaged else [])]

    def check(self) -> None:
        """Look whether the file's structure is in order, which takes 2 ms for each MB; rows are checked when read.

        Raises: DamageError if it is not.
        """
        if not self._file.is_sound():
            raise DamageError(f"{self.path} is damaged")

    def sweeps(self) -> list[PlannedSweep]:
        """Return all sweeps, the latest last, but those whose own row is damaged."""
        return [planned_sweep_of(row) for row in self._file.sound(SWEEP, {}, "planned_at, id")[0]]

    def damaged_sweeps(self) -> list[str]:
        """Return the ids of the sweeps whose own row is damaged."""
        return [str(row["id"]) for row in self._file.sound(SWEEP, {})[1]]

    def sweep(self, id: str) -> PlannedSweep | None:
        """Return the sweep of an id."""
        return next((planned_sweep_of(row) for row in self._file.rows(SWEEP, {"id": id})), None)

    def planned(self, sweep: str) -> list[PlannedTrial]:
        """Return the trials of a sweep, in order."""
        return [PlannedTrial.of(about) for about in self.abouts(sweep)]

    def abouts(self, sweep: str) -> Iterator[dict[str, Any]]:
        """Yield all of each planned trial of a sweep as plain data, in order."""
        for row in self._file.rows(TRIAL, {"sweep": sweep}, "position"):
            yield json.loads(row["about"])

    def about(self, sweep: str, key: str) -> dict[str, Any]:
        """Return all of a planned trial as plain data: label, data, components, config, …"""
        found: dict[str, Any] = json.loads(self._trial(sweep, key)["about"])
        return found

    # how trials stand

    def standing(self, sweep: str) -> dict[str, Standing]:
        """Return how the trials of a sweep stand, in order."""
        return {row["key"]: standing_of(row) for row in self._file.rows(TRIAL, {"sweep": sweep}, "position")}

    def standing_of(self, sweep: str, key: str) -> Standing:
        """Return how a trial stands."""
        return standing_of(self._trial(sweep, key))

    def history(self, sweep: str, key: str, after: int = 0) -> History:
        """Return a trial's records of later epochs."""
        whole = History()
        for row in self._file.rows(RECORD, {"sweep": sweep, "key": key, "last >": after}, "first"):
            whole += History.of(json.loads(row["history"]))
        return whole.after(after)

    def ended_elsewhere(self, sweep: str, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return which of some trials another sweep finished, diverged ones included: the latest such sweep, and the
        code that trained it there."""
        found: dict[str, tuple[float, str, str]] = {}
        planned_at = {each.id: each.planned_at for each in self.sweeps() if each.id != sweep}
        for key in keys:
            for row in self._file.sound(TRIAL, {"key": key})[0]:
                if row["sweep"] in planned_at and row["state"] in ("finished", "diverged") and self._has_all(row):
                    each = planned_at[row["sweep"]], row["sweep"], json.loads(row["result"])["code"]
                    found[key] = max(found.get(key, each), each)
        return {key: (each[1], each[2]) for key, each in found.items()}

    # training

    def begin(self, sweep: str, keys: Iterable[str]) -> None:
        """Mark trials as running."""
        with self._file.transaction() as cursor:
            for row in self._trials(sweep, keys):
                row |= {"state": "running", "attempts": row["attempts"] + 1, "note": None, "result": None}
                self._file.put(cursor, TRIAL, [row])

    def save(self, sweep: str, saved: SavedSlice) -> None:
        """Record a slice, and put its trials into the outbox. A configuration whose last trial ends puts all of its
        trials there: each run carries their aggregate."""
        rows = {row["key"]: row for row in self._trials(sweep, {*saved.records, *saved.results, *saved.epochs})}
        with self._file.transaction() as cursor:
            for key, row in rows.items():
                if key in saved.records:
                    self._record(cursor, row, saved.records[key])
                row["epoch"] = max(row["epoch"], saved.epochs.get(key, 0))
                if key in saved.results:
                    self._end(cursor, row, saved.results[key])
            self._file.put(cursor, TRIAL, list(rows.values()))
            self._file.put(cursor, STACK, [stack_row(sweep, stack) for stack in saved.stacks])
            for id in saved.over:
                self._file.delete(cursor, STACK, {"sweep": sweep, "id": id})
            due = {*saved.records, *saved.results}
            due |= self._completed(cursor, sweep, {rows[key]["configuration"] for key in saved.results})
            self._due(cursor, sweep, due)

    def stop(self, sweep: str, keys: Iterable[str], note: str) -> None:
        """Mark trials that were running as stopped: they go on where they were saved."""
        rows = [row | {"state": "stopped", "note": note} for row in self._trials(sweep, keys)]
        with self._file.transaction() as cursor:
            self._file.put(cursor, TRIAL, rows)
            self._due(cursor, sweep, [row["key"] for row in rows])

    def plan_again(self, sweep: str, keys: Iterable[str], settings: Mapping[str, Any]) -> None:
        """Let trials be trained again, and change the sweep's settings.

        Their records stay: those of the new training replace them where they differ.
        """
        rows = [row | {"state": "planned", "note": None, "reused_from": None} for row in self._trials(sweep, keys)]
        with self._file.transaction() as cursor:
            self._file.put(cursor, TRIAL, rows)
            self._set(cursor, sweep, settings)

    def set_settings(self, sweep: str, settings: Mapping[str, Any]) -> None:
        """Change a sweep's settings."""
        with self._file.transaction() as cursor:
            self._set(cursor, sweep, settings)

    def reuse(self, sweep: str, origins: Mapping[str, str]) -> None:
        """Take over results and records of trials, each from another sweep."""
        mine = self._trials(sweep, origins)
        with self._file.transaction() as cursor:
            for row in mine:
                key, origin = row["key"], origins[row["key"]]
                theirs = self._trial(origin, key)
                taken = {name: theirs[name] for name in ("state", "epoch", "records", "note", "result")}
                replaced = 1 if row["records"] else 0
                row |= {**taken, "reused_from": theirs["reused_from"] or origin}
                row |= {"generation": row["generation"] + replaced}
                records = self._file.rows(RECORD, {"sweep": origin, "key": key})
                self._file.delete(cursor, RECORD, {"sweep": sweep, "key": key})
                self._file.put(cursor, RECORD, [each | {"sweep": sweep} for each in records])
            self._file.put(cursor, TRIAL, mine)
            self._due(cursor, sweep, list(origins))

    def stacks(self, sweep: str) -> list[SavedStack]:
        """Return the stacks of a sweep that are under way."""
        return [saved_stack_of(row) for row in self._file.rows(STACK, {"sweep": sweep}, "id")]

    def forget_stacks(self, sweep: str, ids: Iterable[str]) -> None:
        """Drop stacks: whose trials have all ended, or whose checkpoint is lost."""
        with self._file.transaction() as cursor:
            for id in ids:
                self._file.delete(cursor, STACK, {"sweep": sweep, "id": id})

    # delivery

    def outbox(self, sweep: str) -> dict[str, int]:
        """Return what MLflow may lack, each with the version that it is of, in the order of the plan."""
        versions = {row["key"]: row["version"] for row in self._file.rows(OUTBOX, {"sweep": sweep})}
        trials = self._file.select("SELECT key FROM trial WHERE sweep = ? ORDER BY position", (sweep,))
        return {key: versions[key] for key in (OWN_RUN, *(key for (key,) in trials)) if key in versions}

    def pending(self, sweep: str) -> int:
        """Return how many rows the outbox has for a sweep."""
        return int(self._file.scalar("SELECT count(*) FROM outbox WHERE sweep = ?", (sweep,)))

    def deliveries(self, sweep: str) -> dict[str, Delivered]:
        """Return what MLflow has of a sweep, by key."""
        return {row["key"]: delivered_of(row) for row in self._file.rows(DELIVERY, {"sweep": sweep})}

    def delivered(self, sweep: str, key: str, delivered: Delivered, version: int | None = None) -> None:
        """Note what MLflow has; what was sent of a version of the outbox leaves it, unless there is a newer one."""
        self.all_delivered(sweep, [(key, delivered, version)])

    def all_delivered(self, sweep: str, notes: Sequence[tuple[str, Delivered, int | None]]) -> None:
        """Note what MLflow has, of many at once: keys, each with what there is and the version that was sent."""
        rows = [
            {"sweep": sweep, "key": key, **asdict(each), "aggregated": int(each.aggregated)} for key, each, _ in notes
        ]
        with self._file.transaction() as cursor:
            self._file.put(cursor, DELIVERY, rows)
            for key, _, version in notes:
                if version is not None:
                    self._file.delete(cursor, OUTBOX, {"sweep": sweep, "key": key, "version": version})

    def nothing_due(self, sweep: str, key: str, version: int) -> None:
        """Take a version out of the outbox of which there is nothing to tell MLflow."""
        with self._file.transaction() as cursor:
            self._file.delete(cursor, OUTBOX, {"sweep": sweep, "key": key, "version": version})

    def under_way(self) -> dict[str, list[str]]:
        """Return the sweeps that look as if they were worked on: trials that are running, or its own run in MLflow."""
        found: dict[str, list[str]] = {}
        for sweep, key in self._file.select("SELECT sweep, key FROM trial WHERE state = 'running'"):
            found.setdefault(sweep, []).append(key)
        for (sweep,) in self._file.select("SELECT sweep FROM delivery WHERE key = ? AND state = 'running'", (OWN_RUN,)):
            found.setdefault(sweep, [])
        return found

    def deliver_again(self, sweep: str, keys: Iterable[str], *, wholly: bool = True) -> None:
        """Put trials, or the sweep's own run, into the outbox. wholly: as if MLflow had nothing of them."""
        keys = list(keys)
        with self._file.transaction() as cursor:
            for key in keys if wholly else ():
                self._file.delete(cursor, DELIVERY, {"sweep": sweep, "key": key})
            self._due(cursor, sweep, keys)

    # housekeeping

    def size(self, sweep: str) -> int:
        """Return how many characters a sweep has in all tables."""
        found = 0
        for table in TABLES:
            lengths = " + ".join(f"ifnull(length({name}), 0)" for name in table.columns)
            where = "id" if table is SWEEP else "sweep"
            found += self._file.scalar(
                f"SELECT ifnull(sum({lengths}), 0) FROM {table.name} WHERE {where} = ?", (sweep,)
            )
        return found

    def delete(self, sweep: str) -> None:
        """Delete all of a sweep."""
        with self._file.transaction() as cursor:
            for table in TABLES:
                self._file.delete(cursor, table, {"id" if table is SWEEP else "sweep": sweep})

    def _set(self, cursor: Cursor, sweep: str, settings: Mapping[str, Any]) -> None:
        (row,) = self._file.rows(SWEEP, {"id": sweep})
        self._file.put(cursor, SWEEP, [row | {"settings": json.dumps(dict(settings))}])

    def _trial(self, sweep: str, key: str) -> Row:
        (row,) = self._trials(sweep, [key])
        return row

    def _trials(self, sweep: str, keys: Iterable[str]) -> list[Row]:
        found = []
        for key in keys:
            rows = self._file.rows(TRIAL, {"sweep": sweep, "key": key})
            if not rows:
                raise DamageError(f"{self.path}: sweep {sweep} has no trial {key}")
            found.append(rows[0])
        return found

    def _has_all(self, row: Row) -> bool:
        """Return whether all of a trial's records are as they were written."""
        count: int = row["records"]
        return len(self._file.sound(RECORD, {"sweep": row["sweep"], "key": row["key"]})[0]) == count

    def _record(self, cursor: Cursor, row: Row, new: History) -> None:
        """Add records to a trial's. Of epochs that it has, equal ones stay as they are; from the first one that differs
        on, the new ones replace them."""
        old = self.history(row["sweep"], row["key"]) if new.epochs and new.epochs[0] <= row["epoch"] else History()
        if old.epochs:
            same = _same_until(old, new)
            if same < min(old.epochs[-1], new.epochs[-1]):
                self._drop_records(cursor, row)
                new = old.until(same) + new.after(same)
            else:
                new = new.after(old.epochs[-1])
        self._append(cursor, row, new)

    def _append(self, cursor: Cursor, row: Row, new: History) -> None:
        if new.epochs:
            text = json.dumps(new.describe(), separators=(",", ":"))
            more = {"first": new.epochs[0], "last": new.epochs[-1], "history": text}
            self._file.put(cursor, RECORD, [{"sweep": row["sweep"], "key": row["key"], **more}])
            row |= {"epoch": new.epochs[-1], "records": row["records"] + 1}

    def _drop_records(self, cursor: Cursor, row: Row) -> None:
        self._file.delete(cursor, RECORD, {"sweep": row["sweep"], "key": row["key"]})
        row |= {"generation": row["generation"] + 1, "epoch": 0, "records": 0}

    def _end(self, cursor: Cursor, row: Row, result: TrialResult) -> None:
        """Record how a trial ended. Of an earlier training that went on for longer, the rest is dropped."""
        if result.outcome != "failed" and row["epoch"] > result.epoch:
            kept = self.history(row["sweep"], row["key"]).until(result.epoch)
            self._drop_records(cursor, row)
            self._append(cursor, row, kept)
        text = json.dumps(result.describe(), separators=(",", ":"))
        epoch = max(row["epoch"], result.epoch)
        row |= {"state": result.outcome, "epoch": epoch, "note": result.reason, "result": text}

    def _completed(self, cursor: Cursor, sweep: str, configurations: Iterable[str]) -> set[str]:
        """Return the trials of configurations of which all trials have ended."""
        found: set[str] = set()
        for configuration in configurations:
            query = "SELECT key, state FROM trial WHERE sweep = ? AND configuration = ?"
            states = dict(cursor.execute(query, (sweep, configuration)).fetchall())
            if all(state in ENDS for state in states.values()):
                found |= states.keys()
        return found

    def _due(self, cursor: Cursor, sweep: str, keys: Iterable[str]) -> None:
        query = "SELECT version FROM outbox WHERE sweep = ? AND key = ?"
        for key in keys:
            found = cursor.execute(query, (sweep, key)).fetchone()
            version = time.time_ns() if found is None else max(time.time_ns(), found[0] + 1)
            self._file.put(cursor, OUTBOX, [{"sweep": sweep, "key": key, "version": version}])

    def _has_rows(self, sweep: str) -> bool:
        """Return whether anything is left of a sweep whose own row is lost."""
        names = [table.name for table in TABLES if table is not SWEEP]
        return any(self._file.select(f"SELECT 1 FROM {name} WHERE sweep = ? LIMIT 1", (sweep,)) for name in names)

    def _mend(self, plan: Plan, sweep: Row, damaged: Sequence[Table]) -> list[str]:
        """Put damaged rows of a sweep back to what is known for sure; what is lost is trained or delivered again."""
        broken: dict[Table, list[Row]] = {table: [] for table in TABLES if table is not SWEEP}
        records: dict[str, int] = {}  # that each trial should have
        counts: Counter[str] = Counter()  # of those that are sound
        for table in broken:
            for row, sound in self._file.scan(table, {"sweep": plan.id}):
                if not sound:
                    broken[table].append(row)
                elif table is TRIAL:
                    records[row["key"]] = row["records"]
                elif table is RECORD:
                    counts[row["key"]] += 1
        damaged = [*damaged, *(table for table in (STACK, OUTBOX, DELIVERY) if broken[table])]
        lost = [trial for trial in plan.trials if records.get(trial.key) != counts[trial.key]]
        lines = [f"the ledger's rows of trial {trial.label} ({trial.key[:8]}) are damaged" for trial in lost]
        lines += [f"a row of the ledger's table {table.name} is damaged" for table in damaged]
        with self._file.transaction() as cursor:
            self._file.put(cursor, SWEEP, [sweep])
            for table, rows in broken.items():
                self._file.forget(cursor, table, rows)
            for trial in lost:
                for table in (TRIAL, RECORD):
                    self._file.delete(cursor, table, {"sweep": plan.id, "key": trial.key})
                # another generation than any before: its run in MLflow, if there is one, is replaced
                self._file.put(cursor, TRIAL, [trial_row(plan, trial) | {"generation": time.time_ns()}])
            self._forget_stacks_of(cursor, plan.id, {trial.key for trial in lost})
            if {OUTBOX, DELIVERY} & {*damaged}:
                self._due(cursor, plan.id, [OWN_RUN, *(trial.key for trial in plan.trials)])
        return lines

    def _forget_stacks_of(self, cursor: Cursor, sweep: str, keys: set[str]) -> None:
        """Drop the stacks of trials whose records are lost: they would go on from the middle."""
        for row in self._file.sound(STACK, {"sweep": sweep})[0]:
            if keys & {*json.loads(row["keys"])}:
                self._file.delete(cursor, STACK, {"sweep": sweep, "id": row["id"]})


def _same_until(old: History, new: History) -> int:
    """Return the last epoch up to which two histories say the same, to the bit, of the epochs that both have."""
    place = {epoch: number for number, epoch in enumerate(old.epochs)}
    last = new.epochs[0] - 1
    for number, epoch in enumerate(new.epochs):
        if epoch not in place:
            continue
        if _said(old, place[epoch]) != _said(new, number):
            return last
        last = epoch
    return last


def _said(history: History, number: int) -> str:
    """Return a record's values as a text, which tells -0.0 from 0.0, and in which a NaN equals itself."""
    return repr(sorted((name, values[number]) for name, values in history.values.items()))
