"""The view that changes: on a real pseudo-terminal, and in a notebook."""

from __future__ import annotations

import builtins
import os
import signal
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console

from nnexp.config.build import Screen as Settings
from nnexp.screen import open_screen
from nnexp.screen.live import Live, Notebook
from nnexp.screen.plain import Plain
from nnexp.screen.view import view
from nnexp.sweeps.progress import Progress
from tests.screen.told import EVIL, FAILURE, PLANNED, SHOWN, outcome, progress
from tests.terminal import Seen, on_terminal

ROOT = Path(__file__).parents[2]

SWEEP = """
import sys, time, warnings
from pathlib import Path
from nnexp.config.build import Screen
from nnexp.screen import open_screen
from tests.screen.told import *
with open_screen(Screen(every=1e-9)) as screen:
    screen.planned(PLANNED)
    screen.show(progress(seconds=5.0))
    time.sleep(1.2)
    screen.failed(FAILURE)
    screen.note(EVIL)
    print("from somewhere else", file=sys.stderr)
    {then}
    screen.delivering(7)
    time.sleep(0.6)
    screen.result(outcome(Path("folder")))
"""


def watched(folder: Path, then: str = "pass", **settings: Any) -> Seen:
    """Watch a screen on a terminal that is told of half a sweep, and then something else."""
    program = [sys.executable, "-c", SWEEP.format(then=then)]
    return on_terminal(program, folder, **{"variables": {"PYTHONPATH": str(ROOT)}, **settings})


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return watched(tmp_path_factory.mktemp("seen"))


def test_a_terminal_shows_a_view_that_is_gone_at_the_end(seen: Seen) -> None:
    shown = next(frame for frame in seen.frames if "\n  failed" in frame).splitlines()
    assert [line.split()[0] for line in shown[-4:]] == ["work", "trials", "best", "failed"]
    assert "3 of 8 done (1 diverged, 1 failed), 3 running, 100 epochs/s" in shown[-3]
    assert "val/acc 0.7500 ± 0.0248 (n=3) adam" in shown[-2]
    lines = seen.terminal.lines
    assert "  training 14 in 2 stacks of 6 to 8 on 2 workers" in lines
    at = lines.index(rf"failed: {SHOWN}: ValueError: \x1b[2J gone")
    assert lines[at + 1 : at + 4] == [SHOWN, "from somewhere else", ""]
    assert lines[at + 4].startswith("2 configurations, best val/acc_best first")
    assert not [line for line in lines if line.startswith(("  work", "  best"))]


def test_the_end_is_said_in_place_of_the_view(seen: Seen) -> None:
    ends = [frame for frame in seen.frames if "2 configurations, best" in frame]
    assert ends
    assert not [frame for frame in ends if "\n  work" in frame]


def test_a_terminal_shows_what_is_still_to_be_delivered(seen: Seen) -> None:
    shown = [frame.splitlines() for frame in seen.frames if "MLflow  7 runs to deliver" in frame]
    assert shown
    assert shown[-1][-5].endswith("25%, trained in 5.0 s")


def test_the_seconds_go_by_in_the_view_without_news(seen: Seen) -> None:
    bars = {line for frame in seen.frames for line in frame.splitlines() if line.startswith("  work")}
    assert len([bar for bar in bars if "25%" in bar]) >= 2


def is_clean(seen: Seen) -> bool:
    """Return whether a terminal is as it was before, but for lines above."""
    left = [line for line in seen.terminal.lines if line.startswith(("  work", "  best"))]
    return (
        seen.settings[0] == seen.settings[1] and seen.terminal.column == 0 and not seen.terminal.lines[-1] and not left
    )


def test_a_terminal_is_as_it_was(seen: Seen) -> None:
    assert seen.code == 0
    assert is_clean(seen)


# the trace of an error would be the interpreter's, not the screen's
@pytest.mark.parametrize("then", ["raise SystemExit(1)", "sys.excepthook = lambda *_: None; raise ValueError(EVIL)"])
def test_a_terminal_is_as_it_was_after_an_error_too(tmp_path: Path, then: str) -> None:
    seen = watched(tmp_path, then)
    assert seen.code == 1
    assert is_clean(seen)


