"""Rows 7 to 13: MLflow's server is away, dies, hangs, loses answers, is busy, forgets."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from faultmatrix.case import Case
from faultmatrix.checker import Place
from faultmatrix.command import Command, Ended
from faultmatrix.rows.row import Row
from faultmatrix.store import content
from tests.servers.mlflow_server import MlflowServer, running_server
from tests.tracking.proxy import Fault, Proxy, proxy_of

FIRST_EPOCH_SECONDS = 5.0  # by which a server that is not there may delay the first epoch
EXIT_SECONDS = 15.0  # by which one that does not answer may delay the end: 10, and the answer that is waited for
AWAY_SECONDS = 5.0


@contextmanager
def _behind_proxy(case: Case) -> Iterator[Proxy]:
    """Let a case track to the shared server through a proxy of its own."""
    server = case.bench.server()
    with proxy_of(server.port, seed=case.seed) as proxy:
        _track(case, server, proxy.uri)
        yield proxy


def _track(case: Case, server: MlflowServer, uri: str) -> None:
    experiment = f"row {case.row} seed {case.seed}"
    case.settings = (f"tracking.uri={uri}", f"tracking.experiment={experiment}")
    database = Path(server.store.removeprefix("sqlite:///"))
    case.place = Place(case.root, case.workload.name, database, experiment, server.folder / "artifacts")


def _sync(case: Case, *more: str, code: int = 0) -> Ended:
    ended = case.end(case.begin("nnexp.sync", "--root", str(case.root), *more))
    case.expect(ended, code)
    return ended


def _sync_twice(case: Case) -> None:
    """Deliver what waits; doing so again changes nothing."""
    _sync(case)
    before = content(case.where.database, case.where.experiment)
    _sync(case)
    if content(case.where.database, case.where.experiment) != before:
        case.problem("a second sync changed MLflow's tables")


def away_at_start(case: Case) -> None:
    """No server when the command starts."""
    with _behind_proxy(case) as proxy:
        proxy.refuse()
        case.injections += 1
        began = time.time()
        ended = case.end(case.start())
        case.expect(ended, 0, says="nnexp-sync")
        late = min((each.time for each in case.seen), default=began + ended.seconds) - began - case.control.first_epoch
        case.figure({"first_epoch_later_by": late})
        if late > FIRST_EPOCH_SECONDS:
            case.problem(f"the first epoch came {late:.1f} s later than with a store at hand")
        _required(case)
        proxy.accept()
        _sync_twice(case)
        case.check()


def _required(case: Case) -> None:
    """With tracking.required the same is an error, and nothing is trained."""
    before, other = len(case.seen), case.folder / "required"
    arguments = case.workload.arguments(str(other))
    ended = case.end(case.begin("nnexp.run", *arguments, *case.settings, "tracking.required=true"))
    if ended.code == 0 or len(case.seen) > before:
        case.problem(f"tracking.required without a server: exit code {ended.code}, {len(case.seen) - before} epochs")


def dies(case: Case) -> None:
    """The server is killed while the sweep runs, and started again some seconds later."""
    with running_server(f"sqlite:///{case.folder / 'server.db'}", case.folder / "server") as server:
        _track(case, server, server.uri)

        def blow(command: Command) -> None:
            server.kill()

        command = case.start()
        case.strike(command, case.instant(), blow)
        time.sleep(AWAY_SECONDS)
        server.start()
        ended = case.end(command)
        case.expect(ended, 0)
        _sync_twice(case)
        case.interrupted.clear()  # training is not interrupted by it
        case.check()


def stays_away(case: Case) -> None:
    """The server goes away at some time and is not there at the end: `sync` delivers later."""

    def blow(proxy: Proxy) -> None:
        proxy.refuse()

    _goes_wrong(case, blow)


def hangs(case: Case) -> None:
    """The server takes connections and says nothing from some time on."""

    def blow(proxy: Proxy) -> None:
        proxy.go_wrong(Fault("hang"))

    _goes_wrong(case, blow)


def _goes_wrong(case: Case, blow: Callable[[Proxy], None]) -> None:
    with _behind_proxy(case) as proxy:
        command = case.start()
        case.strike(command, case.instant() * 0.8, lambda _: blow(proxy))
        ended = case.end(command)
        over = time.time()
        case.expect(ended, 0, says="nnexp-sync")
        delay = over - max((each.time for each in case.seen), default=over)
        case.figure({"exit_delay": delay})
        if delay > EXIT_SECONDS * 1.5:
            case.problem(f"the command ended {delay:.1f} s after its last epoch")
        proxy.accept()
        _sync_twice(case)
        case.interrupted.clear()
        case.check()


def loses_replies(case: Case) -> None:
    """What is sent arrives and is done, but the reply is lost: of runs/create and log-batch, some or all once."""
    with _behind_proxy(case) as proxy:
        where = case.random.choice(("runs/create", "runs/log-batch", "runs/"))
        proxy.go_wrong(Fault("drop", where, share=case.random.uniform(0.2, 0.6)))
        case.expect(case.end(case.start()), 0)
        case.injections += len(proxy.hit)
        proxy.accept()
        _sync_twice(case)
        case.check()


def is_busy(case: Case) -> None:
    """The server answers 503 to three requests of ten."""
    with _behind_proxy(case) as proxy:
        proxy.go_wrong(Fault("503", share=0.3))
        case.expect(case.end(case.start()), 0)
        case.injections += len(proxy.hit)
        proxy.accept()
        _sync_twice(case)
        case.check()


def forgets(case: Case) -> None:
    """MLflow's database is put back to what it was at some instant, when the sweep has ended."""
    backup = case.folder / "backup.db"
    database = case.where.database

    def blow(command: Command) -> None:
        with closing(sqlite3.connect(database)) as now, closing(sqlite3.connect(backup)) as copy:
            now.backup(copy)

    command = case.start()
    if not case.strike(command, case.instant(), blow):
        case.bench.copy_store(backup)
        case.injections += 1
    case.expect(case.end(command), 0)
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    shutil.copyfile(backup, database)
    _sync(case, "--verify")
    _sync_twice(case)
    case.interrupted.clear()
    case.check()


ROWS = (
    Row(
        7,
        "no server at the start",
        "a port that nothing listens on",
        "trains, the first epoch at most 5 s later; sync delivers, twice changes nothing; an error if it is required",
        away_at_start,
    ),
    Row(8, "the server dies", "mlflow server killed, started again 5 s later", "drained at the end", dies),
    Row(
        9,
        "the server goes and stays away",
        "a proxy that refuses to the end",
        "exit 0, says what waits; sync delivers, twice changes nothing",
        stays_away,
    ),
    Row(
        10,
        "the server hangs",
        "a proxy that reads and never answers",
        "as row 9, the end delayed by 15 s at most",
        hangs,
    ),
    Row(
        11,
        "answers are lost",
        "a proxy that drops replies to runs/create, log-batch, …",
        "one run for each trial",
        loses_replies,
    ),
    Row(12, "the server is busy", "a proxy that answers 503 to 3 of 10 requests", "drained", is_busy),
    Row(
        13,
        "the server forgets",
        "an older copy of its database put back",
        "sync --verify sends what is missing",
        forgets,
    ),
)
