"""The plan: the ordered, frozen list of a sweep's trials, each with a key made of all that determines its numbers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from nnexp import __version__
from nnexp.config.build import TABLES
from nnexp.data.prepared import Data, prepare
from nnexp.data.sources import Source
from nnexp.errors import UsageError
from nnexp.numerics import NUMERICS_VERSION
from nnexp.sweeps.sources import Foreign, foreign
from nnexp.training.settings import Objective, Training, TrialConfig

KNOWN_BY_NAME = ("optimizer", "dataset", "experiment")  # none, norm or constant would say too little

DataKey = tuple[Source, str]  # trials with the same dataset and dtype read the same arrays


@dataclass(frozen=True)
class Trial:
    """One training of a plan.

    key: SHA-256 of everything that determines its numbers. configuration: the same without the seed, which its repeats
    share. chosen: what each axis chose. data: digest of the examples and their division. foreign: its components that
    are not nnexp's own.
    """

    position: int
    key: str
    configuration: str
    chosen: Mapping[str, str]
    config: TrialConfig
    data: str
    foreign: tuple[Foreign, ...] = ()

    @cached_property
    def label(self) -> str:
        """What differs: `adam l2=0.1 keep=0.8 seed=2`."""
        return " ".join(_assignment(key, value) for key, value in self.chosen.items()) or "trial"

    @cached_property
    def configuration_label(self) -> str:
        """The label without the seed."""
        return replace(self, chosen={key: value for key, value in self.chosen.items() if key != "seed"}).label

    @property
    def objective(self) -> Objective:
        """What ranks it."""
        return self.config.objective

    @property
    def data_key(self) -> DataKey:
        """Which arrays the trial reads."""
        return self.config.dataset, self.config.training.dtype

    def describe(self) -> dict[str, Any]:
        """Return the trial as plain data."""
        return {**self.about(), "config": self.config.describe()}

    def about(self) -> dict[str, Any]:
        """Return the trial without its config, as plain data."""
        return {
            "position": self.position,
            "key": self.key,
            "configuration": self.configuration,
            "label": self.label,
            "data": self.data,
            **({"components": [asdict(each) for each in self.foreign]} if self.foreign else {}),
        }


@dataclass(frozen=True)
class Merge:
    """A combination that is the same trial as one before. into: the position of that one."""

    label: str
    into: int


@dataclass(frozen=True)
class Plan:
    """What a sweep is to do. The same trials under the same name are the same sweep.

    merges: combinations that were the same trial as one before. made: how the combinations of each grid came about.
    """

    name: str
    overrides: tuple[str, ...]
    axes: Mapping[str, Sequence[str]]
    trials: tuple[Trial, ...]
    merges: tuple[Merge, ...] = ()
    made: tuple[Mapping[str, Any], ...] = ()

    @property
    def merged(self) -> int:
        """How many combinations were the same trial as one before."""
        return len(self.merges)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the trials' keys, in order."""
        return digest([trial.key for trial in self.trials])

    @property
    def id(self) -> str:
        """The name and the first digits of the hash."""
        return f"{self.name}-{self.hash[:8]}"

    @cached_property
    def configurations(self) -> dict[str, list[Trial]]:
        """The repeats of each configuration, in order."""
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.configuration, []).append(trial)
        return found

    def describe(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {**self.head(), "trials": [trial.describe() for trial in self.trials]}

    def head(self) -> dict[str, Any]:
        """Return the plan without its trials, as plain data."""
        return {
            "sweep": self.name,
            "hash": self.hash,
            "nnexp": __version__,
            "numerics": NUMERICS_VERSION,
            "code": code_digest(),
            "overrides": list(self.overrides),
            "axes": {key: list(values) for key, values in self.axes.items()},
            "combinations": list(self.made),
            "merged": self.merged,
            "merges": [asdict(each) for each in self.merges],
        }

    def pieces(self) -> Iterator[str]:
        """Yield the plan as JSON for people to read: a line for each of a trial's groups.

        Python's own indentation takes ten times as long.
        """
        head = json.dumps(self.head(), indent=1, ensure_ascii=False)
        yield head.removesuffix("\n}") + ',\n "trials": ['
        shared: dict[tuple[int, ...], str] = {}
        for number, trial in enumerate(self.trials):
            same = _settings(trial.config)
            if same not in shared:
                described = trial.config.describe()
                shared[same] = _in_lines({key: described[key] for key in described if key != "seed"}, " " * 4)
            config = f'"config": {{\n    "seed": {trial.config.seed},\n    {shared[same]}\n   }}'
            lines = _in_lines(trial.about(), " " * 3)
            yield f"{',' if number else ''}\n  {{\n   {lines},\n   {config}\n  }}"
        yield "\n ]\n}\n"

    def freeze(self, folder: Path) -> None:
        """Write the plan into the sweep's folder, once, whole or not at all."""
        path = folder / "plan.json"
        if path.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.pieces())


