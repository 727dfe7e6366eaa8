"""Rows 1 and 3 to 6: processes are killed, terminated and interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from faultmatrix.case import Case, kill
from faultmatrix.command import Command, Ended, is_alive
from faultmatrix.rows.row import Row
from faultmatrix.store import runs

STOP_SECONDS = 10.0  # in which SIGTERM has to be done, on a machine that does nothing else
ORPHAN_SECONDS = 2.0  # some epochs
RESUMES = "go on:"


def kill_worker(case: Case) -> None:
    """SIGKILL a worker, up to three times, while the command goes on."""
    command = case.start()
    for number in range(case.random.randint(1, 3)):
        after = case.instant() * (0.6 if number else 0.9) / (number + 1)

        def blow(command: Command) -> None:
            workers = command.workers()
            if workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(case.random.choice(workers), signal.SIGKILL)

        if not case.strike(command, after, blow):
            break
    case.expect(case.end(command), 0)
    case.check()


def kill_parent(case: Case) -> None:
    """SIGKILL the parent alone; the same command at once, while orphans may still be there."""
    workers: list[int] = []

    def blow(command: Command) -> None:
        workers.extend(command.workers())
        os.kill(command.pid, signal.SIGKILL)

    case.interrupt(blow)
    began = time.monotonic()
    again = case.start()  # not through `again`: it must not wait
    case.before, case.again_at = None, time.time()
    while any(map(is_alive, workers)) and time.monotonic() - began < 30:
        time.sleep(0.01)
    gone = time.monotonic() - began
    case.figure({"orphan_seconds": gone})
    if gone > ORPHAN_SECONDS:
        case.problem(f"workers lived on for {gone:.1f} s without their parent")
    case.expect(case.end(again), 0)
    case.check()


def kill_group(case: Case) -> None:
    """SIGKILL everything, once or twice."""
    case.interrupt(kill)
    if case.seed % 2:
        case.strike(case.start(), case.instant() / 2, kill)
        case.close()
    case.again()
    case.check()


def terminate(case: Case) -> None:
    """SIGTERM to the parent, as a scheduler sends it."""
    sent: list[float] = []

    def blow(command: Command) -> None:
        sent.append(time.monotonic())
        command.send(signal.SIGTERM)

    ended = case.interrupt(blow)
    took = time.monotonic() - sent[-1] if sent else 0.0
    case.figure({"exit_seconds": took})
    if took > STOP_SECONDS * 1.5:
        case.problem(f"SIGTERM took {took:.1f} s")
    if not _came_too_late(case, ended):
        case.expect(ended, 143)
    _expect_stopped(case)
    case.again()
    case.check()


def interrupt(case: Case) -> None:
    """Ctrl-C at a terminal: once where the seed is even, twice where it is odd."""

    def blow(command: Command) -> None:
        command.press_interrupt()
        if case.seed % 2:
            time.sleep(case.random.random() / 2)
            command.press_interrupt()

    ended = case.interrupt(blow, at_terminal=True)
    if not _came_too_late(case, ended):
        case.expect(ended, 130, says="" if case.seed % 2 else RESUMES)
    if not case.seed % 2:
        _expect_stopped(case)
    case.again()
    case.check()


def _came_too_late(case: Case, ended: Ended) -> bool:
    """Return whether all was trained and delivered before: then it has ended well, or dies of the signal."""
    found = case.look()
    if ended.code not in (0, -signal.SIGTERM, -signal.SIGINT) or found is None:
        return False
    return not found.pending and all(trial.ended for trial in found.trials.values())


def _expect_stopped(case: Case) -> None:
    """No run is left as if it were running, and the ledger says so too."""
    place, found = case.where, case.look()
    ghosts = [run.id for run in runs(place.database, place.experiment, place.served) if run.status == "RUNNING"]
    if ghosts:
        case.problem(f"{len(ghosts)} runs are RUNNING after the command has stopped")
    running = [trial.label for trial in found.trials.values() if trial.state == "running"] if found else ["?"]
    if running:
        case.problem(f"{len(running)} trials are running in the ledger after the command has stopped: {running[0]}")


ROWS = (
    Row(
        1,
        "a worker is killed",
        "SIGKILL to one of the workers, one to three times in a run",
        "its slice is trained again in the same run; exit 0",
        kill_worker,
    ),
    Row(
        3,
        "the parent is killed, its workers are not",
        "SIGKILL to the parent alone, the same command at once",
        "orphans gone within 2 s; no trial in two processes at once",
        kill_parent,
    ),
    Row(
        4,
        "everything is killed",
        "SIGKILL to the process group, once or twice",
        "goes on where it was saved",
        kill_group,
    ),
    Row(
        5,
        "a scheduler stops it",
        "SIGTERM to the parent",
        "exit 143 within 10 s, nothing left RUNNING, goes on where it was saved",
        terminate,
    ),
    Row(
        6,
        "its user stops it",
        "Ctrl-C at a pseudo-terminal, once or twice",
        "exit 130; once: saved, told how to go on, nothing left RUNNING; twice: at once",
        interrupt,
        short=2,
        needs=("setsid",),
    ),
)
