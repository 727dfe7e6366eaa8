"""What the command line prints: JSON for programs, lines for files, a view for people."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.runs import RUN, Ended, run
from tests.screen.test_live import is_clean
from tests.screen.test_screens import objects
from tests.terminal import on_terminal

SWEEP = ("-m", "dataset=moons", "training.epochs=20", "optimizer=sgd", "optimizer.lr=0.1,1e+30", "sweep.seeds=2")


@dataclass(frozen=True)
class Swept:
    """A sweep with JSON lines, and the same command again with plain ones."""

    said: list[dict[str, Any]]
    again: Ended


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    folder = tmp_path_factory.mktemp("swept")
    first = run(*SWEEP, "screen.mode=json", "screen.every=0.001", folder=folder)
    assert (first.code, first.err) == (0, "")
    return Swept(objects(first.out), run(*SWEEP, folder=folder))


def test_every_line_for_programs_is_an_event(swept: Swept) -> None:
    events = [each["event"] for each in swept.said]
    assert events[0] == "planned"
    assert events[-1] == "result"
    assert Counter(events)["ended"] == 4
    assert {"progress", "delivering"} <= {*events} <= {"planned", "progress", "ended", "delivering", "result"}
    assert [each["time"] for each in swept.said] == sorted(each["time"] for each in swept.said)


def test_programs_hear_what_was_planned_and_what_came_of_it(swept: Swept) -> None:
    planned, result = swept.said[0], swept.said[-1]
    assert (planned["trials"], planned["configurations"], planned["to_train"], planned["done"]) == (4, 2, 4, 0)
    ends = [each for each in swept.said if each["event"] == "ended"]
    assert Counter(each["state"] for each in ends) == result["states"] == {"finished": 2, "diverged": 2}
    best, worst = result["leaderboard"]
    assert (best["configuration"], best["n"], worst["n"], worst["diverged"]) == ("lr=0.1", 2, 0, 2)
    assert set(best["keys"]) == {each["key"] for each in ends if each["state"] == "finished"}
    objectives = [each["objective"] for each in ends if each["state"] == "finished"]
    found = best["metrics"]["val/acc_best"]
    assert found["mean"] == pytest.approx(sum(objectives) / 2)
    assert found["ci95"] == pytest.approx(12.7062 * abs(objectives[0] - objectives[1]) / 2, rel=1e-4)
    assert Path(result["folder"], "leaderboard.csv").is_file()
    last = [each for each in swept.said if each["event"] == "progress"][-1]
    assert (last["finished"], last["diverged"], last["share"], last["seconds_left"]) == (2, 2, 1.0, 0.0)


def test_the_same_command_again_says_in_lines_that_all_is_there(swept: Swept) -> None:
    assert (swept.again.code, swept.again.err) == (0, "")
    lines = [line for line in swept.again.out.splitlines() if not line.startswith("  trained; MLflow: ")]
    first, second, empty, legend, head, best, worst, *rest = lines
    assert re.fullmatch(r"sweep adhoc-\w{8}: 4 trials of 2 configurations", first)
    assert second == "  4 of 4 trials are in the ledger already and are not trained again"
    assert empty == ""
    assert legend.endswith("those that miss repeats last: mean over n repeats ± half of its 95 % t interval")
    assert head.split() == ["rank", "configuration", "val/acc_best", "test/acc", "epoch_best", "n", "diverged"]
    assert re.fullmatch(r"   1  lr=0.1  ( +0\.\d{4} ± \d\.\d{4}){2}  +[\d.]+ ± [\d.]+  +2  +0", best)
    assert worst.split() == ["2", "lr=1e+30", "–", "–", "–", "0", "of", "2", "2"]
    assert rest[:2] == ["", "trials:  2 finished, 2 diverged"]


def test_a_dry_run_for_programs_is_one_event(tmp_path: Path) -> None:
    ended = run(*SWEEP, "screen.mode=json", "sweep.dry_run=true", folder=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    (event,) = objects(ended.out)
    assert (event["event"], event["trials"], event["configurations"]) == ("dry_run", 4, 2)
    assert event["axes"]["optimizer.lr"] == ["0.1", "1e+30"]
    assert sum(each for stacks in event["stacks"] for each in stacks["widths"]) == 4
    assert event["train_seconds"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [("optimizer=\x1b]0;x\x07",), ("+\x1b]0;x\x07=1",), ("seed=\x1b[2J",), ("dataset.noise=\x1b[2J", "dataset=moons")],
)
def test_what_is_wrong_is_said_in_one_line_that_acts_on_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = run(*words, folder=tmp_path)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith("nnexp: ")
    assert ended.err.removesuffix("\n").isprintable()
    assert r"\x1b" in ended.err


def test_a_sweep_on_a_terminal_has_a_view_and_leaves_it_clean(tmp_path: Path) -> None:
    seen = on_terminal([*RUN, *SWEEP], tmp_path)
    assert seen.code == 0
    views = [frame for frame in seen.frames if "\n  work " in frame]
    assert any(" 4 of 4 done (2 diverged), 0 running, " in frame for frame in views)
    assert any(re.search(r"^  best    val/acc 0\.\d{4} ± \d\.\d{4} \(n=2\) lr=0\.1$", each, re.M) for each in views)
    assert any(re.search(r"^  MLflow  \d+ runs? to deliver, ", each, re.M) for each in views)
    assert is_clean(seen)
    assert "2 configurations, best val/acc_best first" in seen.terminal.text
    assert [line for line in seen.terminal.lines if line.startswith("files:   runs/sweeps/adhoc-")]


def test_an_interrupted_sweep_leaves_its_terminal_clean_and_says_how_to_go_on(tmp_path: Path) -> None:
    sent: list[int] = []

    def interrupt(text: str, process: int) -> None:
        if re.search(r"^  best|[1-9]\d* running", text, re.M) and not sent:
            sent.append(process)
            os.kill(process, signal.SIGINT)

    command = (*RUN, "-m", "dataset=moons", "training.epochs=1000000", "seed=1,2", "training.record_every=100000")
    seen = on_terminal(command, tmp_path, watch=interrupt)
    assert sent
    assert seen.code == 130
    assert is_clean(seen)
    assert "interrupted: stopping at the next slice; Ctrl-C again stops at once" in seen.terminal.lines
    assert "trials:  2 stopped" in seen.terminal.lines
    assert any(line.startswith("go on:   python -m nnexp.run -m dataset=moons ") for line in seen.terminal.lines)
