"""`python -m nnexp.report` and `nnexp-report`: what a sweep says, as a report that anybody can rebuild byte for "
"byte."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.clock import Clock
from nnexp.errors import NnexpError, UsageError
from nnexp.screen import complain, say, seconds_line, shown_path

if TYPE_CHECKING:
    from nnexp.reporting.snapshot import Snapshot
    from nnexp.tracking.store import Store


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Exits with 0 if it is done, 1 if a checked report differs or MLflow did not take it, 2 for what cannot be done, 3
    for a snapshot that cannot be read.
    """
    clock = Clock()
    try:
        options = parser().parse_args(arguments)
        _refuse_what_does_not_act(options)
        code = _check(options.check) if options.check is not None else _report(options, clock)
    except NnexpError as error:
        complain(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        complain("interrupted; a report that was there before is as it was")
        code = 130
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="nnexp-report",
        description="Write what sweeps say into a folder: report.html, report.md, figures, tables, and the snapshot of "
        "the sweeps that all of it is made of. Several sweeps are compared.",
        epilog="Exit codes: 0 done, 1 a checked report differs or MLflow did not take it, 2 it cannot be done, 3 the "
        "snapshot cannot be read.",
    )
    parser.add_argument(
        "sweeps", nargs="*", metavar="SWEEP", help="a sweep's id, or a name: its latest; the latest of all"
    )
    parser.add_argument("--root", type=Path, default=Path("runs"), help="where nnexp wrote (default: %(default)s)")
    parser.add_argument("--uri", help="read sweeps from this MLflow store; so it is done where the root has no ledger")
    parser.add_argument("--experiment", help="MLflow's experiment, the only one to look in")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write; by default ROOT/reports/SWEEP")
    parser.add_argument("--allow-unequal", action="store_true", help="rank over unequal budgets and holes all the same")
    parser.add_argument("--no-log", action="store_true", help="do not log the report to the sweep's run in MLflow")
    parser.add_argument(
        "--check", type=Path, metavar="FOLDER", help="build a report again from its own snapshot and compare all bytes"
    )
    return parser


@dataclass(frozen=True)
class _Found:
    """Sweeps to report on. runs: where each is in MLflow, if it is: the store and the run's id."""

    snapshots: list[Snapshot]
    runs: list[tuple[Store, str]] = field(default_factory=list)


def _refuse_what_does_not_act(options: argparse.Namespace) -> None:
    """Raise UsageError for options that would change nothing."""
    making = {
        "SWEEP": options.sweeps, "--uri": options.uri, "--experiment": options.experiment, "--out": options.out,
        "--allow-unequal": options.allow_unequal, "--no-log": options.no_log,
    }  # fmt: skip
    given = [name for name, value in making.items() if value]
    if options.check is not None and given:
        raise UsageError(f"--check takes all from the report itself: {', '.join(given)} would change nothing")
    if options.experiment is not None and not _is_elsewhere(options.root.absolute(), options):
        raise UsageError("--experiment is for sweeps read from MLflow, with --uri; here they are read from the ledger")


def _check(folder: Path) -> int:
    from nnexp.reporting.build import check

    difference = check(folder)
    if difference is None:
        say(f"{shown_path(folder.absolute())} is, byte for byte, what its snapshot gives")
        return 0
    complain(f"{shown_path(folder.absolute())} is not what its snapshot gives: {difference}")
    for line in _other_versions(folder):
        complain(line)
    return 1


def _other_versions(folder: Path) -> Iterator[str]:
    """Yield what a report was made with that is other here: bytes need the same."""
    import json

    from nnexp.reporting.build import PROVENANCE

    try:
        told = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["made_with"]
    except (OSError, ValueError, LookupError):
        return
    for name, version in made_with().items():
        if told.get(name) != version:
            yield f"it was made with {name} {told.get(name)}, here is {version}"


def _report(options: argparse.Namespace, clock: Clock) -> int:
    from nnexp.reporting.build import Settings, build, check_place

    root = options.root.absolute()
    if options.out is not None:
        check_place(options.out)
    clock.lap("start")
    found = _of_mlflow(root, options) if _is_elsewhere(root, options) else _of_ledger(root, options)
    clock.lap("read")
    from nnexp.reporting.snapshot import merged

    snapshot = found.snapshots[0] if len(found.snapshots) == 1 else merged(found.snapshots)
    folder = (options.out or root / "reports" / _called(snapshot)).absolute()
    settings = Settings(allow_unequal=options.allow_unequal)
    built = build(snapshot, folder, settings, provenance=_provenance(), lap=clock.lap)
    failure = None if options.no_log else _log(found, folder)
    clock.lap("log")
    say(built.headline)
    say()
    say(f"seconds: {seconds_line(clock.stages)}; total {clock.total:.1f} s")
    say(f"report:  {shown_path(folder / 'report.html')}")
    say(f"check:   python -m nnexp.report --check {shown_path(folder)}")
    if failure is not None:
        complain(failure)
        return 1
    return 0


def _is_elsewhere(root: Path, options: argparse.Namespace) -> bool:
    return options.uri is not None or not (root / "ledger.db").exists()


def _called(snapshot: Snapshot) -> str:
    names = [str(each["id"]) for each in snapshot.sweeps]
    return "+".join(names) if len(names) < 4 else f"{'+'.join(names[:3])}+{len(names) - 3}-more"


def _of_ledger(root: Path, options: argparse.Namespace) -> _Found:
    from nnexp.reporting.collecting import collect
    from nnexp.sweeps.kept import OWN_RUN
    from nnexp.sweeps.ledger import Ledger
    from nnexp.tracking.syncing import choose, store_of

    with closing(Ledger(root / "ledger.db")) as ledger:
        sweeps = ledger.sweeps()
        if not sweeps:
            raise UsageError(f"the ledger in {root} has no sweeps")
        chosen = choose(sweeps, options.sweeps) if options.sweeps else sweeps[-1:]
        found = _Found([collect(ledger, root, each) for each in chosen])
        for each in chosen:
            delivered = ledger.deliveries(each.id)
            own = delivered.get(OWN_RUN) or next(iter(delivered.values()), None)
            if own is not None:
                found.runs.append((store_of(each, root), own.run))
        return found


def _of_mlflow(root: Path, options: argparse.Namespace) -> _Found:
    from nnexp.fetching import fetch
    from nnexp.tracking.store import Store, store_uri

    uri = store_uri(options.uri, root, "--uri")
    fetched = fetch(uri, options.sweeps, experiment=options.experiment or "")
    store = Store(uri, options.experiment or "nnexp", root)
    return _Found([each.snapshot for each in fetched], [(store, each.run) for each in fetched])


def _log(found: _Found, folder: Path) -> str | None:
    """Log a report to the runs of its sweeps; return why that failed, if it did."""
    from nnexp.tracking.publishing import publish

    try:
        for store, run in found.runs:
            publish(store, run, folder)
    except NnexpError as error:
        return f"{error}; the report is there all the same"
    return None


def _provenance() -> dict[str, Any]:
    from nnexp.tracking.provenance import environment

    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "made_with": made_with(),
        "environment": environment(),
    }


def made_with() -> dict[str, str]:
    """Return the versions that a report's bytes depend on."""
    from importlib.metadata import version

    from nnexp import __version__

    names = ("matplotlib", "numpy", "scipy", "pandas", "pillow", "jinja2", "optuna")
    return {"nnexp": __version__, **{name: version(name) for name in names}}


if __name__ == "__main__":
    main()
