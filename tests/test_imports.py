"""Who may import whom: imports point down the rooms and never back, and heavy packages wait until they are needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nnexp"

# What every module may import; of nnexp, it imports nothing but itself.
FOUNDATION = {"__init__", "errors", "arrays", "own", "component", "randomness", "numerics"}

# What a room may import besides the foundation and itself.
ROOMS: dict[str, set[str]] = {
    "network": set(),
    "data": set(),
    "statistics": set(),
    "training": {"network", "data"},
    "config": {"network", "data", "training"},
    "sweeps": {"training", "network", "data", "config"},
    "tracking": {"sweeps", "training", "config"},
    "reporting": {"statistics", "sweeps", "training", "config", "network", "data"},
    "screen": {"sweeps", "training", "config"},
    "testing": {"config", "training", "data", "network"},
}

# Hydra's plugins and the commands (every module of nnexp itself that is not of the foundation) may import anything.
PLUGINS = "hydra_plugins"

# Where alone a package may be imported.
HOMES: dict[str, set[str]] = {
    "mlflow": {"tracking"},
    "hydra": {"config", PLUGINS, "run", "command", "job", "composing"},
    "omegaconf": {"config", PLUGINS, "run", "command", "job", "composing"},
    "rich": {"screen"},
}

# Packages that take long to import, which happens inside of functions only.
HEAVY = {"mlflow", "pandas", "matplotlib", "sklearn", "rich", "scipy.stats", "optuna", "statsmodels"}


@dataclass(frozen=True)
class Import:
    """One import: of what, in which line, and whether importing the module runs it."""

    name: str
    line: int
    at_once: bool


def unit_of(path: Path) -> str:
    """Return a file's room or, for a module of nnexp itself and for `python -m` of a room, its own name."""
    relative = path.relative_to(PACKAGE)
    if relative.stem == "__main__":
        return relative.stem
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(tree: ast.AST, package: str = "nnexp", at_once: bool = True) -> Iterator[Import]:
    """Yield every import: `from a import b` as a.b, relative ones as seen from the package."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (Import(f"{base}.{alias.name}", node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(ast.Module(node.body, []), package, at_once=False)
            yield from imports(ast.Module(node.orelse, []), package, at_once)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, package, at_once and not inside)


def violations(unit: str, source: str, package: str = "nnexp") -> list[str]:
    """Return what a file of a room, or of nnexp itself, imports but may not."""
    found = []
    for each in imports(ast.parse(source), package):
        top, _, rest = each.name.partition(".")
        if top == "nnexp" and not _may_import(unit, rest.partition(".")[0], each.at_once):
            found.append(f"line {each.line}: {unit} may not import {each.name}")
        if unit not in HOMES.get(top, {unit}):
            found.append(f"line {each.line}: {top} is imported in {', '.join(sorted(HOMES[top]))} only")
        heavy = [package for package in HEAVY if f"{each.name}.".startswith(f"{package}.")]
        if heavy and each.at_once:
            found.append(f"line {each.line}: {heavy[0]} is imported inside of functions only")
    return found


def _may_import(unit: str, target: str, at_once: bool) -> bool:
    known = target in ROOMS or (PACKAGE / target).is_dir() or (PACKAGE / f"{target}.py").is_file()
    target = target if known else "__init__"  # a name that nnexp itself holds, as __version__
    if unit == "__init__" and not at_once:
        return True  # what nnexp offers by name is imported when it is asked for
    if unit in FOUNDATION:
        return target in FOUNDATION
    if unit in ROOMS:
        return target in FOUNDATION | ROOMS[unit] | {unit}
    return True


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    package = ".".join(path.relative_to(PACKAGE.parent).parts[:-1])
    assert violations(unit_of(path), path.read_text(), package) == []


def test_nothing_imports_the_helpers_of_tests() -> None:
    assert not [room for room, allowed in ROOMS.items() if "testing" in allowed]
    others = [path for path in FILES if unit_of(path) != "testing"]
    assert [path.name for path in others if "nnexp.testing" in path.read_text()] == []


def test_every_folder_is_a_room_of_the_table() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if list(path.glob("*.py"))}
    assert folders <= {*ROOMS, PLUGINS}


def test_the_foundation_is_there() -> None:
    assert {f"{name}.py" for name in FOUNDATION} <= {path.name for path in PACKAGE.glob("*.py")}


def test_the_rooms_import_in_one_direction() -> None:
    seen: set[str] = set()
    for room, allowed in ROOMS.items():
        assert allowed <= seen, f"{room} is listed above a room that it imports"
        seen.add(room)


@pytest.mark.parametrize(
    ("unit", "source"),
    [
        ("network", "from nnexp.data import splits"),
        ("network", "import nnexp.training"),
        ("network", "from nnexp import training"),
        ("network", "from ..training import train"),
        ("data", "from nnexp.network.losses import Loss"),
        ("data", "def load():\n    from nnexp.network import losses"),
        ("training", "from nnexp.sweeps import plan"),
        ("training", "import mlflow"),
        ("training", "def log():\n    import mlflow.entities"),
        ("tracking", "from mlflow import MlflowClient"),
        ("tracking", "class Tracker:\n    import mlflow"),
        ("tracking", "try:\n    import mlflow\nexcept ImportError:\n    pass"),
        ("tracking", "from nnexp.reporting import figures"),
        ("sweeps", "from nnexp import hydra_plugins"),
        ("sweeps", "from nnexp.run import main"),
        ("sweeps", "from omegaconf import DictConfig"),
        ("sweeps", "if TYPE_CHECKING:\n    from omegaconf import DictConfig"),
        ("reporting", "import matplotlib.pyplot as plt"),
        ("reporting", "import numpy, pandas"),
        ("data", "from sklearn.datasets import load_iris"),
        ("statistics", "from nnexp.network import layout"),
        ("statistics", "from nnexp.reporting import study"),
        ("statistics", "from scipy import stats"),
        ("statistics", "from scipy.stats import bootstrap"),
        ("statistics", "import optuna"),
        ("screen", "from nnexp.tracking import store"),
        ("screen", "from rich.live import Live"),
        ("sweeps", "def draw():\n    from rich.live import Live"),
        ("sweeps", "from nnexp.screen import say"),
        ("errors", "from nnexp.network import stack"),
        ("__init__", "from nnexp.training import train"),
        ("run", "import pandas"),
        ("report", "import hydra"),
    ],
)
def test_an_import_that_breaks_the_table_is_found(unit: str, source: str) -> None:
    assert len(violations(unit, source, f"nnexp.{unit}")) >= 1


@pytest.mark.parametrize(
    ("unit", "source"),
    [
        ("network", "from nnexp.errors import require\nfrom nnexp.network import layout\nimport scipy.special"),
        ("network", "from nnexp import __version__\nfrom .layout import Layout"),
        ("training", "from nnexp.network import stack\nfrom nnexp.data import splits"),
        ("data", "def load():\n    from sklearn import datasets"),
        ("statistics", "def resample():\n    from scipy.stats import bootstrap\nfrom scipy.special import ndtri"),
        ("reporting", "from nnexp.statistics import intervals"),
        ("tracking", "def log():\n    import mlflow"),
        ("tracking", "if TYPE_CHECKING:\n    from mlflow import MlflowClient"),
        ("config", "from omegaconf import OmegaConf"),
        ("screen", "def draw():\n    from rich.live import Live"),
        ("screen", "from nnexp.sweeps.leaderboard import Row"),
        ("run", "from nnexp.hydra_plugins import register\nimport hydra"),
        ("hydra_plugins", "from nnexp.job import run_sweep"),
        ("__init__", "def __getattr__(name):\n    from nnexp.training import train"),
    ],
)
def test_an_import_that_keeps_to_the_table_is_not(unit: str, source: str) -> None:
    assert violations(unit, source, f"nnexp.{unit}") == []
