"""The source of own components: part of the keys of the trials that use them, and of no others."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnexp.data.sources import Moons
from nnexp.errors import ConfigError
from nnexp.network.activations import ACTIVATIONS, Activation, ReLU
from nnexp.network.architecture import MLP
from nnexp.network.losses import MeanSquaredError
from nnexp.network.optimizers import OPTIMIZERS, SGD
from nnexp.sweeps.plan import keys, make_plan
from nnexp.sweeps.sources import foreign, source_digest
from nnexp.testing.trials import small
from nnexp.training import TrialConfig
from tests.packages import CUBE, CUBE_ENTRIES, install, seen

CELL = '''
from dataclasses import dataclass
from typing import ClassVar
from nnexp.network.optimizers import SGD

@dataclass(frozen=True, kw_only=True)
class Celled(SGD):
    """Of a cell."""

    name: ClassVar[str] = "celled"

    @property
    def pace(self):
        return FACTOR

after = 1
'''


@pytest.fixture
def cubes(tmp_path: Path) -> Iterator[Path]:
    """Install a package with an activation and an optimizer."""
    sys.modules.pop("cubes", None)
    with seen(install(tmp_path, "cubes", CUBE, CUBE_ENTRIES, version="1.2")):
        yield tmp_path
    sys.modules.pop("cubes", None)


def with_activation(activation: Activation | tuple[Activation, ...]) -> TrialConfig:
    return small(architecture=MLP(hidden=(5, 4), activation=activation)).resolved()


def typed(text: str) -> type[Any]:
    """Return the class of a cell, run as a notebook runs it: in no file, but where tracebacks find its lines."""
    place = f"<cell {abs(hash(text))}>"
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place
    return run(text, place)


def run(text: str, place: str) -> type[Any]:
    scope: dict[str, Any] = {"__name__": "__nowhere__"}
    exec(compile(text, place, "exec", dont_inherit=True), scope)
    return scope["Celled"]  # type: ignore[no-any-return]


def test_a_trial_of_nnexps_own_components_names_none() -> None:
    assert foreign(small()) == ()


def test_every_own_component_is_named_with_its_package_and_its_digest(cubes: Path) -> None:
    cube, slow = ACTIVATIONS["cube"](), OPTIMIZERS["slow"](lr=0.01)
    found = foreign(replace(with_activation((ReLU(), cube)), optimizer=slow))
    assert [(each.kind, each.name, each.package) for each in found] == [
        ("activation", "cube", "cubes 1.2"),
        ("optimizer", "slow", "cubes 1.2"),
    ]
    assert [str(each) for each in found] == [f"cubes 1.2 sha256:{source_digest(type(cube))}"] * 2


def test_an_output_that_is_an_own_activation_is_named(cubes: Path) -> None:
    trial = small(loss=MeanSquaredError(), architecture=MLP(hidden=(5,), output="cube"))
    assert [each.name for each in foreign(trial.resolved())] == ["cube"]


def test_the_plan_holds_digests_and_other_trials_keys_do_not(cubes: Path) -> None:
    cube = ACTIVATIONS["cube"]()
    plan, _ = make_plan("name", [(with_activation(cube), {}), (with_activation(ReLU()), {})])
    first, second = plan.describe()["trials"]
    assert first["components"] == [
        {"kind": "activation", "name": "cube", "source": source_digest(type(cube)), "package": "cubes 1.2"}
    ]
    assert "components" not in second


def test_a_key_changes_with_the_source_and_not_with_the_package(tmp_path: Path) -> None:
    found: dict[str, tuple[str, str]] = {}
    texts = {"before": CUBE, "moved": CUBE, "edited": CUBE.replace("Z **= 3", "Z **= 5")}
    for version, (name, text) in enumerate(texts.items()):
        with seen(install(tmp_path / name, "cubes", text, CUBE_ENTRIES, version=f"1.{version}")):
            sys.modules.pop("cubes", None)
            found[name] = keys(with_activation(ACTIVATIONS["cube"]()), "data")
    sys.modules.pop("cubes", None)
    assert found["before"] == found["moved"]
    assert found["before"][0] != found["edited"][0]
    assert found["before"][1] != found["edited"][1]


def test_a_base_that_is_not_nnexps_is_part_of_the_source(tmp_path: Path) -> None:
    digests = []
    derived = "from cubes import Slow\nfrom dataclasses import dataclass\n@dataclass(frozen=True, kw_only=True)\n"
    derived += "class Slower(Slow):\n    name = 'slower'\n"
    for number, base in enumerate((CUBE, CUBE + "\n# longer\n")):
        folder = install(tmp_path / str(number), "cubes", base, {})
        install(folder, "slower", derived, {"nnexp.optimizers: slower": "slower:Slower"})
        for module in ("cubes", "slower"):
            sys.modules.pop(module, None)
        with seen(folder):
            digests.append(source_digest(OPTIMIZERS["slower"]))
    for module in ("cubes", "slower"):
        sys.modules.pop(module, None)
    assert len(set(digests)) == 2


def test_a_class_of_a_cell_is_its_own_text() -> None:
    one, other_cell = typed(CELL), typed(CELL.replace("after = 1", "after = 2"))
    edited = typed(CELL.replace("FACTOR", "2 * FACTOR"))
    assert source_digest(one) == source_digest(other_cell)
    assert source_digest(one) != source_digest(edited)
    trial = small(dataset=Moons(examples=60), optimizer=one(lr=0.1))
    assert foreign(trial)[0].package is None
    assert str(foreign(trial)[0]).startswith("registered sha256:")


def test_a_class_without_a_source_is_refused_in_one_line() -> None:
    cls = run(CELL, "<nowhere>")
    with pytest.raises(ConfigError, match=r"^celled: the source of Celled cannot be found") as refused:
        keys(small(optimizer=cls()), "data")
    assert "\n" not in str(refused.value)


def test_nnexps_own_class_has_nothing_to_digest_but_its_version() -> None:
    assert source_digest(SGD) == source_digest(ReLU)
