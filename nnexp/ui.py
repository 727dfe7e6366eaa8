"""`python -m nnexp.ui` and `nnexp-ui`: open MLflow's UI where a sweep is to be seen."""

from __future__ import annotations

import argparse
import signal
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nnexp.errors import NnexpError, UsageError
from nnexp.screen import complain, say, shown_path

PORT = 5000  # MLflow's own
SERVED = ("sqlite", "postgresql", "mysql", "mssql")  # the stores that a server of ours can open


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 2 for what cannot be done, 130 and 143 after Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        look(parser().parse_args(arguments))
    except NnexpError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="nnexp-ui",
        description="Open MLflow's UI where a sweep is to be seen: its trials, best configuration first. "
        "A server of your own is only opened; any other store is served on this machine until Ctrl-C.",
    )
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="name or id of a sweep; without: all runs")
    parser.add_argument("--root", type=Path, default=Path("runs"), help="where nnexp wrote; runs by default")
    parser.add_argument("--uri", help="MLflow's store; by default the sweep's, MLFLOW_TRACKING_URI or the root's")
    parser.add_argument("--port", type=int, help=f"to serve on; by default {PORT} or, if that is taken, another one")
    parser.add_argument("--no-browser", action="store_true", help="print the link and open nothing")
    return parser


def look(options: argparse.Namespace) -> None:
    """Open the page, serving the store if it is not a server itself."""
    from nnexp.tracking.looking import page, sweep_named, uri_of
    from nnexp.tracking.server import serving

    root = options.root.absolute()
    sweep = None if options.sweep is None else sweep_named(root, options.sweep)
    uri = uri_of(options.uri, sweep, root)
    if uri.startswith(("http://", "https://")):
        if options.port is not None:
            raise UsageError("--port is for stores that are served here; the store is a server itself")
        _open(uri, page(uri, sweep), options)
        return
    _check(uri)
    port = _port(options.port)
    say("starting MLflow's server…")
    with serving(uri, port, root / "artifacts") as server:
        _open(server.address, page(server.address, sweep), options)
        say("Ctrl-C ends it")
        server.wait()
    raise NnexpError("MLflow's server ended by itself")


def _check(uri: str) -> None:
    kind = uri.partition(":")[0].partition("+")[0]
    if kind not in SERVED:
        raise UsageError(f"a store of kind {kind!r} is looked at in its own UI; served here are {', '.join(SERVED)}")
    path = uri.partition("?")[0].removeprefix("sqlite:///")
    if kind == "sqlite" and not Path(path).is_file():
        raise UsageError(f"there is no MLflow store at {shown_path(Path(path))}: --root or --uri say where it is")


def _port(given: int | None) -> int:
    from nnexp.tracking.server import free_port, is_free

    if given is not None:
        if not 0 < given < 65536:
            raise UsageError(f"--port must be in [1, 65535], got {given}")
        if not is_free(given):
            raise UsageError(f"port {given} is taken: choose another --port, or none for any that is free")
        return given
    if is_free(PORT):
        return PORT
    port = free_port()
    say(f"port {PORT} is taken, so the UI is on {port}")
    return port


def _open(server: str, page: str, options: argparse.Namespace) -> None:
    from nnexp.tracking.store import without_credentials

    link = f"{without_credentials(server).rstrip('/')}/{page}"
    say(link)
    if not options.no_browser:
        webbrowser.open(link)


if __name__ == "__main__":
    main()
