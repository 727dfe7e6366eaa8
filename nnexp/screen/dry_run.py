"""What a plan would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nnexp.screen.lines import say
from nnexp.screen.wording import counted, duration, listed

if TYPE_CHECKING:
    from nnexp.sweeps.estimate import Estimate
    from nnexp.sweeps.plan import Plan


def show_plan(plan: Plan, estimate: Estimate) -> None:
    """Print what a plan would do and take."""
    say("dry run: nothing is trained and nothing is created")
    trials, configurations = len(plan.trials), len(plan.configurations)
    say(f"sweep {plan.id}: {counted(trials, 'trial')} of {counted(configurations, 'configuration')}")
    for axis, values in plan.axes.items():
        say(f"  axis     {axis}: {listed(values)}")
    for made in plan.made:
        for line in how_made(made):
            say(line)
    if plan.merges:
        merges = [f"{each.label!r} is {plan.trials[each.into].label!r}" for each in plan.merges]
        say(f"  merged   {counted(len(merges), 'repeated combination')}: {listed(merges, 3, '; ')}")
    for stacks in estimate.stacks:
        sizes, each = "-".join(map(str, stacks.shape)), sorted({*stacks.widths})
        wide = f"{each[0]} to {each[-1]}" if len(each) > 1 else str(each[0])
        seconds = f"{duration(stacks.seconds)} of work" + ("" if stacks.calibrated else " by its operations")
        say(f"  stacks   {len(stacks.widths)} of {wide} on {stacks.dataset}, {sizes}: {seconds}")
    workers = counted(estimate.workers, "worker")
    say(f"  time     about {duration(estimate.train_seconds)} of training on {workers}, without starting and MLflow")
    say(f"  disk     about {estimate.disk_bytes / 1e6:,.1f} MB with a local MLflow")


def how_made(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a grid's combinations came about, as lines."""
    grid = " ".join(f"{key}={value}" for key, value in made["grid"].items())
    yield f"  grid     {counted(made['combinations'], 'combination')}{f' of {grid}' if grid else ''}"
    for condition, count in made["absent"].items():
        yield f"  only_if  {condition}: left out of {counted(count, 'combination')}"
    if made["collapsed"]:
        yield f"  merged   {counted(made['collapsed'], 'combination')} that became the same without"
    for condition, count in made["removed"].items():
        yield f"  where    {condition}: removed {counted(count, 'combination')}"
    if made["sampled"]:
        found, size = made["sampled"]
        yield f"  sample   {found} of {'endlessly many' if size is None else f'{size:,}'} configurations"
