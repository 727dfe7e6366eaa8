"""Hydra's composition, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnexp.errors import ConfigError

CONFIG_NAME = "config"
NO_CHOICE = "Config group override must be"  # how Hydra's ValueError for group=null begins


def conf_folder() -> Path:
    """Return where conf/ is: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def unresolved(config: DictConfig) -> dict[str, Any]:
    """Return a composed config without Hydra's own part, interpolations as they are written."""
    found = OmegaConf.to_container(config, resolve=False)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items() if key != "hydra"}


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Return plain data with their interpolations resolved; data without any come back as they are."""
    for path, text in texts(config):
        if text == "???":
            raise ConfigError(f"{path} has no value: give one with {path}=…")
    if not any("${" in text for _, text in texts(config)):
        return config
    try:
        found = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"cannot resolve an interpolation: {str(error).splitlines()[0]}") from None
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def with_params(params: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """Return a sweep's overrides: those of an experiment's hydra.sweeper.params, then others, which prevail.

    Raises: ConfigError if one is a list: Hydra would merge its choices instead of sweeping them.
    """
    for key, value in params.items():
        if not isinstance(value, str | int | float | bool):
            raise ConfigError(f'hydra.sweeper.params.{key} must be a text like "a,b" or "[1],[2]", got {value}')
    return [*(f"{key}={value}" for key, value in params.items()), *overrides]


def texts(config: Any, path: str = "") -> list[tuple[str, str]]:
    """Return every string in plain data with its dotted path."""
    if isinstance(config, str):
        return [(path, config)]
    if isinstance(config, dict):
        return [each for key, value in config.items() for each in texts(value, f"{path}.{key}" if path else str(key))]
    if isinstance(config, list):
        return [each for number, value in enumerate(config) for each in texts(value, f"{path}.{number}")]
    return []


class _ReadOnce(CachingConfigRepository):
    """Reads each file once for all compositions: a third of a composition, and a plan made of one state of conf/."""

    def __init__(self, delegate: IConfigRepository) -> None:
        self.delegate = delegate
        self.cache: dict[str, ConfigResult | None] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _ReadOnce:
        return self  # Hydra copies its repository for every composition

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a copy of what the file says: Hydra merges what it composes into what it reads first."""
        return deepcopy(super().load_config(config_path))

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Forget what was read: it is looked for elsewhere now."""
        self.delegate.initialize_sources(config_search_path)
        self.cache.clear()


class Composer:
    """Composes conf/ with overrides, the way Hydra does for one job of a sweep.

    Args: loader: Hydra's. hydra_overrides: those of Hydra's own settings, the same for all jobs.
    """

    def __init__(
        self, loader: ConfigLoader, config_name: str = CONFIG_NAME, hydra_overrides: Sequence[str] = ()
    ) -> None:
        assert isinstance(loader, ConfigLoaderImpl)
        self.loader, self.config_name, self.hydra_overrides = loader, config_name, list(hydra_overrides)
        loader.repository = _ReadOnce(loader.repository)  # type: ignore[assignment]

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return Hydra's own config for the overrides."""
        return self.loader.load_configuration(
            config_name=self.config_name,
            overrides=[*self.hydra_overrides, *overrides],
            run_mode=RunMode.RUN,
        )

    def choices(self, group: str) -> list[str]:
        """Return the choices of a group; none if there is no such group."""
        return list(self.loader.get_group_options(group, results_filter=ObjectType.CONFIG))

    def stands_alone(self, group: str, choice: str) -> bool:
        """Return whether a choice sets its own node only: it names no package and brings no defaults list."""
        found = self.loader.repository.load_config(f"{group}/{choice}")
        if found is None:
            return False
        brings = [each for each in found.defaults_list or [] if not each.is_self()]
        return not brings and found.header.get("package") in (None, group.replace("/", "."))
