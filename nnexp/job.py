"""The main job: what Hydra composed becomes a plan, which is previewed or carried out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.clock import Clock
from nnexp.errors import UsageError
from nnexp.invocation import Invocation, of_command
from nnexp.screen import agrees, open_screen

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from nnexp.conduct import Ran
    from nnexp.config.build import RunSettings
    from nnexp.config.compose import Composer
    from nnexp.sweeps.plan import Plan
    from nnexp.tracking.store import Store


@dataclass(frozen=True)
class Job:
    """A plan, and what it takes to carry it out. single: whether its one trial is a run of its own."""

    plan: Plan
    data: dict[Any, Any]
    settings: RunSettings
    clock: Clock
    store: Store
    single: bool

    @property
    def folder(self) -> Path:
        """The sweep's."""
        return self.store.root / "sweeps" / self.plan.id


def run_single(config: DictConfig) -> Ran | None:
    """Train the one trial of a config that Hydra composed; None if it was only previewed."""
    return carry_out(plan_single(config, Clock()), of_command())


def run_sweep(composer: Composer, overrides: Sequence[str]) -> Ran | None:
    """Train every combination that overrides in Hydra's grammar name; None if it was only previewed."""
    return carry_out(plan_sweep(composer, overrides, Clock()), of_command())


def plan_single(config: DictConfig, clock: Clock) -> Job:
    """Return the job of training the one trial of a config that Hydra composed."""
    from nnexp.config.build import build_run, build_trial
    from nnexp.config.compose import resolve, unresolved
    from nnexp.sweeps.plan import make_plan

    plain = resolve(unresolved(config))
    trial, settings = build_trial(plain), build_run(plain)
    sweep = settings.sweep.without_a_sweep()
    store = _store(settings)
    clock.lap("start")
    plan, data = make_plan(sweep.name or _experiment() or "adhoc", [(trial, {})])
    clock.lap("data")
    return Job(plan, data, settings, clock, store, single=True)


def plan_sweep(composer: Composer, overrides: Sequence[str], clock: Clock) -> Job:
    """Return the job of training every combination that overrides in Hydra's grammar name."""
    from nnexp.config.build import build_run, build_trials
    from nnexp.config.grid import assignments, expand
    from nnexp.sweeps.plan import make_plan
    from nnexp.tracking.store import told

    clock.lap("start")
    grid = expand(composer, overrides)
    settings = build_run(grid.run_time)
    chosen = [dict(assignments(point.chosen)) for point in grid.points]
    configs = list(zip(build_trials(point.plain for point in grid.points), chosen, strict=True))
    store = _store(settings)
    clock.lap("compose")
    name = settings.sweep.name or grid.experiment or "adhoc"
    shown = [told(each) for each in overrides]
    plan, data = make_plan(name, configs, shown, grid.axes, [asdict(each) for each in grid.accounts])
    clock.lap("data")
    most = settings.sweep.max_trials
    if most is not None and len(plan.trials) > most:
        raise UsageError(f"sweep.max_trials is {most}, but the sweep has {len(plan.trials)} trials")
    return Job(plan, data, settings, clock, store, single=False)


def carry_out(job: Job, invocation: Invocation) -> Ran | None:
    """Carry out a job, or preview it, which returns None."""
    plan, settings = job.plan, job.settings
    with open_screen(settings.screen) as shown:
        if settings.sweep.dry_run:
            from nnexp.sweeps.estimate import estimate
            from nnexp.sweeps.workers import count_workers

            shown.preview(plan, estimate(plan, job.data, count_workers(settings.executor.workers)))
            return None
        from nnexp.conduct import conduct

        if not job.single:
            _confirm(plan, settings)
        return conduct(
            plan,
            job.data,
            settings,
            job.clock,
            shown,
            store=job.store,
            single=job.single,
            invocation=invocation,
        )


def _confirm(plan: Plan, settings: RunSettings) -> None:
    """Ask whether a large sweep is meant, unless it was started before. Raises: UsageError if it is not."""
    most, trials = settings.sweep.confirm_above, len(plan.trials)
    started = Path(settings.paths.root).resolve() / "sweeps" / plan.id / "plan.json"
    if most is None or trials <= most or started.exists():
        return
    told = f"sweep {plan.id} has {trials} trials, more than sweep.confirm_above={most}"
    programs = settings.screen.mode == "json"  # nobody is there to be asked
    if programs or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"{told}: start it with sweep.confirm_above={trials}, or look with sweep.dry_run=true")
    if not agrees(f"{told}: start it?"):
        raise UsageError(f"{told}; it was not started")


def _store(settings: RunSettings) -> Store:
    from nnexp.tracking.store import Store, store_uri

    root = Path(settings.paths.root).resolve()
    return Store(store_uri(settings.tracking.uri, root), settings.tracking.experiment, root)


def _experiment() -> str | None:
    from hydra.core.hydra_config import HydraConfig

    found = HydraConfig.get().runtime.choices.get("experiment")
    return None if found is None else str(found)
