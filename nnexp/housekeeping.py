"""`python -m nnexp.sweeps` and `nnexp-sweeps`: list, show and delete the sweeps of a ledger."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.errors import NnexpError, TrackingError, UsageError
from nnexp.screen import agrees, complain, how_to_free, say

if TYPE_CHECKING:
    from nnexp.sweeps.ledger import Ledger


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 1 if something went wrong, 2 for what cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        _with_ledger(Path(options.root).resolve(), options)
    except NnexpError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted; the same command goes on with what is left")
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnexp-sweeps",
        description="What sweeps a ledger has, what each did, and how to delete one.",
        epilog="Exit codes: 0 done, 1 something went wrong, 2 it cannot be done.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, command in (
        ("list", "all sweeps, the latest last", _list),
        ("show", "one sweep: its plan, its trials, its failures, its leaderboard, what it has on disk", _show),
        ("delete", "delete a sweep in the ledger, in its folder and in MLflow", _delete),
    ):
        each = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        each.set_defaults(command=command)
        if command is not _list:
            each.add_argument("sweep", metavar="NAME", help="a sweep's id, or a name: its latest")
        each.add_argument("--root", default="runs", help="the folder where the ledger is (default: %(default)s)")
        if command is _delete:
            each.add_argument("--yes", action="store_true", help="do not ask")
            each.add_argument("--local", action="store_true", help="leave MLflow as it is")
            each.add_argument("--uri", help="MLflow's tracking URI with credentials, which are not recorded")
    return parser


def _with_ledger(root: Path, options: argparse.Namespace) -> None:
    from nnexp.sweeps.database import DamageError
    from nnexp.sweeps.ledger import Ledger

    if not (root / "ledger.db").exists():
        raise UsageError(f"there is no ledger in {root}: --root is the folder where nnexp-run has written")
    try:
        with closing(Ledger(root / "ledger.db")) as ledger:
            ledger.check()
            options.command(ledger, root, options)
    except DamageError as error:
        raise NnexpError(f"{error}; the command that trains a sweep of it mends it") from None


def _list(ledger: Ledger, root: Path, options: argparse.Namespace) -> None:
    from nnexp.screen.sweeps import show_sweeps
    from nnexp.sweeps.survey import leftovers, survey

    sweeps = ledger.sweeps()
    if sweeps:
        show_sweeps([survey(ledger, root / "sweeps", each) for each in sweeps])
    else:
        say(f"there are no sweeps in {root}")
    for id in ledger.damaged_sweeps():
        say(f"{id}: its row in the ledger is damaged; the command that trains it mends it")
    for id in leftovers(ledger, root / "sweeps"):
        say(f"{id} is not in the ledger, but has a folder: nnexp-sweeps delete {id} deletes it")


def _show(ledger: Ledger, root: Path, options: argparse.Namespace) -> None:
    from nnexp.screen.sweeps import show_sweep
    from nnexp.sweeps.survey import survey
    from nnexp.tracking.syncing import choose

    (sweep,) = choose(ledger.sweeps(), [options.sweep])
    others = [each.id for each in ledger.sweeps() if each.name == sweep.name and each.id != sweep.id]
    found = survey(ledger, root / "sweeps", sweep)
    show_sweep(found, root / "sweeps" / sweep.id, others, ledger.size(sweep.id))


def _delete(ledger: Ledger, root: Path, options: argparse.Namespace) -> None:
    from nnexp.screen.sweeps import disk_lines
    from nnexp.sweeps.holding import holding
    from nnexp.sweeps.survey import disk

    id = _id(ledger, root, options.sweep)
    folder = root / "sweeps" / id
    lines = disk_lines(disk(folder), folder, ledger.size(id))
    with holding(folder, id):
        for line in lines:
            say(line)
        _ask(f"delete sweep {id}", options)
        if not options.local:
            _delete_in_mlflow(ledger, id, root, options.uri)
        # Cut off after any step, it leaves a sweep that is whole, or a folder of which the ledger knows nothing.
        ledger.delete(id)
        hidden = _hidden(folder)
    shutil.rmtree(hidden)
    say(f"deleted {id}")


def _id(ledger: Ledger, root: Path, name: str) -> str:
    """Return the id of a sweep in the ledger, or of one whose deletion was cut off."""
    from nnexp.sweeps.survey import leftovers
    from nnexp.tracking.syncing import choose

    if name in ledger.damaged_sweeps():
        return name
    try:
        return choose(ledger.sweeps(), [name])[0].id
    except UsageError:
        left = [id for id in leftovers(ledger, root / "sweeps") if name in (id, id.rpartition("-")[0])]
        if not left:
            raise
        return left[-1]


def _ask(what: str, options: argparse.Namespace) -> None:
    where = "here, not in MLflow" if options.local else "here and in MLflow"
    if options.yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"{what} {where}: say so with --yes")
    if not agrees(f"{what} {where}?"):
        raise UsageError("nothing was deleted")


def _delete_in_mlflow(ledger: Ledger, id: str, root: Path, uri: str | None) -> None:
    """Delete a sweep's runs wherever it is tracked, or none if one of the stores cannot be used."""
    from nnexp.sweeps.database import DamageError
    from nnexp.tracking.deleting import find_runs, stores_of

    try:
        sweep = ledger.sweep(id)
        found = [] if sweep is None else [find_runs(each, sweep) for each in stores_of(ledger, sweep, root, uri)]
    except (TrackingError, DamageError) as error:
        raise TrackingError(f"{error}; nothing was deleted, --local deletes all but the runs in MLflow") from None
    for each in found:
        each.delete()
        if each.runs:
            free = how_to_free(each.store.address)
            say(f"{len(each.runs):,} runs deleted in {each.store}; `{free}` frees them for good")


def _hidden(folder: Path) -> Path:
    """Return where a folder is now that nobody takes it for a sweep's."""
    from nnexp.sweeps.survey import DELETED

    hidden = folder.with_name(DELETED.format(folder.name))
    shutil.rmtree(hidden, ignore_errors=True)  # of a deletion that was cut off
    folder.replace(hidden)
    return hidden
