"""The summary of a sweep, written when a run of it ends: leaderboard, figure, and the snapshot that reports read."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnexp.sweeps.interrupts import Halt
    from nnexp.sweeps.kept import Standing
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.ledger import Ledger
    from nnexp.sweeps.plan import Plan
    from nnexp.sweeps.results import TrialResult

NEEDED = (
    "nnexp.reporting.collecting",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)

HURRIED = ("interrupted", "terminated")  # causes of an end that somebody waits for
MOST_IN_HASTE = 1000  # trials of which a snapshot is made where SIGTERM leaves ten seconds: 10,000 take three of them


class Summary:
    """What is written of a sweep into its folder. single: one trial alone has a leaderboard only.

    What it needs is imported in a thread of its own from the start, while workers train: that takes a second or two.
    Args: trains: whether anything is trained in this run.
    """

    def __init__(self, ledger: Ledger, plan: Plan, folder: Path, *, single: bool, trains: bool) -> None:
        self.ledger, self.plan, self.folder, self.single, self.trains = ledger, plan, folder, single, trains
        self._environment: Mapping[str, Any] = {}
        self._thread = threading.Thread(target=self._prepare, name="nnexp-summary", daemon=True)
        if trains and not single:
            self._thread.start()

    @property
    def is_there(self) -> bool:
        """Whether an earlier run wrote all of it."""
        from nnexp.sweeps.files import snapshot_files

        return self._leaderboard.exists() and (self.single or bool(snapshot_files(self.folder)))

    def write(self, halt: Halt | None) -> list[Row]:
        """Write what has changed, and let it be delivered. halt: why the run ended before its trials had, if it did."""
        from nnexp.sweeps.kept import OWN_RUN
        from nnexp.sweeps.leaderboard import as_csv, leaderboard
        from nnexp.sweeps.plan import write_whole

        results = results_of(self.ledger.standing(self.plan.id))
        rows, written = leaderboard(self.plan.trials, results), self._leaderboard
        text = as_csv(rows)
        changed = not written.exists() or written.read_text(encoding="utf-8") != text
        if self.single:
            if changed:
                write_whole(written, text)
        elif changed or self.trains or not self.is_there:
            if changed:
                self._draw(rows, results)
            self._write_snapshot(halt)
            write_whole(written, text)  # last: it says that all are there
            self.ledger.deliver_again(self.plan.id, [OWN_RUN], wholly=False)
        return rows

    @property
    def _leaderboard(self) -> Path:
        return self.folder / "leaderboard.csv"

    def _draw(self, rows: list[Row], results: Mapping[str, TrialResult]) -> None:
        from nnexp.reporting.figures.comparison import comparison

        comparison(rows, results, self.folder / "comparison.png")

    def _write_snapshot(self, halt: Halt | None) -> None:
        """Write the snapshot in place of an earlier one, whole or not at all.

        Where there is no time for it there is none: the same command makes it.
        """
        from nnexp.reporting.collecting import collect
        from nnexp.reporting.snapshot import write_snapshot
        from nnexp.sweeps.files import SNAPSHOT

        building, final = self.folder / f".{SNAPSHOT}.tmp", self.folder / SNAPSHOT
        if halt is not None and halt.cause == "terminated" and len(self.plan.trials) > MOST_IN_HASTE:
            shutil.rmtree(final, ignore_errors=True)
            return
        if self._thread.ident is not None:
            self._thread.join()
        sweep = self.ledger.sweep(self.plan.id)
        assert sweep is not None, "it is being worked on"
        found = collect(
            self.ledger,
            self.folder.parents[1],
            sweep,
            wholly=halt is None or halt.cause not in HURRIED,
            environment=self._environment or None,
        )
        shutil.rmtree(building, ignore_errors=True)
        write_snapshot(found, building)
        shutil.rmtree(final, ignore_errors=True)
        building.replace(final)

    def _prepare(self) -> None:
        """In a thread of its own: import what takes long, and look at what the numbers may depend on."""
        from nnexp.tracking.provenance import environment

        for name in NEEDED:
            import_module(name)

        self._environment = environment()


def results_of(standing: Mapping[str, Standing]) -> dict[str, TrialResult]:
    """Return the results of the trials that have ended."""
    return {key: each.result for key, each in standing.items() if each.result is not None}
