"""A real PostgreSQL of its own folder, reached through a Unix socket in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HANGS = 120.0
ACCOUNT = "postgres"  # of Debian's package; PostgreSQL refuses to run as root
DEBIAN = Path("/usr/lib/postgresql")

# A database for a few minutes: nothing of it has to survive a crash.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=40", "listen_addresses=")


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs: on the PATH, or where Debian's newest has them."""
    on_path = shutil.which("initdb")
    debian = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = Path(on_path) if on_path else debian[-1] if debian else None
    return None if found is None or (os.geteuid() == 0 and not _has_account()) else found.resolve().parent


def _has_account() -> bool:
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        return False
    return True


@contextmanager
def running_postgresql(bin_folder: Path) -> Iterator[str]:
    """Keep a new PostgreSQL running for a while; give the URI of an empty database in it.

    Its folder is not pytest's: that is the user's alone, and a socket's path has room for 107 characters.
    """
    folder = Path(tempfile.mkdtemp(prefix="nnexp-postgresql-"))
    data, log = folder / "data", folder / "log"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        _run(bin_folder, "initdb", "--pgdata", str(data), "--username", ACCOUNT, "--auth", "trust", "--no-sync")
        options = " ".join(f"-c {each}" for each in (*OPTIONS, f"unix_socket_directories={folder}"))
        _run(bin_folder, "pg_ctl", "start", "--wait", "--pgdata", str(data), "--log", str(log), "--options", options)
        try:
            yield f"postgresql://{ACCOUNT}@/{ACCOUNT}?host={folder}"
        finally:
            _run(bin_folder, "pg_ctl", "stop", "--mode", "immediate", "--pgdata", str(data))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(bin_folder: Path, program: str, *arguments: str) -> None:
    command: Sequence[str] = [str(bin_folder / program), *arguments]
    account = ACCOUNT if os.geteuid() == 0 else None
    # Not captured through a pipe: the server that pg_ctl starts would hold it open.
    with tempfile.TemporaryFile() as printed:
        done = subprocess.run(
            command,
            user=account,
            group=account,
            extra_groups=[] if account else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            timeout=HANGS,
        )
        if done.returncode:
            printed.seek(0)
            raise AssertionError(f"{program} failed:\n{printed.read().decode(errors='replace')}")