def make_plan(
    name: str,
    configs: Sequence[tuple[TrialConfig, Mapping[str, str]]],
    overrides: Sequence[str] = (),
    axes: Mapping[str, Sequence[str]] | None = None,
    made: Sequence[Mapping[str, Any]] = (),
) -> tuple[Plan, dict[DataKey, Data]]:
    """Return the plan of some trials, each with what it chose, and the data they read.

    Combinations that make the same trial are merged into the first of them.
    Raises: UsageError if trials have different objectives or cannot start as they should, DataError if the data cannot
    be used.
    """
    objectives = dict.fromkeys(config.objective.metric for config, _ in configs)
    if len(objectives) > 1:
        raise UsageError(f"objective.metric must be the same for all trials of a sweep, got {', '.join(objectives)}")
    seeds: dict[DataKey, list[int]] = {}
    for config, _ in configs:
        seeds.setdefault((config.dataset, config.training.dtype), []).append(config.seed)
    data = {key: prepare(key[0], dict.fromkeys(of_key), key[1]) for key, of_key in seeds.items()}
    trials: dict[str, Trial] = {}
    merges = []
    identities: dict[tuple[int, ...], _Identity] = {}
    for config, chosen in configs:
        prepared, same = data[config.dataset, config.training.dtype], _settings(config)
        if same not in identities:
            config.initializer.check(config.blueprint(prepared.inputs).layout)
            identities[same] = _Identity(config)
        identity, used = identities[same], prepared.division(config.seed).digest
        key = identity.key(config.seed, used)
        trial = Trial(len(trials), key, identity.configuration, chosen, config, used, identity.foreign)
        first = trials.setdefault(key, trial)
        if first is not trial:
            merges.append(Merge(trial.label, first.position))
    return Plan(name, tuple(overrides), axes or {}, tuple(trials.values()), tuple(merges), tuple(made)), data


def _settings(config: TrialConfig) -> tuple[int, ...]:
    """Return what tells apart configs that do not share all of their settings but the seed, as repeats do."""
    return tuple(id(value) for name, value in vars(config).items() if name != "seed")


def _in_lines(plain: Mapping[str, Any], indent: str) -> str:
    """Return plain data as JSON, a line for each key."""
    lines = [f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in plain.items()]
    return f",\n{indent}".join(lines)


def _assignment(key: str, value: str) -> str:
    """Return a choice as short as it is clear: an optimizer's or data set's name alone, a setting without its group.

    A setting keeps its group where another group has one of that name, as clip.limit and max_norm.limit.
    """
    if "." not in key:
        return value if key in KNOWN_BY_NAME else f"{key}={value}"
    group, _, setting = key.rpartition(".")
    if setting == "strength":
        return f"{group}={value}"
    return f"{key if _groups_with(setting) > 1 else setting}={value}"


@cache
def _groups_with(setting: str) -> int:
    """Return how many groups have a choice with such a setting; the seed of a trial is one more."""
    tables = [[each for cls in table.builtin.values() for each in fields(cls)] for table in TABLES.values()]
    groups = [*tables, fields(Training), fields(TrialConfig)]
    return sum(setting in {each.name for each in group} for group in groups)


def keys(config: TrialConfig, data: str) -> tuple[str, str]:
    """Return a trial's key and its configuration's: SHA-256 of canonical JSON with and without the seed.

    Raises: ConfigError if the source of a component that is not nnexp's own cannot be found.
    """
    identity = _Identity(config)
    return identity.key(config.seed, data), identity.configuration


class _Identity:
    """What repeats of a configuration have in common."""

    def __init__(self, config: TrialConfig) -> None:
        self.foreign = foreign(config)
        sources = {f"{each.kind} {each.name}": each.source for each in self.foreign}
        self._common = {"numerics": NUMERICS_VERSION, **({"sources": sources} if sources else {})}
        self._fixed = {name: value for name, value in config.identity().items() if name != "seed"}
        self.configuration = digest({"config": self._fixed, **self._common})

    def key(self, seed: int, data: str) -> str:
        """Return the key of a repeat."""
        return digest({"config": {**self._fixed, "seed": seed}, "data": data, **self._common})


def digest(plain: Any) -> str:
    """Return the SHA-256 of plain data as canonical JSON: sorted keys, no spaces, shortest digits of each number."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest() -> str:
    """Return the SHA-256 of nnexp's own source files."""
    sha, package = hashlib.sha256(), Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        sha.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Write a file, also in pieces, under a temporary name in its folder, then rename it."""
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with building.open("w", encoding="utf-8", newline="") as file:
        file.writelines([text] if isinstance(text, str) else text)
    building.replace(path)
