"""Execution: stacks, slice by slice on workers, saved as they go; whatever becomes of a worker or of the run."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from nnexp.config.build import Executor
from nnexp.data.prepared import Data
from nnexp.errors import DataError, NnexpError
from nnexp.sweeps.grouping import group
from nnexp.sweeps.interrupts import Halt, Interrupts
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.limits import Limits
from nnexp.sweeps.plan import DataKey, Plan, Trial
from nnexp.sweeps.pool import Pool
from nnexp.sweeps.progress import Ended, Failure, Watcher
from nnexp.sweeps.results import TrialResult
from nnexp.sweeps.saving import Saver
from nnexp.sweeps.stacks import Stack, form, load_state
from nnexp.sweeps.tally import Tally
from nnexp.sweeps.workers import CallFailed, Done, WorkerDied, count_workers

SAVE_SECONDS = 1.0  # of work, which is what an interruption at once may cost beside the slice
TICK_SECONDS = 0.25  # between looks at signals and clocks
MOST_LOSSES = 2  # of a slice, until its stack is halved
MOST_FALSE_STARTS = 10  # of workers, one after another


def execute(
    plan: Plan,
    trials: Sequence[Trial],
    data: dict[DataKey, Data],
    *,
    ledger: Ledger,
    folder: Path,
    executor: Executor,
    interrupts: Interrupts,
    watcher: Watcher,
    code: str,
) -> Halt | None:
    """Train trials, from where they were saved, and save every slice in the ledger.

    Args: trials: those to train, in the order of the plan. data: theirs, stored. folder: the sweep's. code: digest of
    nnexp's own.
    Returns: None if all of them ended, else why not; those under way are marked as stopped and go on from there.
    Raises: NnexpError if something cannot be written, or workers cannot start; what was saved before stands.
    """
    if not trials:
        return None
    with Pool(min(count_workers(executor.workers), len(trials)), executor.memory_mb) as pool:
        saver = Saver(ledger, plan, folder, code)
        run = _Execution(saver, pool, Limits(executor), interrupts, watcher)
        run.prepare(trials, data)
        return run.run()


class _Execution:
    """A run of a plan.

    Attributes: stacks: all that are not over, by id; those that wait for a worker are in `waiting`.
    """

    def __init__(self, saver: Saver, pool: Pool, limits: Limits, interrupts: Interrupts, watcher: Watcher) -> None:
        self.saver, self.pool, self.limits = saver, pool, limits
        self.interrupts, self.watcher = interrupts, watcher
        self.ledger, self.plan = saver.ledger, saver.plan
        self.stacks: dict[str, Stack] = {}
        self.waiting: list[Stack] = []  # the next one last
        self.halt: Halt | None = None
        self.late = 0
        self.false_starts = 0

    # before and after

    def prepare(self, trials: Sequence[Trial], data: dict[DataKey, Data]) -> None:
        """Find what was saved of the trials, and group the others."""
        wanted, standing = {trial.key for trial in trials}, self.ledger.standing(self.plan.id)
        known = {key: each.result for key, each in standing.items() if each.ended and each.result and key not in wanted}
        self.tally = Tally(self.plan, len(trials), known)
        failed = {key for key, each in standing.items() if each.state == "failed"}
        restored = self.saver.restored(trials, data, failed)
        for line in restored.lines:
            self.watcher.note(line)
        fresh = [form(hand, data[hand[0].data_key]) for hand in group(restored.rest, data, self.pool.count)]
        for stack in (*restored.stacks, *fresh):
            self._add(stack)
        self._occupy_all_workers()
        self.waiting.sort(key=lambda stack: stack.work_left)  # the most work first, so that workers end together
        self.tally.work = sum(stack.work_left for stack in self.waiting)
        widths = [len(stack.alive) for stack in self.waiting]
        self.watcher.stacks(widths, len(restored.stacks), self.pool.count)

    def run(self) -> Halt | None:
        """Train until all is done or there is a reason to stop; return it."""
        try:
            while not self._stops_at_once():
                while self.waiting and self.pool.has_room and self.halt is None:
                    self._start(self.waiting.pop())
                if self.pool.is_idle:
                    break
                for stack, future in self.pool.answers(TICK_SECONDS):
                    self._settle(stack, future)
                self._give_up_what_hangs()
            return self._close()
        except NnexpError as error:
            self.pool.end()
            with suppress(NnexpError):  # the disk may be full for this too
                self._stop(str(error))
            raise

    def _close(self) -> Halt | None:
        if not self.stacks:
            return Halt("trial_seconds", f"{self.late} trials stopped: {self.limits.late_words}") if self.late else None
        assert self.halt is not None, "nothing else leaves stacks"
        at_once = not self.pool.is_idle
        self.pool.end()
        for stack in self.stacks.values():
            if stack.unsaved_seconds and not at_once:
                self.saver.save(stack)
        self._stop(self.halt.text)
        return self.halt

    def _stop(self, note: str) -> None:
        """Mark all that is under way as stopped, and what a process that died left so."""
        standing = self.ledger.standing(self.plan.id)
        stopped = {key: each.epoch for key, each in standing.items() if each.state == "running"}
        self.ledger.stop(self.plan.id, stopped, note)
        self.tally.running = 0
        self._tell_stopped(stopped, note)

    def _stops_at_once(self) -> bool:
        """Look at signals and limits; return whether to wait for nothing any more."""
        if self.halt is None:
            self.halt = self.interrupts.halt or self.limits.halt(self.tally)
            if self.halt is not None:
                hint = "; Ctrl-C again stops at once" if self.halt.cause == "interrupted" else ""
                self.watcher.note(f"{self.halt.text}: stopping at the next slice{hint}")
        return self.interrupts.at_once or self.limits.is_long_over(self.tally)

    # slices

    def _start(self, stack: Stack) -> None:
        """Let a stack train its first slice of this run, or one again; those whose time is over do not."""
        late = self.limits.late(stack)
        if len(late) < len(stack.alive):
            try:
                load_state(stack, self.saver.folder)
            except DataError as error:
                stack, late = self._start_over(stack, error), []
        if late:
            self._set_aside(stack, late)
            return
        if not stack.begun:
            self.ledger.begin(self.plan.id, stack.keys)
            self.tally.running += len(stack.alive)
            stack.begin()
        self._train(stack)

    def _train(self, stack: Stack) -> None:
        self.pool.train(stack, stack.next_epochs(self.limits.slice_seconds(stack, self.tally)))

    def _settle(self, stack: Stack, future: Future[Done]) -> None:
        """Take an answer."""
        error = future.exception()
        if error is None:
            self._take_in(stack, future.result())
        elif not isinstance(error, WorkerDied):
            trace = error.trace if isinstance(error, CallFailed) else "".join(traceback.format_exception(error))
            line = str(error) if isinstance(error, CallFailed) else f"{type(error).__name__}: {error}"
            self._lose(stack, line, 1, trace)
        elif error.ready:
            self._lose(stack, str(error), MOST_LOSSES)
        else:
            self.false_starts += 1
            if self.false_starts >= MOST_FALSE_STARTS:
                raise NnexpError(f"workers cannot start: {error}")
            self.waiting.append(stack)
        self.watcher.show(self.tally.progress)

    def _take_in(self, stack: Stack, done: Done) -> None:
        self.false_starts, before, left = 0, stack.epoch, stack.work_left
        ends = stack.take_in(done)
        self.tally.epochs += sum(end.epoch - before for end in ends.values())
        self.tally.epochs += (stack.epoch - before) * len(stack.alive)
        self.tally.work_done += left - stack.work_left
        late = self.limits.late(stack)
        self._stops_at_once()
        goes_on = bool(stack.alive) and not late and self.halt is None
        if goes_on:
            self._train(stack)  # before anything slow
        if ends or not goes_on or stack.unsaved_seconds >= SAVE_SECONDS:
            self._tell(stack, self.saver.save(stack, ends))
        if not stack.alive:
            del self.stacks[stack.id]
        elif late:
            self._set_aside(stack, late)

    # what goes wrong

    def _lose(self, stack: Stack, reason: str, most: int, trace: str | None = None) -> None:
        """Let a slice that was lost be trained again, by halves if it was lost too often; a trial alone fails."""
        if self.halt is not None:
            return
        memory = self.limits.executor.memory_mb
        if memory is not None and ("Memory" in reason or trace is None):
            reason = f"{reason} (executor.memory_mb={memory})"
        stack.losses += 1
        alone = len(stack.alive) == 1
        if alone and stack.losses > self.limits.executor.max_retries:
            self._fail(stack, reason, trace)
        elif alone or stack.losses < most:
            self.watcher.note(f"{stack.words}: {reason}; the slice is trained again")
            self.waiting.append(stack)
        else:
            self.watcher.note(f"{stack.words}: {reason}; the stack is halved")
            self._divide(stack, *stack.halves())

    def _fail(self, stack: Stack, reason: str, trace: str | None) -> None:
        result = self.saver.fail(stack, reason, trace)
        self.tally.work_done += stack.work_left
        del self.stacks[stack.id]
        self._tell(stack, {stack.keys[0]: result})

    def _give_up_what_hangs(self) -> None:
        for worker, stack in self.pool.busy():
            most = self.limits.answer_seconds(stack)
            if most is not None and worker.busy_seconds > most:
                worker.kill(f"no answer for {most:g} s")

    def _start_over(self, stack: Stack, error: DataError) -> Stack:
        """Return a new stack of the trials of one whose checkpoint is lost."""
        self.watcher.note(f"{error}: {stack.words} starts over")
        again = self.saver.started_over(stack)
        del self.stacks[stack.id]
        self.stacks[again.id] = again
        self.tally.work += again.work_left - stack.work_left
        return again

    def _set_aside(self, stack: Stack, late: Sequence[int]) -> None:
        """Stop replicas that have had their time; they have a checkpoint of their own, the others go on."""
        aside, others = stack, [position for position in stack.alive if position not in late]
        if others:
            aside, rest = stack.parts(late, others)
            self._divide(stack, aside, rest)
            self.waiting.remove(aside)
        self.ledger.stop(self.plan.id, aside.keys, self.limits.late_words)
        self.tally.work_done += aside.work_left
        self.tally.running -= len(aside.alive) * aside.begun
        self.late += len(aside.alive)
        del self.stacks[aside.id]
        self._tell_stopped(dict.fromkeys(aside.keys, aside.epoch), self.limits.late_words)

    # stacks

    def _add(self, stack: Stack) -> None:
        self.stacks[stack.id] = stack
        self.waiting.append(stack)

    def _divide(self, stack: Stack, *parts: Stack) -> None:
        """Let parts go on in place of a stack."""
        if stack.unsaved_seconds:
            self.saver.save(stack)
        self.saver.replace(stack, parts)
        del self.stacks[stack.id]
        for part in reversed(parts):
            self._add(part)

    def _occupy_all_workers(self) -> None:
        """Divide stacks where there are fewer than workers."""
        while len(self.waiting) < self.pool.count:
            stack = max(self.waiting, key=lambda each: each.work_left)
            if len(stack.alive) == 1:
                return
            try:
                load_state(stack, self.saver.folder)
            except DataError:  # said when it starts
                return
            self.waiting.remove(stack)
            self._divide(stack, *stack.halves())

    # telling

    def _tell(self, stack: Stack, results: dict[str, TrialResult]) -> None:
        """Say how trials ended, once it is in the ledger."""
        by_key = {trial.key: trial for trial in stack.trials}
        for key, result in results.items():
            trial = by_key[key]
            self.tally.end(trial, result)
            if result.reason is not None:
                self.watcher.failed(Failure(key, trial.label, result.reason))
            else:
                self.watcher.ended(Ended(key, trial.label, result.outcome, result.epoch, result.objective))

    def _tell_stopped(self, epochs: dict[str, int], note: str) -> None:
        self.tally.states["stopped"] += len(epochs)
        for trial in self.plan.trials:
            if trial.key in epochs:
                self.watcher.ended(Ended(trial.key, trial.label, "stopped", epochs[trial.key], None, note))
        self.watcher.show(self.tally.progress)
