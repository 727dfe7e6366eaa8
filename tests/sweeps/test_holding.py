"""Holding a sweep: one process at a time, and none that is dead."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnexp.errors import UsageError
from nnexp.sweeps.holding import Holder, holding, is_held

# Holds a sweep, says so, and waits for its end.
HOLDER = """
import sys
from pathlib import Path
from nnexp.sweeps.holding import holding
with holding(Path(sys.argv[1]), "name-1234"):
    print("held", flush=True)
    sys.stdin.read()
"""
# Says once whether it could hold the sweep, after all others are ready to try.
TRIER = """
import sys, time
from pathlib import Path
from nnexp.errors import UsageError
from nnexp.sweeps.holding import holding
print("ready", flush=True)
sys.stdin.readline()
try:
    with holding(Path(sys.argv[1]), "name-1234"):
        print("held", flush=True)
        sys.stdin.readline()
except UsageError as error:
    print(error, flush=True)
"""


def started(source: str, folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", source, str(folder)], stdin=pipe, stdout=pipe, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(HOLDER, tmp_path / "sweep") as process:
        assert said(process) == "held"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_a_sweep(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    assert is_held(tmp_path / "sweep")
    words = f"sweep name-1234 is being worked on by process {holder.pid} on {socket.gethostname()}, since 20"
    with pytest.raises(UsageError) as caught, holding(tmp_path / "sweep", "name-1234"):
        pass
    assert str(caught.value).startswith(words)
    assert caught.value.exit_code == 2
    assert is_held(tmp_path / "sweep"), "being told so takes nothing from who holds it"


def test_a_killed_process_holds_nothing(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "sweep" / "holder.json").exists(), "it had no time to say that it ends"
    assert not is_held(tmp_path / "sweep")
    with holding(tmp_path / "sweep", "name-1234"):
        told = Holder(**json.loads((tmp_path / "sweep" / "holder.json").read_text()))
        assert told.process == os.getpid()
        assert is_held(tmp_path / "sweep")
    assert not (tmp_path / "sweep" / "holder.json").exists()
    assert not is_held(tmp_path / "sweep")


def test_of_many_that_start_at_once_one_holds_it(tmp_path: Path) -> None:
    processes = [started(TRIER, tmp_path / "sweep") for _ in range(3)]
    try:
        assert [said(each) for each in processes] == ["ready"] * 3
        for each in processes:
            tell(each)
        told = [said(each) for each in processes]
        assert told.count("held") == 1
        owner = processes[told.index("held")].pid
        assert sum(f"is being worked on by process {owner} on " in each for each in told) == 2
    finally:
        for each in processes:
            each.kill()
            each.communicate()


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), holding(tmp_path, "name-1234"):
        _ = 1 / 0
    assert not is_held(tmp_path)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_other_sweeps_are_free(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with holding(tmp_path / "other", "other-1234"):
        assert is_held(tmp_path / "sweep")


def test_a_note_that_cannot_be_read_does_not_matter(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    for content in ("", "{", "[1]", '{"host": "h"}', '{"whatever": 1}'):
        (tmp_path / "sweep" / "holder.json").write_text(content)
        with pytest.raises(UsageError, match="is being worked on by another process"), holding(tmp_path / "sweep", "x"):
            pass
