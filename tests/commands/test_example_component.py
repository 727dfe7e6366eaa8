"""The example package of the documentation, installed for real: chosen, swept, listed, checked, edited and removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnexp.own import ENTRY_POINTS
from tests.commands.test_run import HEAVY, LISTING
from tests.runs import RUN, Ended, run

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example-component"
SMALL = ("dataset=moons", "dataset.examples=60", "training.epochs=2", "architecture.hidden=[4]")
OWN = ("optimizer=signum", "architecture.activation=squared_relu")
SWEEP = ("-m", "optimizer=adam,signum", "architecture.activation=relu,squared_relu", "seed=0,1", "executor.workers=2")
NOTEBOOK = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import nnexp
from nnexp.config.build import component
from nnexp.data.sources import Iris
from nnexp.network.optimizers import SGD
from nnexp.sweeps.plan import keys
from nnexp.training import TrialConfig, train


@dataclass(frozen=True, kw_only=True)
class SignSGD(SGD):
    """Gradient descent along signs."""

    name: ClassVar[str] = "sign_sgd"
    lr: float = 0.01

    def update(self, theta, grad, slots, c, spare):
        (lr,) = c
        np.sign(grad, out=spare)
        spare *= lr
        theta -= spare


nnexp.register(SignSGD)
trial = TrialConfig(optimizer=component("optimizer", {"name": "sign_sgd"}), dataset=Iris())
(result,) = train([trial])
print(result.outcome, result.summary["test/acc"] > 0.5, keys(trial, "")[0] != keys(TrialConfig(), "")[0])
'''
KEYS = """
from nnexp.config.build import component
from nnexp.sweeps.plan import keys
from nnexp.training import TrialConfig

for name in ("adam", "signum"):
    print(name, keys(TrialConfig(optimizer=component("optimizer", {"name": name})), "")[0])
"""


@dataclass(frozen=True)
class Installed:
    """The example in a folder of its own, and what it was installed from."""

    site: Path
    source: Path

    def run(self, *arguments: str, folder: Path, **given: Any) -> Ended:
        """Run a command that finds it."""
        path = os.pathsep.join([str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **given.pop("variables", {})}
        return run(*arguments, folder=folder, variables=variables, **given)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the example package."""
    folder = tmp_path_factory.mktemp("example")
    found = Installed(folder / "site", folder / "source")
    shutil.copytree(EXAMPLE, found.source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*install, "--target", str(found.site), str(found.source)], check=True, capture_output=True)
    return found


