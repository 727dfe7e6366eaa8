"""The main job: plan, train, record, track, say."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.clock import Clock
from nnexp.errors import TrackingError, UsageError
from nnexp.screen import (
    Ticker,
    agrees,
    how_to_look,
    say,
    seconds_line,
    show_leaderboard,
    show_plan,
    show_trial,
    shown_path,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from nnexp.config.build import RunSettings
    from nnexp.config.compose import Composer
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.old_ledger import TrialResult
    from nnexp.sweeps.plan import Plan, Trial
    from nnexp.tracking.old_tracker import Tracker


def run_single(config: DictConfig) -> None:
    """Train the one trial of a config that Hydra composed, and print its result."""
    from nnexp.config.build import build_run, build_trial
    from nnexp.config.compose import resolve, unresolved
    from nnexp.sweeps.plan import make_plan
    from nnexp.tracking.store import store_uri

    clock = Clock()
    plain = resolve(unresolved(config))
    trial, settings = build_trial(plain), build_run(plain)
    sweep = settings.sweep.without_a_sweep()
    uri = store_uri(settings.tracking.uri, _root(settings))
    clock.lap("start")
    plan, data = make_plan(sweep.name or _experiment(config) or "adhoc", [(trial, {})])
    clock.lap("data")
    if sweep.dry_run:
        _preview(plan, data, settings)
    else:
        _Run(plan, data, settings, clock, uri=uri, single=True).run()


def run_sweep(composer: Composer, overrides: Sequence[str]) -> None:
    """Train every combination that overrides in Hydra's grammar name, and print the leaderboard."""
    from nnexp.config.build import build_run, build_trials
    from nnexp.config.grid import assignments, expand
    from nnexp.sweeps.plan import make_plan
    from nnexp.tracking.store import store_uri

    clock = Clock()
    clock.lap("start")
    grid = expand(composer, overrides)
    settings = build_run(grid.run_time)
    chosen = [dict(assignments(point.chosen)) for point in grid.points]
    configs = list(zip(build_trials(point.plain for point in grid.points), chosen, strict=True))
    uri = store_uri(settings.tracking.uri, _root(settings))
    clock.lap("compose")
    name = settings.sweep.name or grid.experiment or "adhoc"
    plan, data = make_plan(name, configs, overrides, grid.axes, [asdict(each) for each in grid.accounts])
    clock.lap("data")
    most = settings.sweep.max_trials
    if most is not None and len(plan.trials) > most:
        raise UsageError(f"sweep.max_trials is {most}, but the sweep has {len(plan.trials)} trials")
    if settings.sweep.dry_run:
        _preview(plan, data, settings)
        return
    _confirm(plan, settings)
    _Run(plan, data, settings, clock, uri=uri, single=False).run()


def _preview(plan: Plan, data: dict[Any, Any], settings: RunSettings) -> None:
    """Say what a plan would do; nothing is started and nothing is created."""
    from nnexp.sweeps.estimate import estimate

    show_plan(plan, estimate(plan, data, _workers(settings)))


def _confirm(plan: Plan, settings: RunSettings) -> None:
    """Ask whether a large sweep is meant, unless it was started before. Raises: UsageError if it is not."""
    most, trials = settings.sweep.confirm_above, len(plan.trials)
    if most is None or trials <= most or (_folder(plan, settings) / "plan.json").exists():
        return
    told = f"sweep {plan.id} has {trials} trials, more than sweep.confirm_above={most}"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"{told}: start it with sweep.confirm_above={trials}, or look with sweep.dry_run=true")
    if not agrees(f"{told}: start it?"):
        raise UsageError(f"{told}; it was not started")


def _workers(settings: RunSettings) -> int:
    from nnexp.sweeps.workers import cores

    workers = settings.executor.workers
    return cores() if workers == "auto" else int(workers)


def _folder(plan: Plan, settings: RunSettings) -> Path:
    return _root(settings) / "sweeps" / plan.id


def _root(settings: RunSettings) -> Path:
    return Path(settings.paths.root).resolve()


def _experiment(config: DictConfig) -> str | None:
    from hydra.core.hydra_config import HydraConfig

    found = HydraConfig.get().runtime.choices.get("experiment")
    return None if found is None else str(found)


