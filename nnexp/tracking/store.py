"""MLflow's store: where it is, and how a new one is made so that no crash and no second process can spoil it."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

from filelock import FileLock, Timeout

from nnexp.errors import ConfigError, NnexpError, TrackingError
from nnexp.tracking.client import ClientWriter
from nnexp.tracking.database import is_known, make
from nnexp.tracking.direct import open_direct
from nnexp.tracking.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")  # that MLflow can write to
LOCK_SECONDS = 120
CONNECT_SECONDS = 10
SECRETS = ("pass", "pwd", "secret", "token", "odbc_connect")  # in the names of a database URI's parameters

# How MLflow behaves unless the user has said otherwise. Its own retries would block for minutes and repeat what must
# not be repeated; nnexp tries again itself.
MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


@dataclass(frozen=True)
class Store:
    """Where a sweep is tracked. uri: MLflow's. experiment: its name. root: the folder where nnexp writes."""

    uri: str
    experiment: str
    root: Path

    @property
    def address(self) -> str:
        """The URI, which may be shown and kept: without credentials."""
        return without_credentials(self.uri)

    def __str__(self) -> str:
        return f"{self.address}, experiment {self.experiment}"

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        place, found, path = self.uri.partition("?")[0].partition("sqlite:///")
        return Path(path) if found and not place else None

    @property
    def lock(self) -> FileLock:
        """What one process at a time holds while it opens the store."""
        place = self.root / "mlflow.db" if self.path is None else self.path
        return FileLock(place.with_suffix(".lock"), timeout=LOCK_SECONDS)


def store_uri(given: str | None, root: Path, name: str = "tracking.uri") -> str:
    """Return the tracking URI: the given one, else MLFLOW_TRACKING_URI, else SQLite under the root.

    That of a SQLite file is made absolute: the same one wherever a later command runs.
    Args: name: of the setting that gives it.
    Raises: ConfigError if it names a kind of store that MLflow cannot write to.
    """
    named = {name: given, "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI")}
    for where, uri in named.items():
        if uri:
            kind, colon, _ = uri.partition(":")
            if not colon or kind.partition("+")[0] not in STORES:
                raise ConfigError(
                    f"{where} must begin with one of {', '.join(STORES)}; got {without_credentials(uri)!r}"
                )
            return _absolute(uri)
    return f"sqlite:///{root / 'mlflow.db'}"


def _absolute(uri: str) -> str:
    path = uri.removeprefix("sqlite:///")
    return uri if path == uri or path.startswith(("/", ":")) or not path else f"sqlite:///{Path(path).absolute()}"


def without_credentials(uri: str) -> str:
    """Return a URI without its password; of a server's, without its user too, whose name may be a token."""
    kind, colon, rest = uri.partition("://")
    if not colon or kind == "sqlite":
        return uri
    if kind in ("http", "https"):
        place, slash, path = rest.partition("/")
        return f"{kind}://{place.rpartition('@')[2]}{slash}{path}"
    rest = re.sub(r"^([^:/@]*):[^@]*@", r"\1@", rest)  # as SQLAlchemy reads it: a password may have slashes
    place, question, query = rest.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if not any(each in name.lower() for each in SECRETS)]
    return f"{kind}://{place}{question if kept else ''}{urlencode(kept, safe='/:,')}"


def told(argument: str) -> str:
    """Return an argument of a command, which may be shown and kept: an URI in it without credentials."""
    key, equals, value = argument.partition("=")
    return f"{key}{equals}{without_credentials(value)}" if equals else without_credentials(argument)


def one_line(error: BaseException, uri: str) -> str:
    """Return what an error says in one line, without the credentials of a URI."""
    text = str(error) if isinstance(error, NnexpError) else f"{type(error).__name__}: {error}"
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"(?<=://)[^/\s'\"@]*@", "", text.replace(uri, without_credentials(uri)))
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


def _secrets(uri: str) -> set[str]:
    """Return what a URI has that must not be shown."""
    kind, _, rest = uri.partition("://")
    if kind == "sqlite":
        return set()
    found = {value for name, value in parse_qsl(rest.partition("?")[2]) if any(s in name.lower() for s in SECRETS)}
    with suppress(ValueError):
        found |= {urlsplit(uri).password or ""}
    match = re.match(r"[^:/@]*:([^@]*)@", rest)
    return {each for each in (*found, match[1] if match else "") if len(each) > 2}


def import_mlflow() -> None:
    """Import MLflow, which takes a second or two, and set how it behaves where the user has not said it."""
    for name, value in MANNERS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.ERROR)  # 60 lines of migrations otherwise
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks of what delivery says in a line
    import mlflow  # noqa: F401


