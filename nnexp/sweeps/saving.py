"""Saving: a slice's checkpoint and files first, then all that it changes in the ledger at once; and restoring."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnexp.data.prepared import Data
from nnexp.errors import DataError, NnexpError
from nnexp.sweeps.files import Files, ended_files, failed_files, write_files
from nnexp.sweeps.kept import SavedSlice, SavedStack
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import DataKey, Plan, Trial
from nnexp.sweeps.results import History, TrialResult
from nnexp.sweeps.stacks import Stack, form, load_state, restore
from nnexp.training import checkpoint
from nnexp.training.checkpoint import check
from nnexp.training.state import End

CHECKPOINTS = "checkpoints"  # their folder, in the sweep's


@dataclass(frozen=True)
class Restored:
    """What was saved of trials: stacks under way, trials that have none, and a line for each stack that is lost."""

    stacks: list[Stack]
    rest: list[Trial]
    lines: list[str]


class Saver:
    """Saves the stacks of a sweep. code: digest of nnexp's own, which results name. folder: the sweep's."""

    def __init__(self, ledger: Ledger, plan: Plan, folder: Path, code: str) -> None:
        self.ledger, self.plan, self.folder, self.code = ledger, plan, folder, code

    def save(self, stack: Stack, ends: Mapping[int, End] | None = None) -> dict[str, TrialResult]:
        """Save what a stack has trained and observed, with the results of those that ended, by position.

        Raises: NnexpError if it cannot be written; what was saved before stands.
        """
        ended = {stack.trials[position].key: (position, end) for position, end in (ends or {}).items()}
        histories = {key: self._history(stack, position) for key, (position, _) in ended.items()}
        files = {
            key: _files(stack, position, end, histories[key]) for key, (position, end) in ended.items()
        }  # fmt: skip
        with self._clearly():
            digests = write_files(self.folder, files)
        results = {
            key: self._result(stack, position, end, histories[key], digests[key])
            for key, (position, end) in ended.items()
        }
        self._put([stack], results)
        return results

    def replace(self, stack: Stack, parts: Sequence[Stack]) -> None:
        """Save the parts that go on in place of a stack, which is saved."""
        if stack.state is not None:
            self._put(parts, over=stack)

    def fail(self, stack: Stack, reason: str, trace: str | None) -> TrialResult:
        """Save that a trial, alone in its stack, failed. What was saved of it stays: it may be told to go on."""
        (position,) = stack.alive
        trial, history = stack.trials[position], self._history(stack, position)
        with self._clearly():
            digests = write_files(self.folder, {trial.key: failed_files(trial, history, trace)})
        result = TrialResult(
            outcome="failed", epoch=stack.epoch, objective=None, summary={}, costs=stack.costs(position, stack.epoch),
            stack_width=stack.width, started_at=stack.started_at, ended_at=time.time(), code=self.code,
            files=digests[trial.key], reason=reason,
        )  # fmt: skip
        self._put([stack] if stack.state is not None else [], {trial.key: result})
        return result

    def _put(
        self, stacks: Sequence[Stack], results: Mapping[str, TrialResult] | None = None, over: Stack | None = None
    ) -> None:
        before = [stack.saved for stack in (*stacks, *([over] if over else [])) if stack.saved]
        rows = {stack.id: self._checkpoint(stack) for stack in stacks if stack.alive}
        self.ledger.save(
            self.plan.id,
            SavedSlice(
                records={stack.trials[each].key: stack.history(each) for stack in stacks for each in stack.unsaved},
                results=results or {},
                epochs={key: stack.epoch for stack in stacks for key in stack.keys},
                stacks=list(rows.values()),
                over=[saved.id for saved in before if saved.id not in rows],
            ),
        )
        for stack in stacks:
            stack.saved, stack.unsaved, stack.unsaved_seconds = rows.get(stack.id), {}, 0.0
        for saved in before:
            if saved not in rows.values():
                (self.folder / saved.file).unlink(missing_ok=True)

    def _checkpoint(self, stack: Stack) -> SavedStack:
        """Write a stack's checkpoint, of those that go on alone; return its row."""
        if stack.saved is not None and stack.saved.epoch == stack.epoch and stack.saved.keys == tuple(stack.keys):
            return stack.saved
        file = f"{CHECKPOINTS}/{stack.id}-{stack.epoch}-{len(stack.keys)}.npz"
        with self._clearly():
            (self.folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            sha = checkpoint.save(stack.compact(), self.folder / file)
        return SavedStack(stack.id, tuple(stack.keys), stack.epoch, file, sha, stack.more())

    def restored(self, trials: Sequence[Trial], data: Mapping[DataKey, Data], failed: Set[str]) -> Restored:
        """Return the stacks that were saved, with the trials that are to be trained and no others.

        Stacks of which no trial is wanted are forgotten, but for those that failed; so are files that belong to none.
        Args: failed: keys of the trials that did.
        """
        planned = {trial.key: trial for trial in self.plan.trials}
        missing = {trial.key: trial for trial in trials}
        stacks: list[Stack] = []
        kept: list[SavedStack] = []
        lost: list[SavedStack] = []
        lines: list[str] = []
        for row in self.ledger.stacks(self.plan.id):
            wanted = [number for number, key in enumerate(row.keys) if key in missing]
            if not wanted:
                (kept if failed & set(row.keys) else lost).append(row)
                continue
            of_row = [planned[key] for key in row.keys]
            try:
                stack = self._restored(row, of_row, wanted, data[of_row[0].data_key])
            except DataError as error:
                lost.append(row)
                lines.append(f"{error}: {len(wanted)} trials start over")
            else:
                kept.append(row)
                stacks.append(stack)
                for number in wanted:
                    del missing[row.keys[number]]
        self.ledger.forget_stacks(self.plan.id, [row.id for row in lost])
        self._sweep_up({row.file for row in kept})
        return Restored(stacks, list(missing.values()), lines)

    def _restored(self, row: SavedStack, trials: Sequence[Trial], wanted: Sequence[int], data: Data) -> Stack:
        check(self.folder / row.file, row.sha256)
        whole = restore(row, trials, data)
        if len(wanted) == len(trials):
            return whole
        load_state(whole, self.folder)
        (part,) = whole.parts(wanted)
        part.id, part.saved = row.id, row
        return part

    def started_over(self, stack: Stack) -> Stack:
        """Return a stack of the same trials at their start; what was saved of it is lost."""
        self.ledger.forget_stacks(self.plan.id, [stack.id])
        return form(stack.trials, stack.problem.data)

    def _sweep_up(self, files: Set[str]) -> None:
        """Remove what a dead process left behind."""
        with self._clearly():
            for path in (self.folder / CHECKPOINTS).glob("*"):
                if f"{CHECKPOINTS}/{path.name}" not in files:
                    path.unlink()
            for path in (self.folder / "trials").glob(".*.tmp"):
                shutil.rmtree(path)

    def _history(self, stack: Stack, position: int) -> History:
        """Return all records of a replica: those in the ledger, then those that are not yet."""
        new = stack.history(position)
        first = new.epochs[0] if new.epochs else stack.epoch + 1
        return self.ledger.history(self.plan.id, stack.trials[position].key).until(first - 1) + new

    def _result(self, stack: Stack, position: int, end: End, history: History, files: dict[str, str]) -> TrialResult:
        metric, best = stack.problem.objective.metric, int(end.summary["epoch_best"])
        return TrialResult(
            outcome=end.outcome,
            epoch=end.epoch,
            objective=history.values[metric][history.epochs.index(best)] if best else None,
            summary=end.summary,
            costs=stack.costs(position, end.epoch),
            stack_width=stack.width,
            started_at=stack.started_at,
            ended_at=time.time(),
            code=self.code,
            files=files,
        )

    @contextmanager
    def _clearly(self) -> Iterator[None]:
        """Say in one line what the system cannot do."""
        try:
            yield
        except OSError as error:
            what = f"{error.filename or self.folder}: {error.strerror or error}"
            raise NnexpError(f"{what}; what was saved before stands, and the same command goes on from there") from None


def _files(stack: Stack, position: int, end: End, history: History) -> Files:
    unpack = stack.problem.blueprint.layout.unpack
    average = unpack(end.average) if end.average.size else {}
    return ended_files(stack.trials[position], history, unpack(end.theta), average, end.confusion)
