"""Each screen says what it is told in its own way, and nothing that acts on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from nnexp.config.build import Screen as Settings
from nnexp.screen import Result, Screen, open_screen
from nnexp.screen.json_lines import JsonLines
from nnexp.screen.plain import Plain
from nnexp.screen.quiet import Quiet
from nnexp.sweeps.progress import Progress
from tests.screen.told import ENDED, EVIL, FAILURE, PLANNED, SHOWN, outcome, progress

Capture = pytest.CaptureFixture[str]
MODES: tuple[Literal["auto", "live", "plain", "quiet", "json"], ...] = ("auto", "live", "plain", "quiet", "json")


def tell(screen: Screen, result: Result) -> None:
    """Tell a screen of everything that can happen."""
    with screen:
        screen.planned(PLANNED)
        screen.note(EVIL)
        screen.show(progress(work_done=1.0, seconds=5.0, best=None))
        screen.show(progress())
        screen.ended(ENDED)
        screen.failed(FAILURE)
        screen.delivering(2)
        screen.result(result)


def objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines; an error if a line is anything else, or not strict."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert all(isinstance(each, dict) for each in found)
    return found


@pytest.mark.parametrize("mode", MODES)
def test_no_screen_lets_a_control_character_through(mode: Any, tmp_path: Path, capsys: Capture) -> None:
    tell(open_screen(Settings(mode=mode, every=1e-9)), outcome(tmp_path))
    out = capsys.readouterr().out
    assert all(character.isprintable() for line in out.split("\n") for character in line)
    assert out.endswith("\n")


def test_plain_lines_say_all_of_it(tmp_path: Path, capsys: Capture) -> None:
    tell(Plain(1e-9), outcome(tmp_path))
    assert capsys.readouterr().out.splitlines()[:12] == [
        "sweep name-1234: 20 trials of 10 configurations, 4 combinations removed, 1 repeated combination merged",
        "  3 of 20 trials are in the ledger already and are not trained again",
        "  2 failed before; sweep.rerun=failed tries them again",
        "  1 is reused: another sweep in this ledger has trained it",
        "  1 stack goes on from its last saved slice",
        "  training 14 in 2 stacks of 6 to 8 on 2 workers",
        SHOWN,
        "  3 of 8 trials done (1 diverged, 1 failed), 3 running, 12% of the work, 100 epochs/s",
        "  3 of 8 trials done (1 diverged, 1 failed), 3 running, 25% of the work, 50 epochs/s, 30 s left; "
        "best val/acc 0.7500 ± 0.0248 (n=3) adam",
        rf"failed: {SHOWN}: ValueError: \x1b[2J gone",
        "  trained; MLflow: 2 runs to deliver",
        "",
    ]


def test_the_end_says_where_everything_is(tmp_path: Path, capsys: Capture) -> None:
    with Quiet() as screen:
        screen.result(outcome(tmp_path))
    out = capsys.readouterr().out
    assert out.startswith("\n2 configurations, best val/acc_best first")
    assert out.splitlines()[-8:] == [
        "",
        "trials:  3 finished, 1 diverged",
        "seconds: train 2.0 s; total 3.5 s",
        "MLflow lacks 2 trials: nnexp-sync sends them",
        f"files:   {tmp_path}",
        "look:    nnexp-ui",
        "         http://127.0.0.1:5000",
        "go on:   nnexp-run -m a=1,2",
    ]


def test_a_quiet_screen_says_failures_and_the_end_only(tmp_path: Path, capsys: Capture) -> None:
    tell(Quiet(), outcome(tmp_path))
    first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("failed: ")
    assert second == ""
    assert third.startswith("2 configurations, ")


def test_every_line_of_json_is_an_object_that_names_its_event(tmp_path: Path, capsys: Capture) -> None:
    tell(JsonLines(1e-9), outcome(tmp_path))
    found = {each["event"]: each for each in objects(capsys.readouterr().out)}
    assert list(found) == ["planned", "note", "progress", "ended", "failed", "delivering", "result"]
    assert all(each["time"] > 1.7e9 for each in found.values())
    assert found["planned"]["widths"] == [8, 6]
    assert found["planned"]["to_train"] == 14
    assert found["note"]["text"] == EVIL
    assert found["progress"]["best"]["ci95"] == pytest.approx(0.0248, abs=1e-4)
    assert (found["progress"]["share"], found["progress"]["seconds_left"]) == (0.25, 30.0)
    assert found["ended"]["objective"] is None, "NaN is no number"
    assert found["failed"] == {**found["failed"], "key": "abc", "label": EVIL, "reason": FAILURE.reason}
    best, other = found["result"]["leaderboard"]
    assert (best["rank"], best["configuration"], best["n"]) == (1, "lr=1", 2)
    assert best["metrics"]["val/acc_best"]["ci95"] == pytest.approx(1.2706, abs=1e-4)
    assert other["metrics"]["val/acc_best"] == {"mean": None, "std": 0.0, "ci95": None}
    assert found["delivering"]["pending"] == 2
    assert found["result"]["states"] == {"finished": 3, "diverged": 1}


@pytest.mark.parametrize("kind", [Plain, JsonLines])
def test_progress_is_said_every_few_seconds_and_not_at_every_slice(
    kind: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    screen = kind(5.0)
    for second in range(12):
        now[0] = float(second)
        screen.show(progress())
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Plain, "  0 of 8 trials done, 0 running, 0% of the work\n"), (JsonLines, '"seconds_left": null')],
)
def test_progress_can_be_said_before_there_is_any(kind: Any, said: str, capsys: Capture) -> None:
    kind(1e-9).show(Progress(trials=8, work=3.0))
    assert said in capsys.readouterr().out
