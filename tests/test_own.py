"""A user's own components: found by name, loaded when they are needed, refused in one line that names the package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import nnexp
from nnexp import own
from nnexp.config.build import TABLES, component
from nnexp.config.registration import KINDS
from nnexp.errors import ConfigError, choose
from nnexp.network.activations import ACTIVATIONS, Activation, ReLU
from nnexp.network.optimizer import Optimizer
from nnexp.network.optimizers import OPTIMIZERS, SGD, Adam
from nnexp.network.penalties import L1_PENALTIES, L2
from tests.compositions import composing
from tests.packages import CUBE, CUBE_ENTRIES, install, seen

HEAD = "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom nnexp.network.optimizers import *\n"
HEAD += "from nnexp.network.optimizer import Optimizer\n"
FROZEN = "@dataclass(frozen=True, kw_only=True)\n"
BELOW = f"is no class below {Optimizer.__module__}.Optimizer"
BROKEN = {
    "that cannot be imported": ("import nowhere", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
    "that raises": ("raise SyntaxError('two\\nlines')", "cannot be imported: SyntaxError: two"),
    "that is not there": ("", "cannot be imported: AttributeError"),
    "that is no class": ("Mine = 3", BELOW),
    "of another kind": (
        "from nnexp.network.activations import ReLU as Mine",
        BELOW,
    ),
    "of another name": (f"{HEAD}{FROZEN}class Mine(SGD): name: ClassVar[str] = 'yours'", "calls itself 'yours'"),
    "that is no dataclass": (f"{HEAD}class Mine(SGD): name = 'mine'", "must be made by @dataclass(frozen=True, kw_"),
    "without a default": (
        f"{HEAD}{FROZEN}class Mine(SGD):\n    name: ClassVar[str] = 'mine'\n    size: float",
        "cannot be made with its defaults: TypeError: ",
    ),
    "whose defaults are refused": (
        f"{HEAD}{FROZEN}class Mine(SGD):\n    name: ClassVar[str] = 'mine'\n    lr: float = -1.0",
        "cannot be made with its defaults: ConfigError: mine: lr must be > 0, got -1.0",
    ),
    "that no config can hold": (
        f"{HEAD}{FROZEN}class Mine(SGD):\n    name: ClassVar[str] = 'mine'\n    to: type = int",
        "has defaults that no config can hold: to",
    ),
    "that is incomplete": (
        f"{HEAD}{FROZEN}class Mine(Optimizer):\n    name: ClassVar[str] = 'mine'\n    lr: float = 0.1",
        "lacks coefficients, update",
    ),
}


@pytest.fixture
def cubes(tmp_path: Path) -> Iterator[Path]:
    """Install a package with an activation and an optimizer."""
    sys.modules.pop("cubes", None)
    with seen(install(tmp_path, "cubes", CUBE, CUBE_ENTRIES)):
        yield tmp_path
    sys.modules.pop("cubes", None)


def test_every_table_has_entry_points_of_its_own() -> None:
    assert set(own.ENTRY_POINTS) == set(KINDS) == {*TABLES, "activation"}
    assert len(set(own.ENTRY_POINTS.values())) == len(own.ENTRY_POINTS)
    for kind, table in KINDS.items():
        assert table.kind == kind


def test_a_table_of_nnexps_own_components_is_a_mapping() -> None:
    assert next(iter(OPTIMIZERS)) == "sgd"
    assert len(OPTIMIZERS) == len(list(OPTIMIZERS)) == len(OPTIMIZERS.builtin)
    assert OPTIMIZERS["adam"] is Adam
    assert "adam" in OPTIMIZERS
    assert "adan" not in OPTIMIZERS
    assert OPTIMIZERS.get("adan") is None
    with pytest.raises(KeyError, match="adan"):
        OPTIMIZERS["adan"]


def test_an_announced_component_is_a_choice_without_being_imported(cubes: Path) -> None:
    assert [*OPTIMIZERS][-1] == "slow"
    assert "cube" in ACTIVATIONS
    assert len(ACTIVATIONS) == len(ACTIVATIONS.builtin) + 1
    with pytest.raises(ConfigError, match=r"is not one of: .*, slow"):
        choose("optimizer", "slwo", OPTIMIZERS)
    assert "cubes" not in sys.modules


def test_an_announced_component_is_built_by_its_name(cubes: Path) -> None:
    built = component("optimizer", {"name": "slow", "lr": 0.5})
    assert (type(built).__module__, built.describe()["lr"]) == ("cubes", 0.5)
    assert OPTIMIZERS["slow"] is OPTIMIZERS["slow"] is type(built)
    with pytest.raises(ConfigError, match=r"^slow: lr must be > 0, got -1.0$"):
        component("optimizer", {"name": "slow", "lr": -1.0})
    plain = {"name": "mlp", "hidden": [4], "activation": "cube", "output": "auto"}
    assert component("architecture", plain).describe()["activation"] == "cube"


def test_hydra_composes_an_announced_component_with_its_defaults(cubes: Path) -> None:
    with composing() as composer:
        assert "slow" in composer.choices("optimizer")
        assert "cubes" not in sys.modules
        assert dict(composer.compose(["optimizer=slow", "optimizer.lr=0.5"]).optimizer) == {
            **component("optimizer", {"name": "slow"}).describe(),
            "lr": 0.5,
        }
        assert composer.stands_alone("optimizer", "slow")
        assert "cube" not in composer.choices("activation")


def test_a_file_of_ones_own_comes_before_an_announced_component(cubes: Path, tmp_path: Path) -> None:
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "slow.yaml").write_text("name: slow\nlr: 0.25\n")
    with composing(folder=tmp_path / "conf") as composer:
        assert composer.compose(["optimizer=slow"]).optimizer.lr == 0.25
        assert composer.choices("optimizer").count("slow") == 1


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_component_is_refused_in_one_line_when_it_is_asked_for(name: str, tmp_path: Path) -> None:
    source, problem = BROKEN[name]
    module = "broken_" + "".join(filter(str.isalpha, name))
    with seen(install(tmp_path, module, source, {"nnexp.optimizers: mine": f"{module}:Mine"})):
        assert component("optimizer", {"name": "sgd", "lr": 1.0}) == SGD(lr=1.0)
        with composing() as composer, pytest.raises(ConfigError) as refused:
            composer.compose(["optimizer=mine"])
    said = str(refused.value)
    assert said.startswith(f"package {module} 1.0 announces optimizer 'mine' ({module}:Mine), which {problem}")
    assert "\n" not in said


def test_a_name_that_nnexp_or_another_package_has_is_refused_where_choices_are_needed(tmp_path: Path) -> None:
    entry = {"nnexp.optimizers: slow": "cubes:Slow"}
    folders = install(tmp_path / "a", "cubes", CUBE, entry), install(tmp_path / "b", "others", CUBE, entry)
    with seen(*folders):
        assert "relu" in ACTIVATIONS
        with pytest.raises(ConfigError, match=r"^package .* announces optimizer 'slow' .* and so does package "):
            choose("optimizer", "adam", OPTIMIZERS)
    thief = install(tmp_path / "c", "thieves", CUBE, {"nnexp.optimizers: adam": "thieves:Slow"})
    with seen(thief), pytest.raises(ConfigError, match=r"^package thieves 1\.0 .* but 'adam' is nnexp's own$"):
        choose("optimizer", "sgd", OPTIMIZERS)


# registered


@dataclass(frozen=True, kw_only=True)
class Halved(SGD):
    """Half as fast."""

    name: ClassVar[str] = "halved"
    lr: float = 0.05


@dataclass(frozen=True, kw_only=True)
class Rooted(L2):
    """A penalty."""

    name: ClassVar[str] = "rooted"


def test_a_registered_component_is_a_choice_and_replaces_the_one_before() -> None:
    with seen():
        nnexp.register(Halved)
        again = type("Halved", (Halved,), {"__doc__": "the cell, run again"})
        again = dataclass(frozen=True, kw_only=True)(again)
        nnexp.register(again)
        assert OPTIMIZERS["halved"] is again
        assert [*OPTIMIZERS].count("halved") == 1
        assert type(component("optimizer", {"name": "halved"})) is again
        with composing() as composer:
            assert composer.compose(["optimizer=halved"]).optimizer.lr == 0.05
    assert "halved" not in OPTIMIZERS


def test_a_component_of_two_tables_is_registered_for_the_one_that_is_named() -> None:
    with seen():
        with pytest.raises(ConfigError, match=r"kinds l2, l1: register\(cls, kind\)"):
            nnexp.register(Rooted)
        nnexp.register(Rooted, "l1")
        assert L1_PENALTIES["rooted"] is Rooted


def renamed(base: type[Any], name: str) -> type[Any]:
    made = type(
        "Renamed", (base,), {"name": name, "__annotations__": {"name": "ClassVar[str]"}, "__module__": __name__}
    )
    return dataclass(frozen=True, kw_only=True)(made)


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (renamed(SGD, "adam"), "needs a name of its own: 'adam' is nnexp's"),
        (renamed(SGD, "auto"), "needs a name of letters, digits and _, got 'auto'"),
        (renamed(ReLU, "a-b"), "needs a name of letters, digits and _, got 'a-b'"),
        (renamed(SGD, "slow"), "Renamed needs another name"),
        (int, "is no component"),
        (Activation, "needs a name"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_one_line(cubes: Path, cls: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        nnexp.register(cls)
    assert "\n" not in str(refused.value)


def test_nnexp_has_no_other_names_than_its_own() -> None:
    with pytest.raises(AttributeError, match="no attribute 'regster'"):
        nnexp.regster  # noqa: B018