def open_store(store: Store) -> tuple[MlflowClient, str]:
    """Return a client and the id of the experiment, both created if they are missing.

    MLflow's own telemetry is off unless the user turns it on (MLFLOW_DISABLE_TELEMETRY=false).
    Raises: TrackingError if the store cannot be used.
    """
    import_mlflow()
    from mlflow import MlflowClient

    try:
        knock(store)
        with _alone(store):
            if store.path is not None:
                make(store.path)
            client = MlflowClient(tracking_uri=store.uri)
            return client, _experiment(client, store)
    except Timeout:
        raise TrackingError(f"{store.lock.lock_file} is held by another process for over {LOCK_SECONDS} s") from None
    except TrackingError:
        raise
    except Exception as error:  # of MLflow, of SQLAlchemy, of the database's driver or its absence
        raise TrackingError(f"MLflow's store {store.address} cannot be used: {one_line(error, store.uri)}") from None


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Let no other process open a database meanwhile: if it is new, only one may migrate it. A server sees to that."""
    if store.uri.startswith(("http", "databricks")):
        yield
        return
    Path(store.lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    with store.lock:
        yield


def knock(store: Store) -> None:
    """Connect to a database: one that is not there says so at once, where MLflow would try for up to an hour."""
    kind = store.uri.partition(":")[0].partition("+")[0]
    if kind in ("postgresql", "mysql", "mssql"):
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        soon = {} if kind == "mssql" else {"connect_timeout": CONNECT_SECONDS}
        create_engine(store.uri, poolclass=NullPool, connect_args=soon).connect().close()


def needs_mlflow(store: Store) -> bool:
    """Return whether a store can only be written by MLflow's client, whose import takes a second or two."""
    return _direct_path(store) is None


def open_writer(store: Store) -> Writer:
    """Return what writes into a store, which is made if it is missing.

    Raises: TrackingError if the store cannot be used.
    """
    if store.path is not None and not store.path.exists():
        open_store(store)  # MLflow makes it
    path = _direct_path(store)
    direct = None if path is None else open_direct(path, store.experiment, _location(store))
    return direct or ClientWriter(*open_store(store))


def _direct_path(store: Store) -> Path | None:
    path = store.path
    return path if path is not None and "?" not in store.uri and is_known(path) else None


def _location(store: Store) -> str:
    """Return the URI of where files go that no server takes."""
    return (store.root / "artifacts").as_uri()


def check_store(store: Store, seconds: float = 5.0) -> None:
    """Raise TrackingError unless a store can be used, within some seconds of asking it. It is made if it is missing."""
    if store.path is not None:
        open_writer(store).close()
        return
    problem = _in_time(lambda: _somebody_answers(store, seconds), seconds, store)
    if problem is None:
        import_mlflow()  # whose time is not the store's
        problem = _in_time(lambda: open_store(store) and None, seconds, store)
    if problem is not None:
        raise problem


def _somebody_answers(store: Store, seconds: float) -> None:
    """Ask a server anything: one that is not there says so before MLflow is imported."""
    if not store.uri.startswith(("http://", "https://")):
        return
    try:
        urlopen(f"{store.address.rstrip('/')}/health", timeout=seconds).close()
    except HTTPError as error:
        if error.code >= 500:
            raise TrackingError(f"MLflow's store {store.address} cannot be used: it answers {error.code}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(f"MLflow's store {store.address} cannot be reached: {reason}") from None


def _in_time(work: Callable[[], None], seconds: float, store: Store) -> TrackingError | None:
    """Return why some work failed, which is also that it takes too long."""
    problem = TrackingError(f"MLflow's store {store.address} does not answer within {seconds:g} s")
    found: list[TrackingError | None] = [problem]

    def run() -> None:
        try:
            work()
            found[0] = None
        except Exception as error:
            found[0] = error if isinstance(error, TrackingError) else TrackingError(one_line(error, store.uri))

    thread = threading.Thread(target=run, name="nnexp-store", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0]


def _experiment(client: MlflowClient, store: Store) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(store.experiment)
    if found is None:
        served = store.uri.startswith(("http://", "https://", "databricks"))  # others would take a folder of here
        location = None if served else _location(store)
        try:
            return str(client.create_experiment(store.experiment, artifact_location=location))
        except MlflowException:  # perhaps another process was faster
            found = client.get_experiment_by_name(store.experiment)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow's experiment {store.experiment!r} is deleted: restore it or choose another tracking.experiment"
        )
    return str(found.experiment_id)
