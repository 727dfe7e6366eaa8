"""A large sweep is asked for again before it starts, on a terminal; once started, it is not asked for any more."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nnexp.config.build import Executor, Paths, RunSettings, Screen, Tracking
from nnexp.config.sweep import Sweep
from nnexp.errors import UsageError
from nnexp.job import _confirm
from nnexp.screen import agrees
from nnexp.sweeps.plan import Plan, make_plan
from nnexp.testing.trials import small


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan("large", [(small(seed=seed), {"seed": str(seed)}) for seed in range(3)])[0]


def settings(root: Path, above: int | None) -> RunSettings:
    sweep, paths = Sweep(confirm_above=above), Paths(root=str(root))
    return RunSettings(executor=Executor(), tracking=Tracking(), sweep=sweep, screen=Screen(), paths=paths)


def terminal(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> list[str]:
    """Let a person at a terminal give an answer, or end the input; return what is asked."""
    asked: list[str] = []

    def input_(question: str) -> str:
        asked.append(question)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", input_)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    return asked


def test_without_a_terminal_a_large_sweep_is_an_error_that_says_how_to_go_on(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"{plan.id} has 3 trials, .*confirm_above=2: .* sweep\.confirm_above=3, or"):
        _confirm(plan, settings(tmp_path, 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("above", [None, 3, 4])
def test_a_sweep_that_is_not_too_large_is_not_asked_for_again(plan: Plan, tmp_path: Path, above: int | None) -> None:
    _confirm(plan, settings(tmp_path, above))


def test_a_sweep_that_was_started_before_is_not_asked_for_again(plan: Plan, tmp_path: Path) -> None:
    plan.freeze(tmp_path / "sweeps" / plan.id)
    _confirm(plan, settings(tmp_path, 0))


@pytest.mark.parametrize("answer", ["y", "Yes "])
def test_a_person_who_says_yes_starts_it(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    asked = terminal(monkeypatch, answer)
    _confirm(plan, settings(tmp_path, 2))
    assert asked == [f"sweep {plan.id} has 3 trials, more than sweep.confirm_above=2: start it? [y/N] "]


def test_a_program_is_not_asked(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = terminal(monkeypatch, "y")
    with pytest.raises(UsageError, match="start it with"):
        _confirm(plan, replace(settings(tmp_path, 2), screen=Screen(mode="json")))
    assert asked == []


@pytest.mark.parametrize("answer", ["", "n", "what?", None])
def test_anything_else_does_not(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    terminal(monkeypatch, answer)
    assert not agrees("?")
    with pytest.raises(UsageError, match="was not started"):
        _confirm(plan, settings(tmp_path, 2))
