"""A sweep with most of what a sweep can say, run as users run it, while its files are changed under its feet."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.runs import HANGS, run, surroundings

EXPERIMENT = """
# @package _global_
defaults: [override /optimizer: mine]
dataset: {noise: 0.25}
training: {epochs: 400}
sweep:
  zip: [architecture.hidden, training.batch_size]
  only_if: {optimizer.beta1: "optimizer == 'adam'"}
  where: optimizer == 'adam' or strength < 0.5
  seeds: 2
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      architecture.hidden: "[4],[6]"
      training.batch_size: 16,32
      optimizer: mine,sgd
      optimizer.beta1: 0.8,0.9
      l2.strength: 0,1
"""
OWN = {"experiment/widths.yaml": EXPERIMENT, "optimizer/mine.yaml": "defaults: [adam, _self_]\nlr: 0.25"}


@dataclass(frozen=True)
class Swept:
    """What a sweep said, its frozen plan, and the configs that its trials were trained with."""

    out: str
    folder: Path
    conf: Path
    plan: dict[str, Any]
    configs: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Run the experiment; as soon as its plan is frozen, change every file that it was composed from."""
    conf, folder = tmp_path_factory.mktemp("conf"), tmp_path_factory.mktemp("swept")
    write(conf, OWN)
    process = subprocess.Popen(
        [sys.executable, "-m", "nnexp.run", "--config-dir", str(conf), "experiment=widths", "dataset=moons"],
        cwd=folder, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    began = time.monotonic()
    while not list(folder.glob("runs/sweeps/*/plan.json")) and process.poll() is None:
        assert time.monotonic() - began < HANGS
        time.sleep(0.01)
    assert not list(folder.glob("runs/sweeps/*/trials/*")), "the first trial was there before the plan was seen"
    write(conf, {name: text.replace("0.25", "0.5").replace("400", "1") for name, text in OWN.items()})
    out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, err) == (0, "")
    (sweep,) = (folder / "runs" / "sweeps").iterdir()
    files = {path.parent.name: yaml.safe_load(path.read_text()) for path in sweep.glob("trials/*/config.yaml")}
    return Swept(out, folder, conf, json.loads((sweep / "plan.json").read_text()), files)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.strip())


def test_a_sweep_trains_what_its_settings_say_and_nothing_else(swept: Swept) -> None:
    trials = swept.plan["trials"]
    labels = [trial["label"] for trial in trials if trial["config"]["seed"] == 0]
    assert [label.removesuffix(" seed=0") for label in labels] == [
        *("hidden=[4] batch_size=16 mine beta1=0.8 l2=0", "hidden=[4] batch_size=16 mine beta1=0.8 l2=1"),
        *("hidden=[4] batch_size=16 mine beta1=0.9 l2=0", "hidden=[4] batch_size=16 mine beta1=0.9 l2=1"),
        "hidden=[4] batch_size=16 sgd l2=0",
        *("hidden=[6] batch_size=32 mine beta1=0.8 l2=0", "hidden=[6] batch_size=32 mine beta1=0.8 l2=1"),
        *("hidden=[6] batch_size=32 mine beta1=0.9 l2=0", "hidden=[6] batch_size=32 mine beta1=0.9 l2=1"),
        "hidden=[6] batch_size=32 sgd l2=0",
    ]
    assert len(trials) == 20
    assert ": 20 trials of 10 configurations, 4 combinations removed, 8 repeated combinations merged" in swept.out


def test_the_plan_says_how_it_came_about(swept: Swept) -> None:
    (made,) = swept.plan["combinations"]
    assert made["combinations"] == 32
    assert made["absent"] == {"optimizer.beta1 if optimizer == 'adam'": 16}
    assert made["collapsed"] == 8
    assert made["removed"] == {"optimizer == 'adam' or strength < 0.5": 4}
    assert swept.plan["axes"]["seed"] == ["0", "1"]


def test_changing_conf_while_a_sweep_runs_changes_nothing(swept: Swept) -> None:
    planned = {trial["key"][:16]: trial["config"] for trial in swept.plan["trials"]}
    assert swept.configs == planned
    for config in planned.values():
        assert (config["dataset"]["noise"], config["training"]["epochs"]) == (0.25, 400)
        if config["optimizer"]["name"] == "adam":
            assert config["optimizer"]["lr"] == 0.25


def test_the_same_command_with_changed_files_is_another_sweep(swept: Swept) -> None:
    again = run("--config-dir", str(swept.conf), "experiment=widths", "dataset=moons", "sweep.dry_run=true",
                folder=swept.folder)  # fmt: skip
    assert (again.code, again.err) == (0, "")
    assert "20 trials of 10 configurations" in again.out
    assert swept.plan["hash"][:8] not in again.out
    assert len(list((swept.folder / "runs" / "sweeps").iterdir())) == 1
