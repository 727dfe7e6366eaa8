"""Carrying out a plan: what is missing is trained, what MLflow lacks is delivered, and what came out is said."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.clock import Clock
from nnexp.errors import NnexpError, UsageError

if TYPE_CHECKING:
    from nnexp.config.build import RunSettings
    from nnexp.screen import Screen
    from nnexp.sweeps.interrupts import Halt, Interrupts
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.ledger import Ledger, Standing
    from nnexp.sweeps.plan import Plan, Trial
    from nnexp.sweeps.results import TrialResult
    from nnexp.tracking.delivery import Drained
    from nnexp.tracking.store import Store

PATIENCE = 10.0  # seconds without any progress after which delivery gives up
SHORT_PATIENCE = 3.0  # where somebody waits for the end
ADHOC = "adhoc"  # the name of sweeps without one: what their plans have in common is nobody's intention


@dataclass(frozen=True)
class Ran:
    """How a run of a plan ended. halt: why it did before its trials had, if so. failed: trials that have failed, in
    earlier runs too."""

    plan: Plan
    folder: Path
    store: Store
    halt: Halt | None
    failed: int

    @property
    def exit_code(self) -> int:
        """0 all finished, 1 some failed or were stopped by a limit, 130 interrupted, 143 terminated."""
        if self.halt is not None:
            return {"interrupted": 130, "terminated": 143}.get(self.halt.cause, 1)
        return 1 if self.failed else 0


def conduct(
    plan: Plan,
    data: Mapping[Any, Any],
    settings: RunSettings,
    clock: Clock,
    screen: Screen,
    *,
    store: Store,
    single: bool,
) -> Ran:
    """Carry out a plan: train what the ledger has not got, deliver what MLflow has not got.

    Raises: UsageError if another process works on the sweep; NnexpError if something went wrong while working: what was
    saved stands, and the same command goes on.
    """
    from nnexp.sweeps.holding import holding
    from nnexp.sweeps.interrupts import Interrupts
    from nnexp.tracking.delivery import check_store

    if settings.tracking.required:
        check_store(store)
    folder = store.root / "sweeps" / plan.id
    with holding(folder, plan.id), Interrupts() as interrupts:
        try:
            work = _Conduct(plan, data, settings, clock, screen, store, interrupts, single)
            try:
                return work.run()
            finally:
                work.close()
        except OSError as error:  # a full disk, a folder that cannot be written
            where = f"{error.filename}: " if error.filename else ""
            raise NnexpError(
                f"{where}{error.strerror or error}; what was saved stands, the same command goes on"
            ) from error


class _Conduct:
    """One run of a plan, by the process that holds it."""

    def __init__(
        self,
        plan: Plan,
        data: Mapping[Any, Any],
        settings: RunSettings,
        clock: Clock,
        screen: Screen,
        store: Store,
        interrupts: Interrupts,
        single: bool,
    ) -> None:
        from nnexp.sweeps.plan import code_digest

        self.plan, self.prepared, self.settings, self.clock = plan, data, settings, clock
        self.screen, self.store, self.interrupts, self.single = screen, store, interrupts, single
        self.folder, self.code = store.root / "sweeps" / plan.id, code_digest()
        self.new, self.reused = True, 0
        self.ledger = self._opened()

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def run(self) -> Ran:
        """Do all of it."""
        from nnexp.tracking.delivery import Delivery, is_delivered, reconcile

        self.plan.freeze(self.folder)
        self._tell_changes()
        again = self._plan_again()
        self._reuse(again)
        also = reconcile(self.ledger, self.store.root)
        standing = self.ledger.standing(self.plan.id)
        self._tell_codes(standing)
        trials = [trial for trial in self.plan.trials if not standing[trial.key].ended]
        watch = _Watch(self, standing)
        drained = None
        if trials or also or not is_delivered(self.ledger, self.plan, self.store):
            every = self.settings.tracking.every
            delivery = Delivery(self.ledger.path, self.plan.id, self.store, every, also=also)
            delivery.start()
            try:
                halt = self._train(trials, watch)
                rows = self._write_summary()
            except BaseException:
                delivery.drain(patience=SHORT_PATIENCE)
                raise
            drained = delivery.drain(PATIENCE if halt is None else SHORT_PATIENCE, self.screen.delivering)
            self.clock.lap("track")
        else:
            halt, rows = self._train(trials, watch), self._write_summary()
        self._close_rerun(halt)
        self._say_result(halt, rows, drained)
        failed = sum(each.state == "failed" for each in self.ledger.standing(self.plan.id).values())
        return Ran(self.plan, self.folder, self.store, halt, failed)

    def _opened(self) -> Ledger:
        """Return the ledger with the plan in it; what is damaged is said and mended."""
        from filelock import FileLock

        from nnexp.sweeps.database import DamageError
        from nnexp.sweeps.salvage import salvage

        path = self.store.root / "ledger.db"
        with FileLock(path.with_suffix(".lock"), timeout=60):
            try:
                return self._added(path)
            except DamageError as error:
                self._refuse_if_others_work(error)
                self.screen.note(f"{error}: {salvage(path)}")
                return self._added(path)

    def _added(self, path: Path) -> Ledger:
        from nnexp.sweeps.ledger import Ledger

        ledger = Ledger(path)
        try:
            before = ledger.sweep(self.plan.id)
            self.new = before is None
            more = {} if before is None else {"rerun": before.settings.get("rerun")}
            for line in ledger.add(self.plan, self.code, self._described() | more):
                self.screen.note(f"{line}; it is trained or delivered again")
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _described(self) -> dict[str, Any]:
        from nnexp.tracking.store import without_credentials

        return {
            "store": without_credentials(self.store.uri),
            "experiment": self.store.experiment,
            "single": self.single,
            "argv": [without_credentials(each) for each in sys.argv[1:]],
            "rerun": None,
        }

    def _refuse_if_others_work(self, error: Exception) -> None:
        from nnexp.sweeps.holding import is_held

        for folder in (self.store.root / "sweeps").iterdir():
            if folder != self.folder and is_held(folder):
                raise UsageError(f"{error}; it can be mended when {folder.name} is no longer being worked on")

    def _tell_changes(self) -> None:
        """Say how a new plan differs from the last one of its name."""
        from nnexp.sweeps.reuse import changes

        earlier = [each for each in self.ledger.sweeps() if each.name == self.plan.name and each.id != self.plan.id]
        if self.new and earlier and self.plan.name != ADHOC:
            for line in changes(self.ledger, self.plan, earlier[-1]).lines():
                self.screen.note(line)

    def _plan_again(self) -> set[str]:
        """Let trials be trained again that are told to be; return the keys of those that no other sweep may replace.

        The same command after an interruption goes on with that: it does not begin anew.
        """
        told = self.settings.sweep.rerun
        if not told:
            return set()
        standing = self.ledger.standing(self.plan.id)
        if told == "failed":
            keys = {key for key, each in standing.items() if each.state == "failed"}
        elif told == "all":
            keys = set(standing)
        else:
            keys = {key for begins in self.settings.sweep.rerun_keys for key in self._keys_with(begins)}
        wanted = [told] if isinstance(told, str) else list(told)
        sweep = self.ledger.sweep(self.plan.id)
        if sweep is not None and sweep.settings.get("rerun") != wanted:
            ended = [key for key in keys if standing[key].ended]
            self.ledger.plan_again(self.plan.id, ended, self._described() | {"rerun": wanted})
        return keys

    def _keys_with(self, begins: str) -> list[str]:
        found = [trial.key for trial in self.plan.trials if trial.key.startswith(begins)]
        if not found:
            raise UsageError(f"sweep.rerun: no trial of sweep {self.plan.id} has a key that begins with {begins}")
        return found

    def _close_rerun(self, halt: Halt | None) -> None:
        if halt is None and self.settings.sweep.rerun:
            self.ledger.set_settings(self.plan.id, self._described())

    def _reuse(self, excluded: set[str]) -> None:
        """Take over what an earlier sweep of the ledger has trained."""
        from nnexp.sweeps.reuse import reuse

        standing = self.ledger.standing(self.plan.id)
        keys = [key for key, each in standing.items() if each.state == "planned" and key not in excluded]
        if not keys or len(self.ledger.sweeps()) < 2:
            return
        found = reuse(self.ledger, self.plan, keys, self.store.root / "sweeps")
        self.reused = len(found.origins)

    def _train(self, trials: Sequence[Trial], watch: _Watch) -> Halt | None:
        from nnexp.sweeps.execution import execute

        if not trials:
            watch.stacks((), 0, 0)
        data = self._stored({trial.data_key for trial in trials})
        halt = execute(
            self.plan,
            trials,
            data,
            ledger=self.ledger,
            folder=self.folder,
            executor=self.settings.executor,
            interrupts=self.interrupts,
            watcher=watch,
            code=self.code,
        )
        self.clock.lap("train")
        return halt

    def _tell_codes(self, standing: Mapping[str, Standing]) -> None:
        """Say that results are from other versions of nnexp's own code, if they are."""
        codes = Counter(each.result.code for each in standing.values() if each.result is not None)
        others = {code: count for code, count in codes.items() if code != self.code}
        for code, count in others.items():
            self.screen.note(
                f"note: {count} of {len(standing)} results are from other code of nnexp ({code[:8]}) than today's "
                f"({self.code[:8]}), of the same numerics; sweep.rerun=all trains them again"
            )

    def _stored(self, wanted: set[Any]) -> dict[Any, Any]:
        """Return the data that stacks read, written beside the plan once."""
        from nnexp.data.prepared import open_data, store
        from nnexp.sweeps.plan import digest

        found = {}
        for key in wanted:
            source, dtype = key
            divisions = sorted(division.digest for division in self.prepared[key].divisions.values())
            folder = self.folder / "data" / f"{source.name}-{dtype}-{digest(divisions)[:12]}"
            found[key] = open_data(folder) if folder.exists() else store(self.prepared[key], folder)
        return found

    def _write_summary(self) -> list[Row]:
        """Write the leaderboard and the figure, and let them be delivered."""
        from nnexp.reporting.figures import comparison
        from nnexp.sweeps.leaderboard import as_csv, leaderboard
        from nnexp.sweeps.ledger import OWN_RUN
        from nnexp.sweeps.plan import write_whole

        results = _results(self.ledger.standing(self.plan.id))
        rows = leaderboard(self.plan.trials, results)
        written = self.folder / "leaderboard.csv"
        text = as_csv(rows)
        if not written.exists() or written.read_text(encoding="utf-8") != text:
            write_whole(written, text)
            if not self.single:
                comparison(rows, results, self.folder / "comparison.png")
            self.ledger.deliver_again(self.plan.id, [OWN_RUN], wholly=False)
        self.clock.lap("finish")
        return rows

    def _say_result(self, halt: Halt | None, rows: Sequence[Row], drained: Drained | None) -> None:
        from nnexp.screen import Result

        standing = self.ledger.standing(self.plan.id)
        states = Counter(each.state for each in standing.values())
        single = (self.plan.trials[0], standing[self.plan.trials[0].key].result) if self.single else None
        self.screen.result(
            Result(
                sweep=self.plan.id,
                states=dict(states),
                rows=rows,
                folder=self.folder,
                trial=single,
                seconds=self.clock.stages,
                total_seconds=self.clock.total,
                notes=list(self._notes(halt, drained)),
                look=self._look(drained.experiment_id) if drained and drained.experiment_id else (),
                again=None if halt is None else f"{_program()} {shlex.join(sys.argv[1:])}",
            )
        )

    def _look(self, experiment: str) -> tuple[str, str]:
        from nnexp.screen import how_to_look
        from nnexp.tracking.views import Place, runs_link

        if self.single:
            return how_to_look(self.store.address, runs_link(experiment), self.store.root)
        page = Place(experiment, self.plan.id).link
        return how_to_look(self.store.address, page, self.store.root, self.plan.name)

    def _notes(self, halt: Halt | None, drained: Drained | None) -> Iterator[str]:
        if halt is not None:
            yield f"ended early: {halt.text}; what is saved stands"
        if drained is None:
            return
        yield from drained.notes
        if drained.count:
            each = 1000 * drained.seconds / drained.count
            opening = f"opening its store {drained.opening_seconds:.1f} s"
            yield f"MLflow, beside the training: {opening}, {drained.count} deliveries of {each:.0f} ms"
        if drained.pending:
            why = f" ({drained.error})" if drained.error else ""
            root = "" if self.store.root == Path("runs").resolve() else f" --root {shlex.quote(str(self.store.root))}"
            yield f"MLflow has not got all of it: {drained.pending} pending{why}; `nnexp-sync{root}` delivers it"


