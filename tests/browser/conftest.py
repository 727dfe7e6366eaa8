"""A sweep, MLflow's UI as the command opens it, and a browser to look at it with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.webdriver import Browser, programs, running_browser
from tests.needs import needed
from tests.runs import run
from tests.servers.ui import RunningUi, running_ui

NAME = "clicked"
SWEEP = (
    "-m",
    f"sweep.name={NAME}",
    "training.epochs=4",  # on digits: of few examples, configurations would have the same mean
    "architecture.hidden=[8]",
    "executor.workers=1",
    "optimizer=sgd,adam",
    "l2.strength=0,0.1",
    "seed=0,1",
)


@dataclass(frozen=True)
class Shown:
    """A sweep in MLflow's UI. link: that the command printed."""

    root: Path
    ui: RunningUi
    link: str


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Shown]:
    """Run a sweep, then the command that shows it."""
    needed("chromium", programs(), "install Debian's packages chromium and chromium-driver")
    root = tmp_path_factory.mktemp("shown") / "runs"
    root.mkdir()
    shutil.copy(empty_store, root / "mlflow.db")
    done = run(*SWEEP, folder=root.parent)
    assert (done.code, done.err) == (0, "")
    with running_ui(root, NAME) as ui:
        yield Shown(root, ui, ui.read_until("http://"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Keep a browser open."""
    found = needed("chromium", programs(), "install Debian's packages chromium and chromium-driver")
    with running_browser(*found, tmp_path_factory.mktemp("profile")) as browser:
        yield browser
