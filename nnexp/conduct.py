"""Carrying out a plan: what is missing is trained, what MLflow lacks is delivered, and what came out is said."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.clock import Clock
from nnexp.errors import NnexpError

if TYPE_CHECKING:
    from nnexp.config.build import RunSettings
    from nnexp.invocation import Invocation
    from nnexp.opening import OpenSweep
    from nnexp.screen import Screen
    from nnexp.summary import Summary
    from nnexp.sweeps.interrupts import Halt, Interrupts
    from nnexp.sweeps.kept import Standing
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.plan import Plan, Trial
    from nnexp.tracking.delivery import Delivery, Drained
    from nnexp.tracking.store import Store

PATIENCE = 10.0  # seconds without any progress after which delivery gives up
TERMINATED_SECONDS = 4.0  # for all of the rest after SIGTERM: schedulers kill after ten
SHORT_PATIENCE = 3.0  # where somebody waits for the end


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
    invocation: Invocation,
) -> Ran:
    """Carry out a plan: train what the ledger has not got, deliver what MLflow has not got.

    Raises: UsageError if another process works on the sweep; NnexpError if something went wrong while working: what was
    saved stands, and the same command goes on.
    """
    from nnexp.opening import OpenSweep
    from nnexp.sweeps.holding import holding
    from nnexp.sweeps.interrupts import Interrupts
    from nnexp.tracking.delivery import check_store

    if settings.tracking.required:
        check_store(store)
    folder = store.root / "sweeps" / plan.id
    with holding(folder, plan.id), Interrupts() as interrupts:
        try:
            sweep = OpenSweep(plan, settings.sweep, store, screen, invocation, single=single)
            with closing(sweep.ledger):
                return _Conduct(sweep, data, settings, clock, interrupts).run()
        except OSError as error:  # a full disk, a folder that cannot be written
            where = f"{error.filename}: " if error.filename else ""
            raise NnexpError(
                f"{where}{error.strerror or error}; what was saved stands, the same command goes on"
            ) from error


class _Conduct:
    """One run of a plan, by the process that holds it."""

    def __init__(
        self, sweep: OpenSweep, data: Mapping[Any, Any], settings: RunSettings, clock: Clock, interrupts: Interrupts
    ) -> None:
        self.sweep, self.prepared, self.settings, self.clock = sweep, data, settings, clock
        self.interrupts = interrupts
        self.plan, self.ledger, self.store, self.screen = sweep.plan, sweep.ledger, sweep.store, sweep.screen
        self.folder, self.single = sweep.folder, sweep.single

    def run(self) -> Ran:
        """Do all of it."""
        from nnexp.summary import Summary
        from nnexp.tracking.delivery import Delivery, is_delivered, reconcile

        also = reconcile(self.ledger, self.store.root)
        standing = self.ledger.standing(self.plan.id)
        self._tell_codes(standing)
        trials = [trial for trial in self.plan.trials if not standing[trial.key].ended]
        watch = _Watch(self, standing)
        summary = Summary(self.ledger, self.plan, self.folder, single=self.single, trains=bool(trials))
        drained = None
        if trials or also or not summary.is_there or not is_delivered(self.ledger, self.plan, self.store):
            every = self.settings.tracking.every
            delivery = Delivery(self.ledger.path, self.plan.id, self.store, every, also=also)
            delivery.start()
            try:
                halt = self._train(trials, watch)
                rows = self._summarize(summary, halt)
            except BaseException:
                delivery.drain(patience=SHORT_PATIENCE)
                raise
            drained = self._drain(delivery, halt)
            if drained.pending and halt is None:
                halt = self.interrupts.halt
            self.clock.lap("track")
        else:
            halt = self._train(trials, watch)
            rows = self._summarize(summary, halt)
        if halt is None:
            self.sweep.finish_rerun()
        standing = self.ledger.standing(self.plan.id)
        self._say_result(halt, standing, rows, drained)
        failed = sum(each.state == "failed" for each in standing.values())
        return Ran(self.plan, self.folder, self.store, halt, failed)

    def _summarize(self, summary: Summary, halt: Halt | None) -> list[Row]:
        rows = summary.write(halt)
        self.clock.lap("finish")
        return rows

    def _drain(self, delivery: Delivery, halt: Halt | None) -> Drained:
        """Deliver the rest; a signal from now on ends that, and a scheduler that said SIGTERM does not wait long."""
        heard, began = self._heard(), time.monotonic()
        most = float("inf") if halt is None or halt.cause != "terminated" else TERMINATED_SECONDS
        return delivery.drain(
            PATIENCE if halt is None else SHORT_PATIENCE,
            self.screen.delivering,
            lambda: self._heard() != heard or time.monotonic() - began > most,
        )

    def _heard(self) -> tuple[int, float | None]:
        return self.interrupts.count, self.interrupts.terminated_at

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
            code=self.sweep.code,
        )
        self.clock.lap("train")
        return halt

    def _tell_codes(self, standing: Mapping[str, Standing]) -> None:
        """Say that results are from other versions of nnexp's own code, if they are."""
        codes = Counter(each.result.code for each in standing.values() if each.result is not None)
        others = {code: count for code, count in codes.items() if code != self.sweep.code}
        for code, count in others.items():
            self.screen.note(
                f"note: {count} of {len(standing)} results are from other code of nnexp ({code[:8]}) than today's "
                f"({self.sweep.code[:8]}), of the same numerics; sweep.rerun=all trains them again"
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

    def _say_result(
        self, halt: Halt | None, standing: Mapping[str, Standing], rows: Sequence[Row], drained: Drained | None
    ) -> None:
        from nnexp.screen import Result

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
                look=self._look(drained),
                again=None if halt is None else self.sweep.invocation.again,
            )
        )

    def _look(self, drained: Drained | None) -> tuple[str, ...]:
        """Return how to look at it in MLflow; without a link where MLflow was not asked, as it has all of it."""
        from nnexp.screen import how_to_look
        from nnexp.tracking.views import Place, runs_link

        experiment, page = drained and drained.experiment_id, None
        if drained is not None and not experiment:
            return ()
        if experiment:
            page = runs_link(experiment) if self.single else Place(experiment, self.plan.id).link
        return how_to_look(self.store.address, page, self.store.root, None if self.single else self.plan.name)

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
                done=states["finished"] + states["diverged"] - self.work.sweep.reused,
                failed=states["failed"],
                reused=self.work.sweep.reused,
                resumed=resumed,
                widths=widths,
                workers=workers,
                single=self.work.single,
            )
        )
