"""`python -m nnexp.sync` and `nnexp-sync`: deliver to MLflow what it has not got, without training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from nnexp.errors import NnexpError, UsageError
from nnexp.screen import complain, say


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0 if nothing is pending, 1 if something is, 2 for what cannot be done."""
    try:
        code = _sync(_parser().parse_args(arguments))
    except NnexpError as error:
        complain(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        complain("interrupted; the same command goes on with what is missing")
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nnexp-sync",
        description="Deliver to MLflow what it has not got of the sweeps of a ledger. Run twice, it changes nothing.",
        epilog="MLflow's URIs are recorded without credentials: where a store wants some, give it by --uri or by "
        "MLFLOW_TRACKING_URI. Exit codes: 0 nothing is pending, 1 something is, 2 it cannot be done.",
    )
    parser.add_argument(
        "sweeps", nargs="*", metavar="SWEEP", help="a sweep's id, or a name: its latest; all by default"
    )
    parser.add_argument("--root", default="runs", help="the folder where the ledger is (default: %(default)s)")
    parser.add_argument("--uri", help="MLflow's tracking URI, instead of the one that a sweep was tracked in")
    parser.add_argument("--experiment", help="MLflow's experiment, instead of the one that a sweep was tracked in")
    parser.add_argument("--verify", action="store_true", help="compare everything with MLflow, and mend what differs")
    return parser


def _sync(options: argparse.Namespace) -> int:
    from nnexp.sweeps.ledger import Ledger
    from nnexp.tracking.syncing import sync

    root = Path(options.root).resolve()
    if not (root / "ledger.db").exists():
        raise UsageError(f"there is no ledger in {root}: --root is the folder where nnexp-run has written")
    whole = True
    with closing(Ledger(root / "ledger.db")) as ledger:
        told = {"uri": options.uri, "experiment": options.experiment, "verifying": options.verify}
        for each in sync(ledger, root, options.sweeps, **told):
            whole = whole and each.is_whole
            for line in each.lines():
                say(line)
    return 0 if whole else 1


if __name__ == "__main__":
    main()