def test_a_killed_process_leaves_the_cursor_visible(tmp_path: Path) -> None:
    def kill(text: str, process: int) -> None:
        if "  best" in text:
            os.kill(process, signal.SIGKILL)

    seen = watched(tmp_path, "time.sleep(60)", watch=kill)  # any sequence that hides it would have been an error
    assert seen.code == -signal.SIGKILL


def test_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    seen = watched(tmp_path, variables={"PYTHONPATH": str(ROOT), "TERM": "dumb"})
    assert seen.code == 0
    assert not [frame for frame in seen.frames if "  work" in frame]
    assert (
        "  3 of 8 trials done (1 diverged, 1 failed), 3 running, 25% of the work, 100 epochs/s; best "
        in seen.terminal.text
    )


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_a_view_is_never_wider_than_its_terminal(columns: int) -> None:
    console = Console(width=columns)
    with console.capture() as captured:
        console.print(view(progress(failures=(FAILURE,) * 9)))
    lines = captured.get().splitlines()
    assert len(lines) == 3 + 3, "the work, trials, the best, and three failures"
    assert max(map(len, lines)) <= columns
    assert [line[:8] for line in lines] == ["  work  ", "  trials", "  best  ", *["  failed"] * 3]


def test_a_view_of_nothing_yet_is_short() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(view(Progress(12, work=1.0)))
    work, trials = captured.get().splitlines()
    assert work.rstrip().endswith(" 0%, 0.0 s")
    assert trials.rstrip() == "  trials  0 of 12 done, 0 running"


def test_nobody_has_to_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    unread = os.fdopen(writing, "w", buffering=1)
    monkeypatch.setattr(sys, "stdout", unread)
    with Live() as screen:
        screen.show(progress())
        screen.planned(PLANNED)
        screen.note(EVIL)
        screen.failed(FAILURE)
        screen.result(outcome(tmp_path))
    assert sys.stdout.name == os.devnull
    sys.stdout.close()
    with pytest.raises(BrokenPipeError):
        unread.close()


@dataclass
class Cell:
    """What a notebook shows of a cell's displays, each with all that it was."""

    shown: list[Any] = field(default_factory=list)

    def display(self, what: Any, display_id: bool) -> Cell:
        assert display_id
        self.update(what)
        return self

    def update(self, what: Any) -> None:
        self.shown.append(what)


class ZMQInteractiveShell:
    """Called as that of notebooks is."""


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """Return a cell of a notebook in which everything seems to run."""
    found, module = Cell(), types.ModuleType("IPython.display")
    module.display = found.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    return found


@pytest.mark.parametrize("mode", ["auto", "live"])
def test_a_notebook_has_a_view_of_its_own(
    mode: Literal["auto", "live"],
    cell: Cell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with open_screen(Settings(mode=mode)) as screen:
        assert isinstance(screen, Notebook)
        screen.planned(PLANNED)
        for tenth in range(20):
            now[0] = 100 + tenth / 10
            screen.show(progress(finished=tenth))
        now[0] = 103.0
        screen.delivering(7)
        screen.result(outcome(tmp_path))
    assert len(cell.shown) == 1 + 4 + 1, "at once, every half second, and as it was at the end"
    rich = cell.shown[-1]._repr_mimebundle_([], [])
    assert "21 of 8 done" in rich["text/html"]
    assert "21 of 8 done" in rich["text/plain"]
    assert "7 runs to deliver" in rich["text/plain"]
    assert "training 14 in" in capsys.readouterr().out


def test_a_view_where_none_can_be_is_lines_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(open_screen(Settings(mode="live")), Plain)
    assert capsys.readouterr().out.startswith("note: screen.mode=live needs a terminal or a notebook")
    assert isinstance(open_screen(Settings(mode="auto")), Plain)
    assert capsys.readouterr().out == ""