class _Run:
    """One run of a plan: what is missing is trained, what MLflow lacks is delivered."""

    def __init__(
        self, plan: Plan, data: Mapping[Any, Any], settings: RunSettings, clock: Clock, *, uri: str, single: bool
    ) -> None:
        from nnexp.sweeps.old_ledger import Ledger

        self.plan, self.settings, self.clock, self.single = plan, settings, clock, single
        self.root, self.uri = _root(settings), uri
        self.folder = _folder(plan, settings)
        self.prepared = data
        self.ledger = Ledger(self.root / "ledger.db")
        self.results: dict[str, TrialResult] = {}
        self._handed_over: set[str] = set()

    def run(self) -> None:
        """Do all of it."""
        from nnexp.tracking.old_delivery import Delivery

        try:
            pending = self._open()
            self.delivery = Delivery(self._tracker)
            try:
                self._hand_over()
                self._train(pending)
                self._finish()
            except BaseException as error:
                self._give_up("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
                raise
        finally:
            self.ledger.close()

    def _open(self) -> list[Trial]:
        """Record and freeze the plan; return the trials that are not finished."""
        from nnexp.sweeps.plan import code_digest

        code = code_digest()
        before = self.ledger.add(self.plan, code)
        if before not in (None, code):
            say(f"note: nnexp's own code has changed since {self.plan.id} was planned; finished trials are from before")
        self.plan.freeze(self.folder)
        self.results = self.ledger.results(self.plan.id)
        return [trial for trial in self.plan.trials if trial.key not in self.results]

    def _train(self, pending: Sequence[Trial]) -> None:
        from nnexp.sweeps.grouping import group
        from nnexp.sweeps.old_execution import execute

        count = _workers(self.settings)
        data = self._stored({trial.data_key for trial in pending})
        stacks = group(pending, data, count)
        self._say_what_is_to_do(pending, [len(stack) for stack in stacks], count)
        ticker = Ticker()
        if pending:
            execute(
                self.plan,
                stacks,
                data,
                ledger=self.ledger,
                folder=self.folder,
                workers=count,
                finished=self._finished,
                show=ticker.show,
            )
        ticker.close()
        self.clock.lap("train")

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

    def _finished(self, results: dict[str, TrialResult]) -> None:
        self.results |= results
        self._hand_over()

    def _modern(self) -> dict[str, Any]:
        metric = self.plan.trials[0].objective.metric
        return {key: each.modern(metric) for key, each in self.results.items()}

    def _hand_over(self) -> None:
        """Hand configurations over to MLflow once all their repeats are there: each run carries their aggregate."""
        from nnexp.sweeps.leaderboard import aggregate

        for configuration, repeats in self.plan.configurations.items():
            if configuration not in self._handed_over and all(trial.key in self.results for trial in repeats):
                self._handed_over.add(configuration)
                row = aggregate(repeats, self._modern())
                for trial in repeats:
                    self.delivery.put((trial, self.results[trial.key], row))
        self._note_delivered()

    def _note_delivered(self) -> None:
        for key in self.delivery.delivered():
            self.ledger.delivered(self.plan.id, key)

    def _tracker(self) -> Tracker:
        from nnexp.tracking.old_tracker import Tracker

        experiment = self.settings.tracking.experiment
        return Tracker(self.uri, experiment, self.root, self.plan, folder=self.folder, single=self.single)

    def _give_up(self, status: str) -> None:
        """Deliver what is complete and close the sweep's run as failed or killed."""
        self.delivery.drain()
        self._note_delivered()
        self.delivery.abandon(status)

    def _finish(self) -> None:
        """Wait for MLflow, close the sweep's run, and say what came out."""
        from nnexp.sweeps.leaderboard import as_csv, leaderboard
        from nnexp.sweeps.plan import write_whole

        self.delivery.drain()
        self._note_delivered()
        self.clock.lap("track")
        rows = leaderboard(self.plan.trials, self._modern())
        write_whole(self.folder / "leaderboard.csv", as_csv(rows))
        figure = None if self.single else self._draw(rows)
        try:
            self.delivery.finish(rows, figure)
        except TrackingError as error:
            pending = len(self.ledger.outbox(self.plan.id))
            raise TrackingError(
                f"{error}; {pending} trials are kept in the ledger: the same command delivers them"
            ) from error
        finally:
            self.clock.lap("finish")
            self._say_result(rows)

    def _draw(self, rows: Sequence[Row]) -> Path | None:
        from nnexp.reporting.figures import comparison

        path = self.folder / "comparison.png"
        return path if comparison(rows, self._modern(), path) else None

    def _say_what_is_to_do(self, pending: Sequence[Trial], widths: Sequence[int], workers: int) -> None:
        if not self.single:
            trials, configurations = len(self.plan.trials), len(self.plan.configurations)
            removed = sum(sum(made["removed"].values()) for made in self.plan.made)
            repeated = self.plan.merged + sum(made["collapsed"] for made in self.plan.made)
            merged = f", {removed} combinations removed" if removed else ""
            merged += f", {repeated} repeated combinations merged" if repeated else ""
            say(f"sweep {self.plan.id}: {trials} trials of {configurations} configurations{merged}")
        if len(pending) < len(self.plan.trials):
            done = len(self.plan.trials) - len(pending)
            say(f"  {done} of {len(self.plan.trials)} trials are in the ledger already and are not trained again")
        if pending and not self.single:
            used = min(workers, len(widths))
            wide = f"{min(widths)} to {max(widths)}" if min(widths) < max(widths) else str(widths[0])
            say(f"  training {len(pending)} in {len(widths)} stacks of {wide} on {used} worker{'s' * (used > 1)}")

    def _say_result(self, rows: Sequence[Row]) -> None:
        if self.single:
            show_trial(self.plan.trials[0], self._modern()[self.plan.trials[0].key])
        else:
            say()
            show_leaderboard(rows)
        say()
        clock, delivery = self.clock, self.delivery
        say(f"seconds: {seconds_line(clock.stages)}; total {clock.total:.1f} s")
        if delivery.count:
            each = 1000 * delivery.seconds / delivery.count
            opening = f"opening its store {delivery.opening_seconds:.1f} s"
            say(f"MLflow, beside the training: {opening}, {delivery.count} trials at {each:.0f} ms each")
        if delivery.tracker is not None:
            say(f"files:   {shown_path(self.folder)}")
            command, link = how_to_look(self.uri, delivery.tracker.experiment_id)
            say(f"look:    {command}")
            say(f"         {link}")
