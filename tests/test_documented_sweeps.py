"""The examples of sweeps in the documentation: each has the trials that stand beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from nnexp.config.build import build_trials
from nnexp.config.grid import assignments, expand
from nnexp.config.sweep import LANGUAGE, Sweep
from nnexp.sweeps.plan import make_plan
from tests.compositions import composing

TEXT = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("\n## Sweeps\n")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^nnexp-run -m (.*?)\s+# (\d+) trials$", SECTION, re.MULTILINE)


def trials(overrides: Sequence[str], folder: Path | None = None) -> int:
    """Return how many trials a sweep has."""
    with composing(folder=folder) as composer:
        found = expand(composer, overrides)
    configs = build_trials(point.plain for point in found.points)
    chosen = [dict(assignments(point.chosen)) for point in found.points]
    return len(make_plan("name", list(zip(configs, chosen, strict=True)))[0].trials)


@pytest.mark.parametrize(("line", "count"), COMMANDS)
def test_a_command_has_the_trials_that_it_is_said_to_have(line: str, count: str) -> None:
    assert trials(shlex.split(line)) == int(count)


def test_the_file_has_the_trials_that_it_is_said_to_have(tmp_path: Path) -> None:
    said = re.search(r"Here are (\d+) trials:\n\n```yaml\n# mine/(\S+)\n(.*?)```", SECTION, re.DOTALL)
    assert said is not None
    path = tmp_path / said[2]
    path.parent.mkdir()
    path.write_text(said[3])
    params = yaml.safe_load(said[3])["hydra"]["sweeper"]["params"]
    overrides = [f"experiment={path.stem}", *(f"{key}={value}" for key, value in params.items())]
    assert trials(overrides, tmp_path) == int(said[1])


def test_every_setting_of_a_sweep_is_documented_and_shown() -> None:
    listed = set(re.findall(r"^\| `sweep\.(\w+)` \|", TEXT, re.MULTILINE))
    assert listed == set(vars(Sweep()))
    shown = " ".join(line for line, _ in COMMANDS)
    assert [name for name in LANGUAGE if f"sweep.{name}=" not in shown] == []
    assert len(COMMANDS) >= 7
