"""The matrix: its rows, and what came of their cases."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from faultmatrix.bench import Bench
from faultmatrix.case import Case
from faultmatrix.rows import changes, disks, files, kills, servers, starts, trials
from faultmatrix.rows.row import Row

THEMES = (kills, disks, servers, files, starts, changes, trials)
ROWS = {row.number: row for theme in THEMES for row in theme.ROWS}


@dataclass
class Tally:
    """What came of a row. skipped: why it did not run."""

    row: Row
    cases: int = 0
    injections: int = 0
    violations: int = 0
    seconds: float = 0.0
    skipped: str = ""
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, case: Case, seconds: float) -> None:
        """Count a case."""
        self.cases += 1
        self.injections += case.injections
        self.violations += bool(case.problems)
        self.seconds += seconds
        for name, value in case.figures.items():
            self.figures.setdefault(name, []).append(value)

    @property
    def measured(self) -> str:
        """The figures: their medians and largest values."""
        return ", ".join(
            f"{name} {_short(statistics.median(values))} (at most {_short(max(values))})"
            for name, values in sorted(self.figures.items())
        )


def run(
    bench: Bench, chosen: Iterable[int], seeds: Sequence[int] | None, *, jobs: int, say: Callable[[str], None]
) -> list[Tally]:
    """Run rows, so many cases at once; violations are said at once, and their folders stay."""
    tallies = {number: Tally(ROWS[number]) for number in sorted(chosen)}
    work: list[tuple[Tally, int]] = []
    for tally in tallies.values():
        tally.skipped = lacking(tally.row)
        if not tally.skipped:
            work += [(tally, seed) for seed in _seeds(tally.row, bench, seeds)]
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(_run_case, bench, tally.row, seed): tally for tally, seed in work}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                tally, (case, seconds) = futures[future], future.result()
                tally.add(case, seconds)
                for line in _told(case):
                    say(line)
                if done % 10 == 0 or done == len(futures):
                    violations = sum(each.violations for each in tallies.values())
                    say(f"{done} of {len(futures)} cases, {violations} violations")
        except BaseException:  # those that run come to their end, no others begin
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return list(tallies.values())


def lacking(row: Row) -> str:
    """Return what keeps a row from running here, if anything does."""
    for need in row.needs:
        if shutil.which(need) is None:
            return f"no {need}"
        if need == "mount" and not _may_mount():
            return "no right to mount"
        if need == "strace" and not _may_trace():
            return "no right to trace"
    return ""


def _seeds(row: Row, bench: Bench, seeds: Sequence[int] | None) -> Sequence[int]:
    if row.points is not None:
        every = len(bench.points(row.points))
        if seeds is not None:
            return [seed for seed in seeds if seed < every]
        return range(every) if not bench.short else range(every // (2 * row.short), every, every // row.short)
    return seeds if seeds is not None else range(row.short if bench.short else row.seeds)


def _run_case(bench: Bench, row: Row, seed: int) -> tuple[Case, float]:
    began = time.monotonic()
    folder = bench.folder / f"row-{row.number}-seed-{seed}"
    case = Case(bench, row.number, seed, folder, row.workload or bench.workload, bench.random(row.number, seed))
    try:
        row.act(case)
    except Exception as error:  # of the harness itself: a case that could not be judged has not passed
        case.problem(f"the case broke: {type(error).__name__}: {error}")
        case.problem(traceback.format_exc())
    finally:
        case.close()
    if not case.problems:
        shutil.rmtree(folder, ignore_errors=True)
    return case, time.monotonic() - began


def _told(case: Case) -> Iterator[str]:
    if case.problems:
        yield f"VIOLATION row {case.row} seed {case.seed} {case.note} in {case.folder}"
        for line in case.problems:
            yield f"    {line}"


def _may_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def _may_trace() -> bool:
    return subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True).returncode == 0


def _short(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def as_markdown(tallies: Sequence[Tally]) -> str:
    """Return the matrix as a Markdown table."""
    lines = [
        "| row | fault | injected by | required | cases | injections | violations | measured |",
        "|---:|---|---|---|---:|---:|---:|---|",
    ]
    for tally in tallies:
        row = tally.row
        counts = f"{tally.cases} | {tally.injections} | {tally.violations}"
        if tally.skipped:
            counts = f"skipped: {tally.skipped} | 0 | –"
        lines.append(f"| {row.number} | {row.fault} | {row.injection} | {row.required} | {counts} | {tally.measured} |")
    ran = [tally for tally in tallies if not tally.skipped]
    lines.append(
        f"\n{len(ran)} rows, {sum(tally.cases for tally in ran)} cases, "
        f"{sum(tally.injections for tally in ran)} injections, {sum(tally.violations for tally in ran)} violations"
        + (f"; {len(tallies) - len(ran)} rows not run" if len(ran) < len(tallies) else "")
        + "."
    )
    return "\n".join(lines) + "\n"


def default_folder() -> Path:
    """Return where cases are, if nothing else is said."""
    return Path("runs") / f"faults-{time.strftime('%Y%m%d-%H%M%S')}"