@pytest.fixture(scope="module")
def swept(example: Installed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """Sweep its components against nnexp's own, on two workers."""
    folder = tmp_path_factory.mktemp("swept")
    return example.run(*SWEEP, *SMALL, folder=folder), folder / "runs"


def plan_of(root: Path) -> dict[str, Any]:
    (path,) = root.glob("sweeps/*/plan.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_its_own_tests_pass(example: Installed) -> None:
    program = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    ended = example.run("--rootdir=.", "-c=pyproject.toml", ".", folder=example.source, program=program)
    assert ended.code == 0, ended.out + ended.err
    assert "3 passed" in ended.out


def test_the_documentation_shows_what_the_example_holds() -> None:
    text = (EXAMPLE.parent / "own-components.md").read_text()
    module, settings = ((EXAMPLE / name).read_text() for name in ("nnexp_example.py", "pyproject.toml"))
    shown = re.findall(r"```python\n(@dataclass.*?)```", text, re.DOTALL)
    announced = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert (len(shown), len(announced)) == (1, 1)
    assert shown[0] in module
    assert announced[0] in settings
    groups = set(re.findall(r"`(nnexp\.\w+)`", text.partition("| entry points |")[2].partition("## Keys")[0]))
    assert groups - {"nnexp.errors"} == set(ENTRY_POINTS.values())


def test_help_errors_completion_and_settings_know_its_components(example: Installed, tmp_path: Path) -> None:
    line = "nnexp-run optimizer=s"
    completing = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked: dict[str, dict[str, Any]] = {
        "--help": {"program": (sys.executable, "-c", LISTING)},
        "optimizer=signm": {"program": (sys.executable, "-c", LISTING)},
        "architecture.activation=squared": {},
        "optimizer=signum optimizer.beta1=2": {},
        "optimizer=signum optimizer.beta2=0.5": {},
        "--cfg job optimizer=signum optimizer.lr=0.5": {},
        "-sc query=bash": {"variables": completing},
    }
    with ThreadPoolExecutor(2) as pool:
        found = dict(
            zip(
                asked,
                pool.map(lambda a: example.run(*a[0].split(), folder=tmp_path, **a[1]), asked.items()),
                strict=True,
            )
        )
    listed = found["--help"].out
    assert "signum" in listed.split("\noptimizer: ")[1].splitlines()[0].split(", ")
    for name in ("--help", "optimizer=signm"):
        loaded = set(json.loads(found[name].out.partition("\nloaded: ")[2]))
        assert not {*HEAVY, "nnexp_example"} & loaded
    for name, words in {
        "optimizer=signm": ("optimizer 'signm' is not one of: ", ", signum"),
        "architecture.activation=squared": ("activation 'squared' is not one of: ", ", squared_relu"),
        "optimizer=signum optimizer.beta1=2": ("signum: beta1 must be in [0, 1), got 2",),
        "optimizer=signum optimizer.beta2=0.5": ("'beta2' is not a setting of optimizer (signum)", "beta1, lr"),
    }.items():
        ended = found[name]
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert [word for word in words if word not in ended.err] == [], ended.err
    composed = yaml.safe_load(found["--cfg job optimizer=signum optimizer.lr=0.5"].out)["optimizer"]
    assert composed == {"name": "signum", "lr": 0.5, "weight_decay": 0.0, "beta1": 0.9}
    assert "optimizer=signum" in found["-sc query=bash"].out.split()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_trains_its_components_on_workers_and_records_their_source(swept: tuple[Ended, Path]) -> None:
    ended, root = swept
    assert ended.code == 0, ended.err
    assert "8 trials of 4 configurations" in ended.out
    assert "on 2 workers" in ended.out
    trials = plan_of(root)["trials"]
    named = [sorted(each["name"] for each in trial.get("components", [])) for trial in trials]
    assert named == [
        [],
        [],
        ["squared_relu"],
        ["squared_relu"],
        ["signum"],
        ["signum"],
        *[["signum", "squared_relu"]] * 2,
    ]
    (digest,) = {each["source"] for trial in trials for each in trial.get("components", [])}  # they share a file
    with sqlite3.connect(root / "mlflow.db") as store:
        tags = store.execute("select key, value from tags where key like 'nnexp.component.%'").fetchall()
    assert set(tags) == {
        ("nnexp.component.optimizer.signum", f"nnexp-example 0.1.0 sha256:{digest}"),
        ("nnexp.component.activation.squared_relu", f"nnexp-example 0.1.0 sha256:{digest}"),
    }


def test_an_edited_source_gives_other_keys_to_its_own_trials_alone(example: Installed, tmp_path: Path) -> None:
    edited = Installed(tmp_path / "site", example.source)
    shutil.copytree(example.site, edited.site)
    module = edited.site / "nnexp_example.py"
    module.write_text(module.read_text().replace("M += grad", "M += 2 * grad"))
    before, again, after = (
        dict(line.split() for line in each.run("-c", KEYS, folder=tmp_path, program=RUN[:1]).out.splitlines())
        for each in (example, example, edited)
    )
    assert before == again
    assert before["adam"] == after["adam"]
    assert before["signum"] != after["signum"]


def test_without_the_package_its_names_are_unknown(tmp_path: Path) -> None:
    ended = run("optimizer=signum", folder=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("nnexp: optimizer 'signum' is not one of: ")
    assert "signum" not in ended.err.partition("not one of")[2]


def test_a_package_that_cannot_be_imported_is_one_line_where_it_is_chosen(example: Installed, tmp_path: Path) -> None:
    broken = Installed(tmp_path / "site", example.source)
    shutil.copytree(example.site, broken.site)
    (broken.site / "nnexp_example.py").write_text("import nowhere\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    ended = broken.run("optimizer=signum", folder=empty)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(
        "nnexp: package nnexp-example 0.1.0 announces optimizer 'signum' (nnexp_example:Signum)"
    )
    assert "ModuleNotFoundError: No module named 'nowhere'" in ended.err
    assert broken.run("--cfg", "job", "optimizer=adam", folder=empty).code == 0
    assert list(empty.iterdir()) == []


def test_a_notebooks_component_is_registered_trained_and_has_a_key(tmp_path: Path) -> None:
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    ended = run("notebook.py", folder=tmp_path, program=RUN[:1])
    assert ended.code == 0, ended.err
    assert ended.out == "finished True True\n"
