"""Signals: a sweep that is interrupted, terminated or killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nnexp.sweeps import interrupts as interrupts_module
from nnexp.sweeps.interrupts import Interrupts
from nnexp.testing.contracts import assert_equal_numbers
from nnexp.testing.trials import small
from nnexp.training import Training
from tests.processes import LONG, children, is_gone, within
from tests.runs import surroundings
from tests.sweeps import driver
from tests.sweeps.executed import Sweep, Told, alone


class Command:
    """A command that executes what is missing of a sweep, under way, and its lines so far."""

    def __init__(self, root: Path, name: str, **settings: object) -> None:
        arguments = [str(root), name, json.dumps({"workers": 2, **settings})]
        # SIGINT is ignored by what starts in the background, and by all that this starts
        heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{heard}from tests.sweeps.driver import command; command()", *arguments],
            stdout=subprocess.PIPE, text=True, env=surroundings(),
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip("\n") for line in iter(self.process.stdout.readline, ""))

    def until(self, begins: str, count: int = 1) -> None:
        """Wait until it has said so many lines that begin so, or has ended."""
        within(lambda: self.process.poll() is not None or sum(each.startswith(begins) for each in self._said) >= count)

    @property
    def _said(self) -> Sequence[str]:
        return list(self.lines)

    def send(self, *numbers: int) -> None:
        """Send signals, if it has not ended; each is heard before the next one."""
        for number in numbers:
            self.process.send_signal(number)
            time.sleep(0.05)

    def end(self) -> int:
        """Wait until it has ended and all of its workers are gone; return the exit code."""
        code = self.process.wait(LONG)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def test_a_sweep_goes_on_after_whatever_ended_it(tmp_path: Path) -> None:
    draw, codes = random.Random(1), []
    for sent in ((signal.SIGINT,), (signal.SIGKILL,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), ()):
        command = Command(tmp_path, "short")
        command.until("slice", draw.randrange(2, 8))
        workers = children(command.process.pid)
        assert workers
        command.send(*sent)
        codes.append(command.end())
        within(lambda ended=workers: all(map(is_gone, ended)))  # type: ignore[misc]
        states = [each.state for each in Sweep(driver.TRIALS["short"], tmp_path).standing()]
        assert ("running" in states) == (signal.SIGKILL in sent)
    assert codes == [130, -9, 130, 143, 0]
    sweep = Sweep(driver.TRIALS["short"], tmp_path)
    for trial, numbers in zip(sweep.plan.trials, sweep.numbers(), strict=True):
        assert_equal_numbers(numbers, alone(trial.config), trial.label)
    assert {each.generation for each in sweep.standing()} == {0}
    assert sweep.stacks() == 0


@pytest.mark.parametrize("numbers", [(signal.SIGKILL,), (signal.SIGINT, signal.SIGTERM)])
def test_a_signal_for_workers_costs_no_trial(tmp_path: Path, numbers: Sequence[int]) -> None:
    command = Command(tmp_path, "short")
    command.until("slice", 2)
    for worker in children(command.process.pid):
        for number in numbers:
            os.kill(worker, number)
    assert command.end() == 0
    lost = [line for line in command.lines if line.startswith("note")]
    assert bool(lost) == (signal.SIGKILL in numbers)
    assert all(line.endswith("worker killed by SIGKILL; the slice is trained again") for line in lost)


@pytest.mark.parametrize(
    ("numbers", "code", "text"),
    [((signal.SIGINT, signal.SIGINT), 130, "interrupted"), ((signal.SIGTERM,), 143, "terminated by SIGTERM")],
)
def test_a_slice_that_does_not_end_is_not_waited_for(
    tmp_path: Path, numbers: Sequence[int], code: int, text: str
) -> None:
    command = Command(tmp_path, "hanging")
    command.until("slice", 4)
    began = time.monotonic()
    command.send(*numbers)
    command.until("note")
    assert command.process.poll() is None or time.monotonic() - began > 0.05
    assert command.end() == code
    assert time.monotonic() - began < LONG
    assert command.lines[-1] == f"halt {text}"
    states = Sweep(driver.TRIALS["hanging"], tmp_path).standing()
    assert [(each.state, each.note) for each in states] == [("stopped", text)] * 2
    assert states[0].epoch > 0


def test_the_first_interruption_waits_for_a_slice_and_says_so(tmp_path: Path) -> None:
    command = Command(tmp_path, "hanging")
    command.until("slice", 2)
    command.send(signal.SIGINT)
    command.until("note")
    assert command.lines[-1] != "halt interrupted"
    assert "note interrupted: stopping at the next slice; Ctrl-C again stops at once" in command.lines
    time.sleep(0.5)
    assert command.process.poll() is None
    command.send(signal.SIGINT)
    assert command.end() == 130


def test_waiting_takes_no_time_of_the_processor(tmp_path: Path) -> None:
    command = Command(tmp_path, "hanging", workers=1)
    within(lambda: len(children(command.process.pid)) == 1)
    time.sleep(1.0)
    before = _processor_seconds(command.process.pid)
    time.sleep(2.0)
    assert _processor_seconds(command.process.pid) - before < 0.3
    command.send(signal.SIGINT, signal.SIGINT)
    command.end()


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with Interrupts() as interrupts:
        assert all(signal.getsignal(number) != handler for number, handler in before.items())
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        within(lambda: interrupts.count == 1 and interrupts.terminated_at is not None)
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            assert interrupts.halt is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_interruption_is_graceful_the_second_at_once_the_third_is_python_s_own() -> None:
    interrupts = Interrupts()
    assert (interrupts.halt, interrupts.at_once) == (None, False)
    interrupts.interrupt()
    assert interrupts.halt is not None
    assert (interrupts.halt.cause, interrupts.at_once) == ("interrupted", False)
    interrupts.interrupt()
    assert interrupts.at_once
    with pytest.raises(KeyboardInterrupt):
        interrupts.interrupt()


def test_sigterm_is_graceful_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupts = Interrupts()
    interrupts.terminate()
    assert interrupts.halt is not None
    assert (interrupts.halt.cause, interrupts.at_once) == ("terminated", False)
    monkeypatch.setattr(interrupts_module, "KILL_SECONDS", 0.0)
    assert interrupts.at_once


def test_a_sweep_in_another_thread_than_the_main_one_can_be_interrupted_too(tmp_path: Path) -> None:
    sweep, interrupts = Sweep([small(training=Training(epochs=10**7))], tmp_path), Interrupts()
    halts = []

    def interrupt(told: Told) -> None:
        if len(told.progress) == 2:
            interrupts.interrupt()

    def run() -> None:
        halts.append(sweep.execute(workers=1, interrupts=interrupts, then=interrupt)[0])

    handler = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LONG)
    (halt,) = halts
    assert halt is not None
    assert halt.cause == "interrupted"
    assert signal.getsignal(signal.SIGINT) == handler
    assert sweep.standing()[0].state == "stopped"