class _Watch:
    """Passes on to the screen what execution says; of the stacks it makes what is planned."""

    def __init__(self, work: _Conduct, standing: Mapping[str, Standing]) -> None:
        self.work, self.standing, screen = work, standing, work.screen
        self.show, self.ended, self.failed, self.note = screen.show, screen.ended, screen.failed, screen.note

    def stacks(self, widths: Sequence[int], resumed: int, workers: int) -> None:
        """Hear of the stacks to train."""
        from nnexp.screen import Planned

        plan, states = self.work.plan, Counter(each.state for each in self.standing.values())
        self.work.screen.planned(
            Planned(
                sweep=plan.id,
                trials=len(plan.trials),
                configurations=len(plan.configurations),
                removed=sum(sum(made["removed"].values()) for made in plan.made),
                merged=plan.merged + sum(made["collapsed"] for made in plan.made),
                done=states["finished"] + states["diverged"] - self.work.reused,
                failed=states["failed"],
                reused=self.work.reused,
                resumed=resumed,
                widths=widths,
                workers=workers,
                single=self.work.single,
            )
        )


def _results(standing: Mapping[str, Standing]) -> dict[str, TrialResult]:
    """Return the results of the trials that have ended."""
    return {key: each.result for key, each in standing.items() if each.result is not None}


def _program() -> str:
    return "python -m nnexp.run" if sys.argv[0].endswith("run.py") else Path(sys.argv[0]).name
